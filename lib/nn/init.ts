import { shapeSize } from '../shape.js';
import type { Initializer } from './state.js';

// Initial values as torch.nn.init defines them, in distribution; the bits are those of our own generator.

export function constant(value: number): Initializer {
  return (data) => {
    data.fill(value);
  };
}

/** Uniform over ±1/√fanIn: torch's default for convolutions and linear layers, weights and biases alike. */
export function uniformFanIn(fanIn: number): Initializer {
  return (data, random) => random.fillUniform(data, 1 / Math.sqrt(fanIn));
}

/**
 * Kaiming He's normal distribution for a convolution before a ReLU: standard deviation √(2 / fan out).
 * @param shape of the weight: [out, in / groups, height, width].
 */
export function kaimingNormalFanOut(shape: readonly number[]): Initializer {
  const [outChannels = 1, , ...kernel] = shape;
  const fanOut = outChannels * shapeSize(kernel);
  return (data, random) => random.fillNormal(data, Math.sqrt(2 / fanOut));
}
