// Embeds the images of a folder and shows the nearest neighbours of any of them in a web page.
//
//   cd examples/similar-images && npm install
//   node server.mjs ../../models/digits-heldout                          with the model that the package ships
//   node server.mjs ~/photos resnet50.safetensors                        with another one

import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import hnswlib from 'hnswlib-node';
import { createFeatureExtractor, loadModel } from 'resnet-native';

const SHIPPED = fileURLToPath(new URL('../../models/digits-resnet20.safetensors', import.meta.url));
const PAGE = new URL('page.html', import.meta.url);
const NEIGHBOURS = 24;
const GROWTH = 10_000;

const [folder, weights = SHIPPED] = process.argv.slice(2);
if (folder === undefined) {
  console.error('usage: node server.mjs FOLDER [WEIGHTS]');
  process.exit(2);
}

/** The folder's images by number, and an index of their features by cosine. */
async function embed() {
  const extractor = await createFeatureExtractor(await loadModel(weights), { outputs: ['avgpool'] });
  const [paths, vectors] = [[], []];
  let index;
  for await (const { key, features, error } of extractor.stream(folder, { onError: 'return' })) {
    if (error) {
      console.error(error.message);
      continue;
    }
    const vector = [...features.avgpool.data];
    if (!index) {
      index = new hnswlib.HierarchicalNSW('cosine', vector.length);
      index.initIndex(GROWTH);
    }
    if (paths.length === index.getMaxElements()) index.resizeIndex(paths.length + GROWTH);
    index.addPoint(vector, paths.length);
    vectors.push(vector);
    paths.push(key);
  }
  await extractor.close();
  return { paths, vectors, index };
}

const start = performance.now();
const { paths, vectors, index } = await embed();
console.log(`${paths.length} images in ${((performance.now() - start) / 1000).toFixed(1)} s`);

/** The nearest images, the image itself first. */
function similar(image) {
  const { neighbors, distances } = index.searchKnn(vectors[image], Math.min(NEIGHBOURS, paths.length));
  return neighbors.map((id, i) => ({ id, name: paths[id], similarity: 1 - distances[i] }));
}

// Only images of the folder are served, and by their numbers: no path comes from a request.
const server = createServer(async (request, response) => {
  try {
    const [, what, number] = request.url.split('/');
    const known = /^\d+$/.test(number ?? '') && Number(number) < paths.length;
    if (request.url === '/') response.end(await readFile(PAGE));
    else if (request.url === '/images') response.end(JSON.stringify(paths));
    else if (what === 'image' && known) response.end(await readFile(paths[number]));
    else if (what === 'similar' && known) response.end(JSON.stringify(similar(Number(number))));
    else response.writeHead(404).end();
  } catch (error) {
    console.error(error);
    response.writeHead(500).end();
  }
});
server.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${server.address().port}`);
});
