// This package as an engine of bench/extract: extractFeatures into .npy, with all that it does to lose nothing.

import { rm } from 'node:fs/promises';
import { ratesAlone } from '../../dist/extract/alone.js';
import { createExtraction } from '../../dist/extract/extraction.js';
import { extractFeatures, loadModel } from '../../dist/index.js';
import { inputEntries } from '../../dist/sources/inputs.js';

export async function load({ safetensors, threads, batch, dtype }) {
  const model = await loadModel(safetensors);
  const options = { device: 'cpu', threads, batch, dtype };
  const extract = async (files, out) => {
    await rm(out, { recursive: true, force: true });
    // Its own clock starts when the network is compiled, as the peers are loaded before theirs.
    const { seconds } = await extractFeatures(model, files, { ...options, out, shardSize: files.length });
    return { seconds };
  };
  /** Images/s of decoding and of computing with the machine to itself. */
  const alone = async (files) => {
    const extraction = await createExtraction(model, options);
    try {
      return await ratesAlone(extraction, inputEntries(files), files.length);
    } finally {
      await extraction.close();
    }
  };
  return Object.assign(extract, { alone });
}
