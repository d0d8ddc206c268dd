import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import { EngineProcess } from '../../dist/bench/engine-process.js';
import { NetworkFiles } from '../../dist/bench/network-files.js';
import { resolveOnnxRuntime } from '../../dist/bench/peers.js';
import { ownVersion, versionOf } from '../../dist/bench/versions.js';

export const OWN = 'resnet-native';
export const PEER = 'Fastify + onnxruntime-node';
const SIDE = 224;
const SMALL_SIDE = 32;
const WARM_UP_SECONDS = 5;

/** A script of this folder in a process of its own, which answers `ask({ op, … })`. */
function startProcess(script) {
  const args = [join(import.meta.dirname, script)];
  return new EngineProcess({ engine: script, file: process.execPath, args }, new AbortController().signal);
}

/** Of all cores, since the machine was started. */
function idleMs() {
  return cpus().reduce((sum, { times }) => sum + times.idle, 0);
}

/** The servers of a part, ours first, and the generator of the load; all end when it is disposed of. */
export class Contenders {
  generator = startProcess('generator.mjs');
  servers = [];
  #network;

  /** @param options.withPeer whether the peer is wanted; it is left out where it is not installed. */
  static async start({ arch, threads, scale, log, withPeer = false }) {
    const contenders = new Contenders();
    const modulePath = withPeer ? resolveOnnxRuntime() : undefined;
    if (withPeer && !modulePath) log('no peer: npm install --ignore-scripts in bench/peers gets it');
    try {
      contenders.#network = await NetworkFiles.write(arch, modulePath !== undefined);
      const { safetensors, onnx } = contenders.#network;
      const own = { op: 'own', safetensors, threads };
      await contenders.#add(OWN, ownVersion(), own);
      const peer = { op: 'peer', modulePath, onnx, threads, bodyLimit: 2 ** 24 };
      if (modulePath) await contenders.#add(PEER, versionOf(modulePath), peer);
      await contenders.#warmUp(WARM_UP_SECONDS * scale);
      return contenders;
    } catch (error) {
      await contenders[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #add(engine, version, request) {
    const process = startProcess('server.mjs');
    this.servers.push({ engine, version, process });
    const { port } = await process.ask(request);
    this.servers[this.servers.length - 1].port = port;
  }

  /**
   * Until the code that is hot is compiled, which takes threads of its own and thousands of requests (of small images, or
   * it would take minutes), and batches have found their size.
   */
  async #warmUp(seconds) {
    const small = { ...this.input, shape: [1, 3, SMALL_SIDE, SMALL_SIDE] };
    for (const server of this.servers) {
      await this.load(server, { op: 'closed', connections: 64, seconds, input: small });
      for (const connections of [8, 64])
        await this.load(server, { op: 'closed', connections, seconds: seconds / 2 });
    }
  }

  get own() {
    return this.servers[0];
  }

  /** One image of float32 a request: what both servers take. */
  get input() {
    return { model: 'model', name: 'input', datatype: 'FP32', shape: [1, 3, SIDE, SIDE] };
  }

  /** What a load came to, with what both sides, and all others, took meanwhile. */
  async load(server, request) {
    await server.process.ask({ op: 'usage' });
    const [idle, started] = [idleMs(), performance.now()];
    const measured = await this.generator.ask({ port: server.port, input: this.input, ...request });
    const idleCores = (idleMs() - idle) / (performance.now() - started);
    const usage = await server.process.ask({ op: 'usage' });
    const known = measured.generatorCores + usage.serverCores + idleCores;
    return { ...measured, ...usage, otherCores: Math.max(0, availableParallelism() - known) };
  }

  /** Requests a second that our server answers to many clients. */
  async capacity(seconds) {
    return (await this.load(this.own, { op: 'closed', connections: 64, seconds })).perSecond;
  }

  /** Milliseconds of each request of Poisson arrivals that our batcher gets without a server before it. */
  async inProcess(arrivals) {
    const shape = this.input.shape.slice(1);
    return (await this.own.process.ask({ op: 'inProcess', shape, ...arrivals })).ms;
  }

  /** Milliseconds of each run of our session alone. */
  async bare(batch, seconds) {
    const { ms } = await this.own.process.ask({
      op: 'bare',
      batch,
      shape: this.input.shape.slice(1),
      seconds,
    });
    return ms;
  }

  async [Symbol.asyncDispose]() {
    for (const { process } of this.servers) await process.close();
    await this.generator.close();
    await this.#network?.[Symbol.asyncDispose]();
  }
}
