import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parquetMetadata, parquetReadObjects } from 'hyparquet';
import { beforeAll, expect, test } from 'vitest';
import { extractFeatures } from '../../lib/extract/extract-features.js';
import { loadModel } from '../../lib/models/load.js';
import { readStateDict } from '../../lib/weights/read.js';
import { DIGITS_MODEL, HELD_OUT } from '../tasks/digits.js';
import { allRows, readNpy, temporaryFolder } from './folders.js';
import { missingPython, python } from './python.js';

// Enough for two row groups of layer2.
const COUNT = 40;
const OUTPUTS = ['layer2', 'avgpool'];
const base = temporaryFolder();
const images = join(base, 'images');
let values: number[];
let keys: string[];

beforeAll(async () => {
  mkdirSync(images);
  for (const file of HELD_OUT.slice(0, COUNT)) copyFileSync(file, join(images, basename(file)));
  const model = await loadModel(DIGITS_MODEL);
  const extract = (format: 'npy' | 'parquet' | 'safetensors', options = {}) =>
    extractFeatures(model, images, { out: join(base, format), outputs: OUTPUTS, format, ...options });
  await extract('npy');
  await extract('parquet');
  await extract('safetensors');
  await extract('npy', { out: join(base, 'half'), storeDtype: 'float16' });
  const rows = allRows(join(base, 'npy'), 'avgpool');
  values = rows.flatMap(({ row }) => row ?? []);
  keys = rows.map(({ key }) => key);
});

test('parquet has a key and a list of required FLOAT for each output', async () => {
  const bytes = readFileSync(join(base, 'parquet', 'part-00000.parquet'));
  const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer;
  const { schema, row_groups, key_value_metadata } = parquetMetadata(file);
  const element = { name: 'element', type: 'FLOAT', repetition_type: 'REQUIRED' };
  expect(schema.slice(5)).toMatchObject([
    { name: 'avgpool', converted_type: 'LIST', repetition_type: 'REQUIRED' },
    { name: 'list', repetition_type: 'REPEATED' },
    element,
  ]);
  expect(row_groups.map(({ num_rows }) => Number(num_rows))).toEqual([32, 8]);
  expect(key_value_metadata?.map(({ key }) => key)).toContain('ARROW:schema');
  const rows = await parquetReadObjects({ file });
  expect(rows.map(({ key }) => key)).toEqual(keys);
  expect(rows.flatMap(({ avgpool }) => avgpool)).toEqual(values);
  const maps = readNpy(join(base, 'npy', 'part-00000.layer2.npy')).data;
  expect(rows.flatMap(({ layer2 }) => layer2)).toEqual([...maps]);
});

test('safetensors has a tensor for each output', async () => {
  const state = await readStateDict(join(base, 'safetensors', 'part-00000.safetensors'));
  expect([...state.keys()]).toEqual(OUTPUTS);
  expect(state.get('avgpool')).toMatchObject({ dtype: 'float32', shape: [COUNT, 64] });
  expect(state.get('avgpool')?.data).toEqual(Float32Array.from(values));
  const maps = readNpy(join(base, 'npy', 'part-00000.layer2.npy'));
  expect(state.get('layer2')).toMatchObject({ shape: [COUNT, 32, 16, 16] });
  expect(state.get('layer2')?.data).toEqual(maps.data);
});

const PACKAGES = 'numpy, pyarrow, duckdb, safetensors';

test('numpy, pyarrow, DuckDB and safetensors read it', (context) => {
  const missing = missingPython(PACKAGES);
  if (missing) return context.skip(missing);
  for (const file of ['parquet/part-00000.parquet', 'safetensors/part-00000.safetensors']) {
    copyFileSync(join(base, file), join(base, 'npy', basename(file)));
  }
  const half = join(base, 'half', 'part-00000.avgpool.npy');
  copyFileSync(half, join(base, 'npy', 'part-00000.avgpool.half.npy'));
  const script = fileURLToPath(new URL('read_features.py', import.meta.url));
  const output = execFileSync(python as string, [script, join(base, 'npy'), 'avgpool'], {
    maxBuffer: 2 ** 28,
  });
  const found = JSON.parse(output.toString());

  expect(found.numpy).toMatchObject({ type: 'memmap', dtype: 'float32', shape: [COUNT, 64], values });
  expect(found.numpy.half).toEqual({ dtype: 'float16', nearest: true });
  expect(found.pyarrow).toMatchObject({ fixed: true, size: 64, nulls: 0, keys, values });
  expect(found.duckdb).toMatchObject({ types: ['FLOAT[]'], lengths: [64], keys });
  const sums = keys.map((_, row) => values.slice(row * 64, row * 64 + 64).reduce((a, b) => a + b));
  for (const [row, sum] of sums.entries()) expect(found.duckdb.sums[row]).toBeCloseTo(sum, 4);
  expect(found.safetensors.avgpool).toMatchObject({ dtype: 'float32', shape: [COUNT, 64], values });
  expect(found.safetensors.layer2).toMatchObject({ shape: [COUNT, 32, 16, 16] });
});
