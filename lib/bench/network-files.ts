import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toOnnx } from '../graph/onnx.js';
import { Random } from '../nn/random.js';
import { saveSafetensors } from '../weights/save.js';
import { type BenchNetwork, benchNetwork } from './networks.js';

/** A network and its input as the files that engines load, in a temporary folder of their own. */
export class NetworkFiles implements AsyncDisposable {
  private constructor(
    readonly arch: string,
    readonly network: BenchNetwork,
    private readonly folder: string,
    readonly safetensors: string,
    /** Empty where no ONNX file was asked for. */
    readonly onnx: string,
  ) {}

  /** @param outputs of the ONNX file. */
  static async write(arch: string, withOnnx: boolean, outputs = ['logits']): Promise<NetworkFiles> {
    const network = await benchNetwork(arch);
    const folder = await mkdtemp(join(tmpdir(), 'resnet-native-bench-'));
    const onnx = withOnnx ? join(folder, 'model.onnx') : '';
    const files = new NetworkFiles(arch, network, folder, join(folder, 'model.safetensors'), onnx);
    try {
      await saveSafetensors(files.safetensors, network.model);
      if (onnx) await writeFile(onnx, toOnnx(network.model, { outputs }));
      return files;
    } catch (error) {
      await files[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Writes a batch of normally distributed pixels, the same for the same shape, and returns its path. */
  async writeInput(shape: readonly number[]): Promise<string> {
    const data = new Float32Array(shape.reduce((product, size) => product * size, 1));
    new Random(0, 0).fillNormal(data, 1);
    const path = join(this.folder, 'input.f32');
    await writeFile(path, data);
    return path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}
