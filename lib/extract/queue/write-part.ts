import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ResNetError } from '../../errors.js';
import type { Entry } from '../../sources/entry.js';
import { pathEntries } from '../../sources/files.js';
import { listLines } from '../../sources/list-file.js';
import type { Extraction } from '../extraction.js';
import { KeySet } from '../key-set.js';
import { indexFileName, type Part, PartWriter } from '../part-writer.js';
import { explainFullDisk } from '../parts-writer.js';
import { TEMPORARY } from '../sinks/pending-file.js';
import { stageClocks } from '../stages.js';
import { plannedPaths } from './plan.js';

/**
 * Extracts a planned part. Doing it twice, even at the same time on two machines, is harmless: each writes under names
 * of its own and renames whole files over the other's, which are the same.
 */
export async function writePlannedPart(
  out: string,
  name: string,
  extraction: Extraction,
  signal: AbortSignal | undefined,
): Promise<Part> {
  const finished = await finishedPart(out, name);
  if (finished) return finished;
  const { columns, fingerprint } = extraction;
  const part = await PartWriter.open(out, name, fingerprint.format, columns);
  try {
    const entries = plannedEntries(out, name, signal);
    for await (const { images, blocks } of extraction.encode(entries, stageClocks(), signal)) {
      await part.write(images, blocks);
    }
    return await part.finish();
  } catch (error) {
    await part.discard();
    throw explainFullDisk(error);
  }
}

async function* plannedEntries(
  out: string,
  part: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<Entry, void, undefined> {
  const seen = new KeySet();
  for await (const path of plannedPaths(out, part)) {
    for await (const entry of pathEntries(path, signal)) {
      if (!seen.add(entry.key)) {
        throw new ResNetError('INVALID_ARGUMENT', `Two images of ${part} have the key ${entry.key}`);
      }
      yield entry;
    }
  }
}

/** The part as it is on the disk, if it is whole: its index gets its name last. */
export async function finishedPart(out: string, name: string): Promise<Part | undefined> {
  const index = indexFileName(name);
  const exists = await stat(join(out, index)).then(
    () => true,
    () => false,
  );
  if (!exists) return undefined;
  let [images, errors] = [0, 0];
  for await (const line of listLines(join(out, index), undefined)) {
    images++;
    if ('error' in JSON.parse(line)) errors++;
  }
  const names = (await readdir(out)).filter((file) => file.startsWith(`${name}.`) && !TEMPORARY.test(file));
  const sizes = names.sort().map(async (file) => [file, (await stat(join(out, file))).size] as const);
  return { name, images, errors, files: Object.fromEntries(await Promise.all(sizes)) };
}
