import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ResNetError, throwIfAborted } from '../../errors.js';
import { invalid } from '../../is.js';
import { isTarName } from '../../sources/entry.js';
import { checkedInputs, type ExtractInputs, inputPaths } from '../../sources/inputs.js';
import { listLines } from '../../sources/list-file.js';
import { writeFileAtomically } from '../../weights/files.js';
import { KeySet } from '../key-set.js';
import { PLAN_FOLDER } from '../manifest.js';
import { partName } from '../part-writer.js';

// Which images a part is of stands in `DIR/plan/part-00000.jsonl`, a path a line as JSON: Redis then holds no more of a
// part than its name.

const SUFFIX = '.jsonl';

/**
 * Cuts the inputs into parts of `shardSize` files, or of one tar, and writes the list of each. Parts that were planned
 * before stay as they are; paths that they have are passed over.
 * @returns the names of all parts.
 * @throws ResNetError `INVALID_ARGUMENT` for adapters and for two equal paths, `FILE`; AbortError.
 */
export async function writePlan(
  out: string,
  inputs: ExtractInputs,
  shardSize: number,
  signal: AbortSignal | undefined,
): Promise<string[]> {
  await mkdir(join(out, PLAN_FOLDER), { recursive: true });
  const names = (await readdir(join(out, PLAN_FOLDER))).filter((name) => name.endsWith(SUFFIX)).sort();
  const parts = names.map((name) => name.slice(0, -SUFFIX.length));
  const planned = new KeySet();
  for (const part of parts) for await (const path of plannedPaths(out, part)) planned.add(path);

  const add = async (paths: readonly string[]) => {
    const part = partName(parts.length);
    const lines = paths.map((path) => `${JSON.stringify(path)}\n`).join('');
    await writeFileAtomically(join(out, PLAN_FOLDER, part + SUFFIX), [Buffer.from(lines)]);
    parts.push(part);
  };
  let files: string[] = [];
  for await (const path of newPaths(inputs, planned, signal)) {
    if (isTarName(path)) await add([path]);
    else if (files.push(path) === shardSize) {
      await add(files);
      files = [];
    }
  }
  if (files.length > 0) await add(files);
  return parts;
}

async function* newPaths(
  inputs: ExtractInputs,
  planned: KeySet,
  signal: AbortSignal | undefined,
): AsyncGenerator<string, void, undefined> {
  const seen = new KeySet();
  for (const input of checkedInputs(inputs)) {
    if (typeof input !== 'string') throw invalid('an input', 'a path: queues take no adapters', input);
    for await (const path of inputPaths(input, signal)) {
      throwIfAborted(signal);
      if (!seen.add(path)) {
        throw new ResNetError('INVALID_ARGUMENT', `${path} is among the inputs twice: give each image once`);
      }
      if (!planned.has(path)) yield path;
    }
  }
}

/** The paths that a part is of. */
export async function* plannedPaths(out: string, part: string): AsyncGenerator<string, void, undefined> {
  for await (const line of listLines(join(out, PLAN_FOLDER, part + SUFFIX), undefined))
    yield JSON.parse(line);
}
