import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { toOnnx } from '../graph/onnx.js';
import { quantizeModel } from '../models/quantize.js';
import { Random } from '../nn/random.js';
import { compileModel } from '../runtime/compile.js';
import { Tensor } from '../tensor.js';
import { saveSafetensors } from '../weights/save.js';
import { type BenchNetwork, benchNetwork } from './networks.js';
import { QUANTIZE_SCRIPT } from './peers.js';

const CALIBRATION_IMAGES = 16;

/** One network as the files that engines load; `onnx` is empty where no such file was asked for. */
export interface EngineFiles {
  readonly safetensors: string;
  readonly onnx: string;
  /** Why there is no ONNX file though one was asked for. */
  readonly onnxMissing?: string;
}

export interface NetworkFilesOptions {
  /** Of the ONNX file. Default `['logits']`. */
  readonly outputs?: readonly string[] | undefined;
  /** An interpreter that has onnxruntime, which quantises ONNX files for peers. */
  readonly python?: string | undefined;
  /** What every engine's own tool quantises with, [n, c, h, w]. Default: normally distributed pixels. */
  readonly calibration?: Tensor<Float32Array> | undefined;
}

/** A network and its input as the files that engines load, in a temporary folder of their own. */
export class NetworkFiles implements AsyncDisposable {
  #int8: Promise<EngineFiles> | undefined;
  readonly #float32 = new Map<string, Promise<readonly number[]>>();

  private constructor(
    readonly arch: string,
    readonly network: BenchNetwork,
    private readonly folder: string,
    readonly safetensors: string,
    /** Empty where no ONNX file was asked for. */
    readonly onnx: string,
    private readonly options: NetworkFilesOptions,
  ) {}

  static async write(
    arch: string,
    withOnnx: boolean,
    options: NetworkFilesOptions = {},
  ): Promise<NetworkFiles> {
    const { outputs = ['logits'] } = options;
    const network = await benchNetwork(arch);
    const folder = await mkdtemp(join(tmpdir(), 'resnet-native-bench-'));
    const onnx = withOnnx ? join(folder, 'model.onnx') : '';
    const files = new NetworkFiles(arch, network, folder, join(folder, 'model.safetensors'), onnx, options);
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
    const { python, calibration = this.#normalImages() } = this.options;
    const safetensors = join(this.folder, 'int8.safetensors');
    await saveSafetensors(safetensors, await quantizeModel(this.network.model, calibration));
    if (!this.onnx) return { safetensors, onnx: '' };
    if (python === undefined) {
      return {
        safetensors,
        onnx: '',
        onnxMissing: 'onnxruntime in Python quantises it: point --python at one that has it',
      };
    }
    const onnx = join(this.folder, 'int8.onnx');
    const pixels = join(this.folder, 'calibration.f32');
    await writeFile(pixels, calibration.data);
    try {
      const args = [QUANTIZE_SCRIPT, this.onnx, pixels, calibration.shape.join(), onnx];
      await promisify(execFile)(python, args);
      return { safetensors, onnx };
    } catch (error) {
      return {
        safetensors,
        onnx: '',
        onnxMissing: `bench/peers/quantize.py failed: ${(error as Error).message}`,
      };
    }
  }

  #normalImages(): Tensor<Float32Array> {
    const { model, imageSize } = this.network;
    const shape = [CALIBRATION_IMAGES, model.inputChannels, imageSize, imageSize];
    return Tensor.fromFloat32(normalPixels(shape, 1), shape);
  }

  /** What our float32 makes of the batch that `writeInput` writes for this shape. */
  float32Logits(shape: readonly [number, number, number, number]): Promise<readonly number[]> {
    const key = shape.join();
    const logits = this.#float32.get(key) ?? this.#computeFloat32(shape);
    this.#float32.set(key, logits);
    return logits;
  }

  async #computeFloat32(shape: readonly [number, number, number, number]): Promise<readonly number[]> {
    const options = { device: 'cpu', dtype: 'float32', maxBatch: shape[0] } as const;
    const session = await compileModel(this.network.model, options);
    try {
      const { logits } = await session.run(Tensor.fromFloat32(normalPixels(shape, 0), shape));
      return Array.from(logits?.data as Float32Array);
    } finally {
      await session.close();
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
