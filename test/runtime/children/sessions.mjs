// What the child processes and workers of lifecycle.test.ts and leaks.test.ts share. They run the built package,
// because Node cannot load TypeScript everywhere.

import { BasicBlock, ResNet } from '../../../dist/models/resnet.js';
import { compileModel } from '../../../dist/runtime/compile.js';
import { Tensor } from '../../../dist/tensor.js';

export function smallNetwork() {
  const model = new ResNet(BasicBlock, [1, 1, 1], { stem: 'cifar', shortcut: 'zero-pad', numClasses: 10 });
  model.transform = { ...model.transform, resizeSize: 32, cropSize: 32 }; // what a GPU prepares for
  return model;
}

export function compile(device, options = {}) {
  return compileModel(smallNetwork(), { device, ...options });
}

export function images(n, size) {
  return Tensor.fromUint8(new Uint8Array(n * size * size * 3).fill(90), [n, size, size, 3]);
}

/** A batch that takes the device a few hundred milliseconds. */
export function slowBatch(device) {
  return device === 'cpu' ? images(32, 160) : images(1, 96);
}
