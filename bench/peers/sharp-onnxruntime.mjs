// What one would write with sharp and onnxruntime-node: image files to one output of a network, in batches, the next of
// which is decoded while this one is computed.

const RESIZE = 256;
const CROP = 224;
const MEAN = [0.485, 0.456, 0.406];
const STD = [0.229, 0.224, 0.225];

/**
 * Loads a network.
 * @param {{ onnx: string, threads: number, batch: number, output: string }} settings
 * @returns a generator function over files: of { data, width }, the rows of each batch and their length.
 */
export async function loadSharpOnnxRuntime(
  { onnx, threads, batch, output },
  sharp,
  { InferenceSession, Tensor },
) {
  const session = await InferenceSession.create(onnx, {
    graphOptimizationLevel: 'all',
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
  });
  const decode = async (files) => {
    const images = await Promise.all(files.map((file) => decodeImage(sharp, file)));
    const data = new Float32Array(images.length * 3 * CROP * CROP);
    images.forEach((rows, i) => {
      normalise(rows, data.subarray(i * 3 * CROP * CROP));
    });
    return new Tensor('float32', data, [images.length, 3, CROP, CROP]);
  };
  return async function* (files) {
    const batches = [];
    for (let i = 0; i < files.length; i += batch) batches.push(files.slice(i, i + batch));
    let next = decode(batches[0]);
    for (let i = 0; i < batches.length; i++) {
      const input = await next;
      if (i + 1 < batches.length) next = decode(batches[i + 1]);
      const { data, dims } = (await session.run({ input }))[output];
      yield { data, width: data.length / dims[0] };
    }
  };
}

async function decodeImage(sharp, file) {
  const { data, info } = await sharp(file)
    .resize(RESIZE, RESIZE, { fit: 'outside' })
    .removeAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  const [top, left] = [info.height, info.width].map((size) => Math.round((size - CROP) / 2));
  const rows = Array.from({ length: CROP }, (_, y) => ((top + y) * info.width + left) * 3);
  return rows.map((start) => data.subarray(start, start + CROP * 3));
}

/** Rows of RGB bytes to planes of normalised floats. */
function normalise(rows, planes) {
  for (let c = 0; c < 3; c++) {
    const [scale, shift] = [1 / (255 * STD[c]), MEAN[c] / STD[c]];
    let at = c * CROP * CROP;
    for (const row of rows) for (let x = c; x < row.length; x += 3) planes[at++] = row[x] * scale - shift;
  }
}
