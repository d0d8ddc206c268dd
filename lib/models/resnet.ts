import { ResNetError } from '../errors.js';
import type { Value } from '../graph/value.js';
import { checkInteger, invalid } from '../is.js';
import { BatchNorm2d } from '../nn/batch-norm.js';
import { Conv2d } from '../nn/conv.js';
import { add, flatten, zeroPadShortcut } from '../nn/functional.js';
import { constant, kaimingNormalFanOut } from '../nn/init.js';
import { Linear } from '../nn/linear.js';
import { Module } from '../nn/module.js';
import { AdaptiveAvgPool2d, MaxPool2d } from '../nn/pooling.js';
import { ReLU, Sequential } from '../nn/simple.js';
import { Network } from './network.js';
import {
  batchNorm,
  checkResNetOptions,
  type NormLayer,
  type ResNetConfiguration,
  type ResNetOptions,
} from './resnet-options.js';

// Deep Residual Learning for Image Recognition (He et al., https://arxiv.org/abs/1512.03385), as torchvision has it.

/** 3×3 convolution with padding, without bias. */
export function conv3x3(inplanes: number, planes: number, stride = 1, groups = 1, dilation = 1): Conv2d {
  return new Conv2d(inplanes, planes, 3, { stride, padding: dilation, groups, dilation, bias: false });
}

/** 1×1 convolution, without bias. */
export function conv1x1(inplanes: number, planes: number, stride = 1): Conv2d {
  return new Conv2d(inplanes, planes, 1, { stride, bias: false });
}

/** What ResNet hands to the constructor of each block, beside the channels coming in and `planes`. */
export interface BlockOptions {
  /** Default 1. */
  readonly stride?: number;
  /** The shortcut, where x itself does not fit. */
  readonly downsample?: Module | undefined;
  /** False for blocks of a plain network, which have no shortcut. Default true. */
  readonly residual?: boolean;
  /** Default 1. */
  readonly groups?: number;
  /** Channels of a group at 64 planes. Default 64. */
  readonly baseWidth?: number;
  /** Default 1. */
  readonly dilation?: number;
  /** Default: BatchNorm2d. */
  readonly normLayer?: NormLayer;
}

/** The class of a block: it gives `planes * expansion` channels. */
export interface BlockType {
  readonly expansion: number;
  new (inplanes: number, planes: number, options?: BlockOptions): Block;
}

/** What a ResNet's stages are made of. A subclass has a `static readonly expansion` and its own forward. */
export abstract class Block extends Module {
  declare readonly downsample: Module | undefined;
  readonly residual: boolean;

  constructor(options: BlockOptions = {}) {
    super();
    this.residual = options.residual ?? true;
  }

  /** The block's end: the shortcut of x added to `out`; `out` alone in a plain network. */
  protected addShortcut(out: Value, x: Value): Value {
    if (!this.residual) return out;
    return add(out, this.downsample ? this.downsample.forward(x) : x);
  }
}

/** Two 3×3 convolutions and a shortcut: the block of ResNet-18 and ResNet-34. */
export class BasicBlock extends Block {
  static readonly expansion: number = 1;

  readonly conv1: Conv2d;
  readonly bn1: Module;
  readonly relu = new ReLU();
  readonly conv2: Conv2d;
  readonly bn2: Module;
  override readonly downsample: Module | undefined;

  /** @throws ResNetError `UNSUPPORTED` for groups, another width or dilation. */
  constructor(inplanes: number, planes: number, options: BlockOptions = {}) {
    super(options);
    const { stride = 1, groups = 1, baseWidth = 64, dilation = 1, normLayer = batchNorm } = options;
    if (groups !== 1 || baseWidth !== 64) {
      throw new ResNetError(
        'UNSUPPORTED',
        `BasicBlock supports groups 1 and a width of 64 only but received ${groups} and ${baseWidth}: use Bottleneck`,
      );
    }
    if (dilation > 1) {
      throw new ResNetError('UNSUPPORTED', 'BasicBlock supports no dilation: use Bottleneck');
    }
    this.conv1 = conv3x3(inplanes, planes, stride);
    this.bn1 = normLayer(planes);
    this.conv2 = conv3x3(planes, planes);
    this.bn2 = normLayer(planes);
    this.downsample = options.downsample;
  }

