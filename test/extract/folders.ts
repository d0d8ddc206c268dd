import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import type { Manifest } from '../../lib/extract/manifest.js';

// Folders to extract into, and readers of what is in them that are written after the formats' specifications.

/** A folder that goes when the tests of the file are through. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'resnet-native-extract-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export interface Rows {
  readonly shape: readonly number[];
  readonly data: Float32Array | Uint16Array;
}

/** An array of little-endian float32 or float16 (as bits) in C order. */
export function readNpy(path: string): Rows {
  const bytes = readFileSync(path);
  if (bytes.toString('latin1', 0, 8) !== '\x93NUMPY\x01\x00') throw new Error(`${path} is no npy file`);
  const start = 10 + bytes.readUInt16LE(8);
  if (start % 64 !== 0 || bytes[start - 1] !== 0x0a) throw new Error(`${path}: its header ends at ${start}`);
  const header = bytes.toString('latin1', 10, start);
  const [, dtype, sizes] =
    /^\{'descr': '<(f[42])', 'fortran_order': False, 'shape': \(([\d, ]+)\), \} *\n$/.exec(header) ?? [];
  if (!sizes) throw new Error(`${path}: its header is ${header}`);
  const shape = sizes.split(',').flatMap((size) => (size.trim() === '' ? [] : [Number(size)]));
  const data = bytes.buffer.slice(bytes.byteOffset + start, bytes.byteOffset + bytes.length);
  const rows = dtype === 'f4' ? new Float32Array(data) : new Uint16Array(data);
  if (rows.length !== shape.reduce((a, b) => a * b, 1)) throw new Error(`${path} has ${rows.length} values`);
  return { shape, data: rows };
}

export interface IndexLine {
  readonly key: string;
  readonly row?: number;
  readonly error?: { readonly code: string; readonly message: string };
  readonly top?: readonly { readonly label: string }[];
}

export function readIndex(folder: string, part: string): IndexLine[] {
  const lines = readFileSync(join(folder, `${part}.index.jsonl`), 'utf8')
    .trimEnd()
    .split('\n');
  return lines.map((line) => JSON.parse(line));
}

export function readManifest(folder: string): Manifest {
  return JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8'));
}

/** Every image of all parts with its row of one output, in the order of the parts. */
export function allRows(
  folder: string,
  output: string,
): { key: string; row: readonly number[] | undefined }[] {
  return readManifest(folder).parts.flatMap(({ name }) => {
    const { shape, data } = readNpy(join(folder, `${name}.${output}.npy`));
    const length = data.length / (shape[0] as number);
    return readIndex(folder, name).map(({ key, row }) => ({
      key,
      row: row === undefined ? undefined : [...data.subarray(row * length, (row + 1) * length)],
    }));
  });
}

/** The bytes of every file by name, without the manifest's order of writing. */
export function contents(folder: string): Record<string, string> {
  const names = readdirSync(folder).sort();
  return Object.fromEntries(names.map((name) => [name, readFileSync(join(folder, name), 'base64')]));
}
