// Loads a network from a file, compiles it and runs it once. Prints by how many bytes that raised the most memory that
// this process ever held.

import { readFileSync } from 'node:fs';

const [, , file, size] = process.argv;
const { loadModel, Tensor } = await import('../../../dist/index.js');

const peak = () => 1024 * Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]);

const before = peak();
const model = await loadModel(file);
const session = await model.compile({ device: 'cpu', maxBatch: 1, memory: 'low' });
await session.run(Tensor.allocate([1, 3, Number(size), Number(size)], 'float32'));
console.log(peak() - before);
// The model is in use to the end: nothing of it may be collected before the peak is taken.
await session.close();
if (model.stateDict().size === 0) throw new Error('the model is empty');
