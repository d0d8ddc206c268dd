// Extracts a folder of images in small parts, and goes on where an earlier run ended: extract.mjs MODEL IMAGES OUT

import { extractFeatures } from '../../../dist/extract/extract-features.js';
import { loadModel } from '../../../dist/models/load.js';

const [model, images, out] = process.argv.slice(2);
const options = { out, shardSize: 3, batch: 1, threads: 1, device: 'cpu', resume: true };
await extractFeatures(await loadModel(model), images, options);
