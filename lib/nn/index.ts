// Layers, containers and functions to build networks from: `nn` of the package.

export type { PairArgument } from './arguments.js';
export { BatchNorm2d, type BatchNorm2dOptions } from './batch-norm.js';
export { Conv2d, type Conv2dOptions } from './conv.js';
export { add, flatten, relu, zeroPadShortcut } from './functional.js';
export { constant, kaimingNormalFanOut, uniformFanIn } from './init.js';
export { Linear, type LinearOptions } from './linear.js';
export { Module } from './module.js';
export { AdaptiveAvgPool2d, MaxPool2d, type MaxPool2dOptions } from './pooling.js';
export { manualSeed, type Random } from './random.js';
export { Flatten, Identity, ReLU, Sequential } from './simple.js';
export { type Initializer, ModuleBuffer, type ModuleState, Parameter } from './state.js';