  override forward(x: Value): Value {
    let out = this.relu.forward(this.bn1.forward(this.conv1.forward(x)));
    out = this.bn2.forward(this.conv2.forward(out));
    return this.relu.forward(this.addShortcut(out, x));
  }
}

/**
 * A 1×1, a 3×3 and a 1×1 convolution and a shortcut: the block of the deeper ResNets. The stride is on the 3×3, where
 * the paper has it on the first 1×1; the field calls this ResNet v1.5.
 */
export class Bottleneck extends Block {
  static readonly expansion: number = 4;

  readonly conv1: Conv2d;
  readonly bn1: Module;
  readonly conv2: Conv2d;
  readonly bn2: Module;
  readonly conv3: Conv2d;
  readonly bn3: Module;
  readonly relu = new ReLU();
  override readonly downsample: Module | undefined;

  constructor(inplanes: number, planes: number, options: BlockOptions = {}) {
    super(options);
    const { stride = 1, groups = 1, baseWidth = 64, dilation = 1, normLayer = batchNorm } = options;
    const width = Math.trunc(planes * (baseWidth / 64)) * groups;
    const outplanes = planes * (this.constructor as unknown as BlockType).expansion;
    this.conv1 = conv1x1(inplanes, width);
    this.bn1 = normLayer(width);
    this.conv2 = conv3x3(width, width, stride, groups, dilation);
    this.bn2 = normLayer(width);
    this.conv3 = conv1x1(width, outplanes);
    this.bn3 = normLayer(outplanes);
    this.downsample = options.downsample;
  }

  override forward(x: Value): Value {
    let out = this.relu.forward(this.bn1.forward(this.conv1.forward(x)));
    out = this.relu.forward(this.bn2.forward(this.conv2.forward(out)));
    out = this.bn3.forward(this.conv3.forward(out));
    return this.relu.forward(this.addShortcut(out, x));
  }
}

/** The paper's option A: every `stride`-th pixel, and zeros for the channels that x lacks. */
export class ZeroPad extends Module {
  constructor(
    readonly stride: number,
    readonly outplanes: number,
  ) {
    super();
  }

  override forward(x: Value): Value {
    return zeroPadShortcut(x, { stride: this.stride, outChannels: this.outplanes });
  }
}

/** The ResNet of torchvision: attribute names, and so state-dict keys and node names, are the same. */
export class ResNet extends Network {
  readonly conv1: Conv2d;
  readonly bn1: Module;
  readonly relu = new ReLU();
  /** The CIFAR form has neither this nor a fourth stage. */
  readonly maxpool: MaxPool2d | undefined;
  readonly layer1: Sequential;
  readonly layer2: Sequential;
  readonly layer3: Sequential;
  readonly layer4: Sequential | undefined;
  readonly avgpool: AdaptiveAvgPool2d;
  readonly fc: Linear;

  /** Channels that the next stage gets, and its dilation so far: `_makeLayer` moves both on. */
  protected inplanes: number;
  protected dilation = 1;
  protected readonly options: ResNetConfiguration;

