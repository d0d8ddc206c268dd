import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ResNetError } from '../errors.js';
import { fileError } from '../file-error.js';
import { listLines } from '../sources/list-file.js';
import { writeFileAtomically } from '../weights/files.js';
import { differences, type Fingerprint } from './fingerprint.js';
import { KeySet } from './key-set.js';
import { indexFileName, type Part } from './part-writer.js';
import { TEMPORARY } from './sinks/pending-file.js';
import type { Column } from './sinks/sink.js';

const FILE_NAME = 'manifest.json';
const MANIFEST_VERSION = 1;

/** `manifest.json`: what is in a folder of features. Parts are added when they are whole and on the disk. */
export interface Manifest {
  readonly version: typeof MANIFEST_VERSION;
  readonly fingerprint: Fingerprint;
  /** The features in each part, in their order. */
  readonly columns: readonly Column[];
  readonly parts: readonly Part[];
}

export function newManifest(fingerprint: Fingerprint, columns: readonly Column[]): Manifest {
  return { version: MANIFEST_VERSION, fingerprint, columns, parts: [] };
}

/**
 * The folder's manifest, or undefined where it has none.
 * @throws ResNetError `FILE` when it cannot be read or is none.
 */
export async function readManifest(folder: string): Promise<Manifest | undefined> {
  const path = join(folder, FILE_NAME);
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw fileError(path, 'read', error);
  });
  return text === undefined ? undefined : parseManifest(path, text);
}

function parseManifest(path: string, text: string): Manifest {
  try {
    const manifest = JSON.parse(text) as Manifest;
    const { version, fingerprint, columns, parts } = manifest;
    if (version !== MANIFEST_VERSION) throw new Error(`its version is ${version}, not ${MANIFEST_VERSION}`);
    if (typeof fingerprint !== 'object' || !Array.isArray(columns) || !parts.every(isPart)) {
      throw new Error('it lacks fields');
    }
    return manifest;
  } catch (error) {
    const reason = (error as Error).message;
    throw new ResNetError('FILE', `${path} is no manifest of features: ${reason}; use another folder`, {
      cause: error,
    });
  }
}

function isPart({ name, images, errors, files }: Part): boolean {
  return /^part-\d{5,}$/.test(name) && images >= errors && typeof files === 'object' && files !== null;
}

/** @throws ResNetError `FILE`. */
export async function writeManifest(folder: string, manifest: Manifest): Promise<void> {
  const { parts, ...rest } = manifest;
  // A line a part: thousands of them stay readable, and comparable.
  const lines = parts.map((part) => `\n  ${JSON.stringify(part)}`).join(',');
  const text = `${JSON.stringify(rest, undefined, 1).slice(0, -2)},\n "parts": [${lines}\n ]\n}\n`;
  await writeFileAtomically(join(folder, FILE_NAME), [Buffer.from(text)]);
}

/** @throws ResNetError `INVALID_ARGUMENT` unless the folder's features are of the same kind. */
export function checkFingerprint(folder: string, { fingerprint }: Manifest, wanted: Fingerprint): void {
  const found = differences(fingerprint, wanted);
  if (found === '') return;
  throw new ResNetError(
    'INVALID_ARGUMENT',
    `${folder} holds features of another kind, which must not be mixed: ${found}. Use another folder`,
  );
}

/** In a folder that the machines of a queue write: the lists of what each part is of. */
export const PLAN_FOLDER = 'plan';

/**
 * Parts that one run cut and parts that a queue planned do not go together: each would take the other's for its own.
 * @throws ResNetError `INVALID_ARGUMENT` for a folder of the other kind.
 */
export async function checkWriter(folder: string, { parts }: Manifest, queued: boolean): Promise<void> {
  const planned = (await readdir(folder)).includes(PLAN_FOLDER);
  if (planned === queued || (!planned && parts.length === 0)) return;
  const [made, advice] = planned ? ['with', 'go on with the same queue'] : ['without', 'go on without one'];
  throw new ResNetError(
    'INVALID_ARGUMENT',
    `The features in ${folder} were begun ${made} a queue: ${advice}, or use another folder`,
  );
}

/**
 * The keys of all images in the finished parts.
 * @throws ResNetError `FILE` when a file of a part is absent, or not as long as it was written.
 */
export async function finishedKeys(folder: string, { parts }: Manifest): Promise<KeySet> {
  const keys = new KeySet();
  for (const { name, files } of parts) {
    for (const [file, size] of Object.entries(files)) await checkSize(join(folder, file), size, name);
    for await (const line of listLines(join(folder, indexFileName(name)), undefined)) {
      keys.add((JSON.parse(line) as { key: string }).key);
    }
  }
  return keys;
}

async function checkSize(path: string, size: number, part: string): Promise<void> {
  const found = await stat(path).catch((error: unknown) => {
    throw fileError(path, 'read', error);
  });
  if (found.size === size) return;
  throw new ResNetError(
    'FILE',
    `${path} has ${found.size} bytes but was written with ${size}: restore it, or take ${part} out of ` +
      'manifest.json to have its images extracted again',
  );
}

/** Takes away what an earlier run left unfinished: temporary files, and a part that never came into the manifest. */
export async function removeUnfinished(folder: string, manifest: Manifest | undefined): Promise<void> {
  const finished = new Set(manifest?.parts.flatMap(({ files }) => Object.keys(files)));
  for (const name of await readdir(folder)) {
    // Without a manifest no part was begun: one that is there is somebody else's.
    const ours = TEMPORARY.test(name) || (manifest && /^part-\d{5,}\./.test(name));
    if (ours && !finished.has(name)) await rm(join(folder, name), { force: true });
  }
}
