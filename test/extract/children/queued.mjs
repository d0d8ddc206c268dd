// A machine that works on a queue: queued.mjs MODEL IMAGES OUT REDIS. Prints the state in which it left the queue.

import { extractQueued } from '../../../dist/extract/queue/extract-queued.js';
import { loadModel } from '../../../dist/models/load.js';

const [model, images, out, queue] = process.argv.slice(2);
const options = { out, queue, shardSize: 3, batch: 1, threads: 1, device: 'cpu', takeOverMs: 1000 };
console.log(JSON.stringify(await extractQueued(await loadModel(model), images, options)));
