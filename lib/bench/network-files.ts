import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { toOnnx } from '../graph/onnx.js';
import { quantizeModel } from '../models/quantize.js';
import { Random } from '../nn/random.js';
import { Tensor } from '../tensor.js';
import { saveSafetensors } from '../weights/save.js';
import { type BenchNetwork, benchNetwork } from './networks.js';
import { QUANTIZE_SCRIPT } from './peers.js';

/** Normally distributed pixels like those that are measured, for every engine's own tool to quantise with. */
const CALIBRATION_IMAGES = 16;

/** One network as the files that engines load; `onnx` is empty where no such file was asked for. */
export interface EngineFiles {
  readonly safetensors: string;
  readonly onnx: string;
  /** Why there is no ONNX file though one was asked for. */
  readonly onnxMissing?: string;
}

/** A network and its input as the files that engines load, in a temporary folder of their own. */
export class NetworkFiles implements AsyncDisposable {
  #int8: Promise<EngineFiles> | undefined;

  private constructor(
    readonly arch: string,
    readonly network: BenchNetwork,
    private readonly folder: string,
    readonly safetensors: string,
    /** Empty where no ONNX file was asked for. */
    readonly onnx: string,
    private readonly python: string | undefined,
  ) {}

  /**
   * @param options.outputs of the ONNX file.
   * @param options.python an interpreter that has onnxruntime, which quantises ONNX files for peers.
   */
  static async write(
    arch: string,
    withOnnx: boolean,
    { outputs = ['logits'], python }: { outputs?: readonly string[]; python?: string | undefined } = {},
  ): Promise<NetworkFiles> {
    const network = await benchNetwork(arch);
    const folder = await mkdtemp(join(tmpdir(), 'resnet-native-bench-'));
    const onnx = withOnnx ? join(folder, 'model.onnx') : '';
    const files = new NetworkFiles(arch, network, folder, join(folder, 'model.safetensors'), onnx, python);
    try {
      await saveSafetensors(files.safetensors, network.model);
      if (onnx) await writeFile(onnx, toOnnx(network.model, { outputs }));
      return files;
    } catch (error) {
      await files[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The files for a dtype: int8 is quantised before anything is measured, the others convert while they load. */
  for(dtype: string): Promise<EngineFiles> {
    if (dtype !== 'int8') return Promise.resolve({ safetensors: this.safetensors, onnx: this.onnx });
    this.#int8 ??= this.#quantize();
    return this.#int8;
  }

  async #quantize(): Promise<EngineFiles> {
    const { model, imageSize } = this.network;
    const shape = [CALIBRATION_IMAGES, model.inputChannels, imageSize, imageSize];
    const images = normalPixels(shape, 1);
    const safetensors = join(this.folder, 'int8.safetensors');
    await saveSafetensors(safetensors, await quantizeModel(model, Tensor.fromFloat32(images, shape)));
    if (!this.onnx) return { safetensors, onnx: '' };
    if (this.python === undefined) {
      return {
        safetensors,
        onnx: '',
        onnxMissing: 'onnxruntime in Python quantises it: point --python at one that has it',
      };
    }
    const onnx = join(this.folder, 'int8.onnx');
    const calibration = join(this.folder, 'calibration.f32');
    await writeFile(calibration, images);
    try {
      await promisify(execFile)(this.python, [QUANTIZE_SCRIPT, this.onnx, calibration, shape.join(), onnx]);
      return { safetensors, onnx };
    } catch (error) {
      return {
        safetensors,
        onnx: '',
        onnxMissing: `bench/peers/quantize.py failed: ${(error as Error).message}`,
      };
    }
  }

  /** Writes a batch of normally distributed pixels, the same for the same shape, and returns its path. */
  async writeInput(shape: readonly number[]): Promise<string> {
    const path = join(this.folder, 'input.f32');
    await writeFile(path, normalPixels(shape, 0));
    return path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}

function normalPixels(shape: readonly number[], seed: number): Float32Array<ArrayBuffer> {
  const data = new Float32Array(shape.reduce((product, size) => product * size, 1));
  new Random(seed, 0).fillNormal(data, 1);
  return data;
}
