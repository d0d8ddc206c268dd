import { ResNetError } from '../errors.js';
import type { BatchNormNode, Conv2dNode, GraphNode, LinearNode, ZeroPadShortcutNode } from './graph.js';

// What is known of a value's shape before any image has come: enough to refuse, with the name of the layer, a network
// that no image could pass. Sizes of images are checked natively when a batch arrives.

/** [n, channels, h, w]. */
export interface MapShape {
  readonly kind: 'map';
  readonly channels: number;
  /** Whether h and w are known to be 1. */
  readonly pixel: boolean;
}

/** [n, features]. */
export interface RowsShape {
  readonly kind: 'rows';
  /** Unknown where a map of unknown size was flattened. */
  readonly features: number | undefined;
}

export type ValueShape = MapShape | RowsShape;

/** `[n, 64, h, w]`, for messages. */
export function showShape(shape: ValueShape): string {
  if (shape.kind === 'rows') return `[n, ${shape.features ?? 'c * h * w'}]`;
  return shape.pixel ? `[n, ${shape.channels}, 1, 1]` : `[n, ${shape.channels}, h, w]`;
}

/**
 * The shape of what `node` computes from inputs of the shapes given.
 * @throws ResNetError `INVALID_SHAPE`, naming the node, when they do not fit it.
 */
export function outputShape(node: GraphNode, inputs: readonly ValueShape[]): ValueShape {
  const [x, y] = inputs;
  if (node.op === 'input') return { kind: 'map', channels: node.channels, pixel: false };
  if (!x) throw mismatch(node, 'an input', 'none');
  switch (node.op) {
    case 'relu':
      return x;
    case 'add':
      return sumShape(node, x, y);
    case 'linear':
      return linearShape(node, x);
    case 'flatten':
      return flattenShape(x);
    default:
      return mapShape(node, x);
  }
}

type MapNode = Exclude<GraphNode, { op: 'input' | 'relu' | 'add' | 'linear' | 'flatten' }>;

/** Of the operations that take and give a feature map. */
function mapShape(node: MapNode, x: ValueShape): ValueShape {
  if (x.kind !== 'map') throw mismatch(node, 'a feature map [n, c, h, w]', showShape(x));
  switch (node.op) {
    case 'conv2d':
      return convShape(node, x);
    case 'batch_norm':
      return withChannels(node, x, node.features);
    case 'normalize':
      return withChannels(node, x, node.mean.length);
    case 'max_pool2d':
      return { ...x, pixel: false };
    case 'global_avg_pool':
      return { ...x, pixel: true };
    case 'zero_pad_shortcut':
      return padShape(node, x);
  }
}

function convShape(node: Conv2dNode, x: MapShape): MapShape {
  withChannels(node, x, node.inChannels);
  const pointwise = [...node.kernelSize, ...node.padding].join() === '1,1,0,0';
  return { kind: 'map', channels: node.outChannels, pixel: x.pixel && pointwise };
}

function withChannels(node: Conv2dNode | BatchNormNode | GraphNode, x: MapShape, channels: number): MapShape {
  if (x.channels !== channels) throw mismatch(node, `${channels} channels`, showShape(x));
  return x;
}

function padShape(node: ZeroPadShortcutNode, x: MapShape): MapShape {
  if (x.channels > node.outChannels) {
    throw mismatch(node, `at most ${node.outChannels} channels to append zeros to`, showShape(x));
  }
  return { ...x, channels: node.outChannels };
}

function linearShape(node: LinearNode, x: ValueShape): RowsShape {
  if (x.kind !== 'rows') throw mismatch(node, 'rows [n, c]: call flatten() first', showShape(x));
  if (x.features !== undefined && x.features !== node.inFeatures) {
    throw mismatch(node, `${node.inFeatures} features`, showShape(x));
  }
  return { kind: 'rows', features: node.outFeatures };
}

function flattenShape(x: ValueShape): ValueShape {
  return x.kind === 'rows' ? x : { kind: 'rows', features: x.pixel ? x.channels : undefined };
}

function sumShape(node: GraphNode, x: ValueShape, y: ValueShape | undefined): ValueShape {
  if (!y) throw mismatch(node, 'two inputs', 'one');
  const [a, b] = [x, y].map((shape) => (shape.kind === 'map' ? shape.channels : shape.features));
  if (x.kind !== y.kind || (a !== undefined && b !== undefined && a !== b)) {
    throw mismatch(node, 'two values of one shape', `${showShape(x)} and ${showShape(y)}`);
  }
  if (x.kind === 'map' && y.kind === 'map') return { ...x, pixel: x.pixel || y.pixel };
  return a === undefined ? y : x;
}

function mismatch(node: GraphNode, expected: string, received: string): ResNetError {
  const from = node.inputs.length ? ` from ${node.inputs.join(' and ')}` : '';
  return new ResNetError(
    'INVALID_SHAPE',
    `${node.name} (${node.op}) expected ${expected} but received ${received}${from}`,
  );
}
