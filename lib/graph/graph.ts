// The traced network as plain data: what native code compiles, what travels in a weights file's metadata, and what
// the ONNX exporter reads. Everything in it survives JSON.

export type Pair = readonly [height: number, width: number];

interface NodeBase {
  /** torchvision's node name (`layer1.0.relu_1`), unique in the graph. */
  readonly name: string;
  /** Names of the nodes read, each of them earlier in the list. */
  readonly inputs: readonly string[];
  /**
   * What one step of int8 is worth in the node's results, as calibration found it: they are q × scale, q from 0 to 255
   * behind a ReLU and from -128 to 127 elsewhere. Without it they stay float32 when the network runs in int8, and so
   * does a layer that reads them.
   */
  readonly scale?: number;
}

/** The batch of images a run brings. Exactly one, and the first node; named `x`. */
export interface InputNode extends NodeBase {
  readonly op: 'input';
  readonly channels: number;
}

/** uint8 pixels become (x / 255 - mean) / std; float32 input passes unchanged. */
export interface NormalizeNode extends NodeBase {
  readonly op: 'normalize';
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

export interface Conv2dNode extends NodeBase {
  readonly op: 'conv2d';
  readonly inChannels: number;
  readonly outChannels: number;
  readonly kernelSize: Pair;
  readonly stride: Pair;
  readonly padding: Pair;
  readonly dilation: Pair;
  readonly groups: number;
  /** State-dict keys. */
  readonly weight: string;
  /** If there, the weight is int8, and this is a tensor of what one step is worth for each output channel. */
  readonly weightScale?: string;
  readonly bias?: string;
}

export interface BatchNormNode extends NodeBase {
  readonly op: 'batch_norm';
  readonly features: number;
  readonly eps: number;
  readonly weight?: string;
  readonly bias?: string;
  readonly runningMean: string;
  readonly runningVar: string;
}

export interface ReluNode extends NodeBase {
  readonly op: 'relu';
}

export interface MaxPool2dNode extends NodeBase {
  readonly op: 'max_pool2d';
  readonly kernelSize: Pair;
  readonly stride: Pair;
  readonly padding: Pair;
  readonly dilation: Pair;
}

export interface GlobalAvgPoolNode extends NodeBase {
  readonly op: 'global_avg_pool';
}

export interface FlattenNode extends NodeBase {
  readonly op: 'flatten';
}

export interface LinearNode extends NodeBase {
  readonly op: 'linear';
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly weight: string;
  /** As a convolution's. */
  readonly weightScale?: string;
  readonly bias?: string;
}

export interface AddNode extends NodeBase {
  readonly op: 'add';
}

/** The paper's option A: x[:, :, ::stride, ::stride] with zero channels appended at the end. */
export interface ZeroPadShortcutNode extends NodeBase {
  readonly op: 'zero_pad_shortcut';
  readonly stride: number;
  readonly outChannels: number;
}

export type GraphNode =
  | InputNode
  | NormalizeNode
  | Conv2dNode
  | BatchNormNode
  | ReluNode
  | MaxPool2dNode
  | GlobalAvgPoolNode
  | FlattenNode
  | LinearNode
  | AddNode
  | ZeroPadShortcutNode;

export type OpName = GraphNode['op'];

export interface Graph {
  /** Of this format. */
  readonly version: 1;
  /** In topological order. */
  readonly nodes: readonly GraphNode[];
  /** Other names under which a node may be asked for: `layer1` is its last node, `logits` is `fc`. */
  readonly aliases: Readonly<Record<string, string>>;
}
