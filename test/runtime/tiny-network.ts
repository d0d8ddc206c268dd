import type { Graph } from '../../lib/graph/graph.js';
import type { ParameterValues } from '../../lib/graph/parameters.js';
import type { Compilable } from '../../lib/runtime/compilable.js';

// A network so small that its results can be worked out here: a 1×1 convolution with bias, ReLU, global average
// pooling, flatten and a fully connected layer.

export const CHANNELS = 3;
export const WIDTH = 4;
export const CLASSES = 5;
export const MEAN = [0.4, 0.5, 0.6];
export const STD = [0.2, 0.25, 0.3];

const graph: Graph = {
  version: 1,
  nodes: [
    { op: 'input', name: 'x', inputs: [], channels: CHANNELS },
    {
      op: 'conv2d',
      name: 'conv',
      inputs: ['x'],
      inChannels: CHANNELS,
      outChannels: WIDTH,
      kernelSize: [1, 1],
      stride: [1, 1],
      padding: [0, 0],
      dilation: [1, 1],
      groups: 1,
      weight: 'conv.weight',
      bias: 'conv.bias',
    },
    { op: 'relu', name: 'relu', inputs: ['conv'] },
    { op: 'global_avg_pool', name: 'avgpool', inputs: ['relu'] },
    { op: 'flatten', name: 'flatten', inputs: ['avgpool'] },
    {
      op: 'linear',
      name: 'fc',
      inputs: ['flatten'],
      inFeatures: WIDTH,
      outFeatures: CLASSES,
      weight: 'fc.weight',
      bias: 'fc.bias',
    },
  ],
  aliases: { logits: 'fc' },
};

const parameter = (shape: number[], phase: number): ParameterValues => {
  const count = shape.reduce((product, size) => product * size, 1);
  return { shape, data: Float32Array.from({ length: count }, (_, i) => Math.sin(i * 1.7 + phase)) };
};

const parameters = new Map([
  ['conv.weight', parameter([WIDTH, CHANNELS, 1, 1], 1)],
  ['conv.bias', parameter([WIDTH], 2)],
  ['fc.weight', parameter([CLASSES, WIDTH], 3)],
  ['fc.bias', parameter([CLASSES], 4)],
]);

export const tinyNetwork: Compilable = {
  graph,
  parameters,
  transform: { resizeSize: 8, cropSize: 8, mean: MEAN, std: STD },
  categories: undefined,
};

/** Pixels of a batch of made pictures, [n, h, w, 3]. */
export function pixels(n: number, h: number, w: number): Uint8Array {
  return Uint8Array.from({ length: n * h * w * CHANNELS }, (_, i) => (i * 37 + (i >> 3) * 11) % 256);
}

/** (x / 255 - mean) / std of pixels, as NHWC. */
export function normalized(data: Uint8Array): Float32Array {
  return Float32Array.from(data, (value, i) => {
    const channel = i % CHANNELS;
    return (value / 255 - (MEAN[channel] as number)) / (STD[channel] as number);
  });
}

export function nhwcToNchw(data: Float32Array, n: number, h: number, w: number): Float32Array {
  const result = new Float32Array(data.length);
  for (let image = 0; image < n; image++)
    for (let pixel = 0; pixel < h * w; pixel++)
      for (let c = 0; c < CHANNELS; c++)
        result[(image * CHANNELS + c) * h * w + pixel] = data[
          (image * h * w + pixel) * CHANNELS + c
        ] as number;
  return result;
}

/** What `avgpool` and `fc` are for one image, worked out from normalised NHWC pixels. */
export function expected(image: Float32Array): { avgpool: number[]; logits: number[] } {
  const at = (key: string, i: number) => parameters.get(key)?.data[i] as number;
  const count = image.length / CHANNELS;
  const avgpool = Array.from({ length: WIDTH }, (_, o) => {
    let sum = 0;
    for (let p = 0; p < count; p++) {
      let y = at('conv.bias', o);
      for (let c = 0; c < CHANNELS; c++)
        y += (image[p * CHANNELS + c] as number) * at('conv.weight', o * CHANNELS + c);
      sum += Math.max(y, 0);
    }
    return sum / count;
  });
  const logits = Array.from({ length: CLASSES }, (_, o) =>
    avgpool.reduce((y, x, i) => y + x * at('fc.weight', o * WIDTH + i), at('fc.bias', o)),
  );
  return { avgpool, logits };
}
