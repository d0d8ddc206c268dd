// One engine of bench/extract, in a process of its own: image files to a .npy file of `avgpool`. Requests and answers
// are lines of JSON, as in lib/bench/protocol.ts.
//
//   node bench/extract/engine.mjs resnet-native|sharp-onnxruntime|transformers FOLDER-WITH-THE-PEERS

import { createRequire } from 'node:module';
import { join } from 'node:path';
import process from 'node:process';
import { answerLines } from '../../dist/bench/answer-lines.js';
import { peakMemoryBytes } from '../../dist/bench/peak-memory.js';

const LOADERS = {
  'resnet-native': async () => (await import('./own.mjs')).load,
  'sharp-onnxruntime': async (require) => {
    const { loadSharpOnnxRuntime } = await import('../peers/sharp-onnxruntime.mjs');
    const load = async (settings) => {
      return loadSharpOnnxRuntime(
        { ...settings, output: 'avgpool' },
        require('sharp'),
        require('onnxruntime-node'),
      );
    };
    return intoNpy(load);
  },
  transformers: async (require) => {
    const transformers = await import(require.resolve('@huggingface/transformers').replace('.cjs', '.mjs'));
    const { loadTransformers } = await import('../peers/transformers.mjs');
    return intoNpy((settings) => loadTransformers(settings, transformers));
  },
};

/** A loader of a peer that gives rows batch by batch, as one that writes them. */
function intoNpy(loadPeer) {
  return async (settings) => {
    const { NpyFile } = await import('../peers/npy-file.mjs');
    const rowsOf = await loadPeer(settings);
    return async (files, out) => {
      const file = new NpyFile(join(out, 'features.npy'), files.length);
      for await (const { data, width } of rowsOf(files)) file.write(data, width);
      file.close();
    };
  };
}

const [, , engine, peers] = process.argv;
const loader = await LOADERS[engine](createRequire(join(peers, 'package.json')));
let loaded;

await answerLines(async ({ op, ...request }) => {
  if (op === 'memory') return { peakRssBytes: peakMemoryBytes() };
  const start = performance.now();
  if (op === 'load') {
    loaded = await loader(request);
    return { loadMs: performance.now() - start };
  }
  if (op === 'alone') return loaded.alone(request.files);
  const told = await loaded(request.files, request.out);
  return { seconds: (performance.now() - start) / 1000, ...told };
});
