// What one would write with transformers.js: the pipeline `image-feature-extraction` over a local model.

/**
 * @param {{ transformers: string, threads: number, batch: number }} settings `transformers`: a folder
 * with config.json, preprocessor_config.json and onnx/model.onnx.
 * @returns a generator function over files: of { data, width }, the rows of each batch and their length.
 */
export async function loadTransformers({ transformers, threads, batch }, { env, pipeline }) {
  env.allowRemoteModels = false;
  const extractor = await pipeline('image-feature-extraction', transformers, {
    dtype: 'fp32',
    device: 'cpu',
    session_options: { intraOpNumThreads: threads, interOpNumThreads: 1 },
  });
  return async function* (files) {
    const batches = [];
    for (let i = 0; i < files.length; i += batch) batches.push(files.slice(i, i + batch));
    // The next call reads and decodes while one computes.
    const calls = [];
    for (const batchFiles of [...batches, undefined]) {
      if (batchFiles) calls.push(extractor(batchFiles, { pool: true }));
      if (calls.length < 2 && batchFiles) continue;
      const { data, dims } = await calls.shift();
      yield { data, width: data.length / dims[0] };
    }
  };
}