  /**
   * @param layers Blocks of each stage: four, or three in the CIFAR form.
   * @throws ResNetError `INVALID_ARGUMENT`, `UNSUPPORTED`.
   */
  constructor(block: BlockType, layers: readonly number[], options: ResNetOptions = {}) {
    super();
    checkBlock(block);
    this.options = checkResNetOptions(layers, options);
    const [blocks1, blocks2, blocks3, blocks4] = this.options.layers;
    const [dilate2, dilate3, dilate4] = this.options.replaceStrideWithDilation;
    const cifar = this.options.stem === 'cifar';
    const planes = cifar ? 16 : 64;

    this.inplanes = planes;
    this.conv1 = cifar
      ? conv3x3(3, planes)
      : new Conv2d(3, planes, 7, { stride: 2, padding: 3, bias: false });
    this.bn1 = this.options.normLayer(planes);
    this.maxpool = cifar ? undefined : new MaxPool2d(3, { stride: 2, padding: 1 });
    this.layer1 = this._makeLayer(block, planes, blocks1);
    this.layer2 = this._makeLayer(block, 2 * planes, blocks2, { stride: 2, dilate: dilate2 });
    this.layer3 = this._makeLayer(block, 4 * planes, blocks3, { stride: 2, dilate: dilate3 });
    this.layer4 = blocks4
      ? this._makeLayer(block, 8 * planes, blocks4, { stride: 2, dilate: dilate4 })
      : undefined;
    this.avgpool = new AdaptiveAvgPool2d(1);
    this.fc = new Linear(this.inplanes, this.options.numClasses);
    this.#initialize();
  }

  /** A stage of `blocks` blocks of `planes`, the first of which strides, or dilates instead. */
  protected _makeLayer(
    block: BlockType,
    planes: number,
    blocks: number,
    { stride = 1, dilate = false }: { stride?: number; dilate?: boolean | undefined } = {},
  ): Sequential {
    const { groups, widthPerGroup: baseWidth, normLayer, shortcut } = this.options;
    const common = { groups, baseWidth, normLayer, residual: shortcut !== 'none' };
    const outplanes = planes * block.expansion;
    const firstStride = dilate ? 1 : stride;
    const downsample = this._makeShortcut(outplanes, firstStride);
    const first = { ...common, stride: firstStride, downsample, dilation: this.dilation };
    const stage: Block[] = [new block(this.inplanes, planes, first)];
    this.inplanes = outplanes;
    if (dilate) this.dilation *= stride;
    while (stage.length < blocks) {
      const next = { ...common, downsample: this._makeShortcut(outplanes, 1), dilation: this.dilation };
      stage.push(new block(this.inplanes, planes, next));
    }
    return new Sequential(...stage);
  }

  /** What x passes on its way around a block; undefined where it goes as it is or there is no shortcut. */
  protected _makeShortcut(outplanes: number, stride: number): Module | undefined {
    const { shortcut, normLayer } = this.options;
    const fits = stride === 1 && this.inplanes === outplanes;
    if (shortcut === 'none' || (fits && shortcut !== 'projection-all')) return undefined;
    if (shortcut === 'zero-pad') return new ZeroPad(stride, outplanes);
    return new Sequential(conv1x1(this.inplanes, outplanes, stride), normLayer(outplanes));
  }

  override forward(x: Value): Value {
    let out = this.relu.forward(this.bn1.forward(this.conv1.forward(x)));
    if (this.maxpool) out = this.maxpool.forward(out);
    out = this.layer1.forward(out);
    out = this.layer2.forward(out);
    out = this.layer3.forward(out);
    if (this.layer4) out = this.layer4.forward(out);
    return this.fc.forward(flatten(this.avgpool.forward(out), 1));
  }

  #initialize(): void {
    for (const [, module] of this.namedModules()) {
      if (module instanceof Conv2d) module.weight.initialize(kaimingNormalFanOut(module.weight.shape));
      if (!this.options.zeroInitResidual) continue;
      const last =
        module instanceof Bottleneck ? module.bn3 : module instanceof BasicBlock ? module.bn2 : null;
      if (last instanceof BatchNorm2d) last.weight?.initialize(constant(0));
    }
  }
}

function checkBlock(block: unknown): void {
  if (!(typeof block === 'function' && block.prototype instanceof Block)) {
    throw invalid('block', 'BasicBlock, Bottleneck or a subclass of Block', block);
  }
  checkInteger(`expansion of ${block.name}`, (block as unknown as BlockType).expansion, 1);
}
