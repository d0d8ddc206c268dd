import { stat } from 'node:fs/promises';
import { ResNetError } from '../errors.js';
import { fileError } from '../file-error.js';
import { invalid, show } from '../is.js';
import { adapterEntries, type SourceAdapter } from './adapter.js';
import { type Entry, isImageName, isTarName } from './entry.js';
import { pathEntries } from './files.js';
import { listLines } from './list-file.js';
import { normalizePath, walk } from './walk.js';

/**
 * What is extracted from: a path, or an adapter. A path is a file, a folder (its images and `.tar` shards, all the way
 * down), a glob (`*`, `?`, `[a-z]`, `{a,b}`, `**`), a `.tar`, or `@FILE`, a list of files with one a line.
 */
export type ExtractInput = string | SourceAdapter;

/** One input, or several in their order. */
export type ExtractInputs = ExtractInput | readonly ExtractInput[];

/**
 * The images of all inputs, in an order that is the same every time.
 * @throws ResNetError `INVALID_ARGUMENT` for what is no input, `FILE` for an input that is not there; AbortError.
 */
export async function* inputEntries(
  inputs: ExtractInputs,
  signal?: AbortSignal,
): AsyncGenerator<Entry, void, undefined> {
  for (const input of checkedInputs(inputs)) {
    if (typeof input !== 'string') yield* adapterEntries(input, signal);
    else for await (const path of inputPaths(input, signal)) yield* pathEntries(path, signal);
  }
}

/** How many images there are, or undefined where only reading a tar or asking an adapter would tell. */
export async function countEntries(inputs: ExtractInputs, signal?: AbortSignal): Promise<number | undefined> {
  let count = 0;
  for (const input of checkedInputs(inputs)) {
    if (typeof input !== 'string') return undefined;
    for await (const path of inputPaths(input, signal)) {
      if (isTarName(path)) return undefined;
      count++;
    }
  }
  return count;
}

/** @throws ResNetError `INVALID_ARGUMENT`. */
export function checkedInputs(inputs: ExtractInputs): readonly ExtractInput[] {
  const list: readonly unknown[] = Array.isArray(inputs) ? inputs : [inputs];
  if (list.length === 0) throw invalid('inputs', 'at least one path or adapter', inputs);
  for (const input of list) {
    if (typeof input === 'string') checkPath(input);
    else if (typeof (input as SourceAdapter | null)?.list !== 'function') {
      throw invalid('an input', 'a path or a SourceAdapter', input);
    }
  }
  return list as readonly ExtractInput[];
}

function checkPath(input: string): void {
  if (/^[a-z][a-z0-9+.-]+:\/\//i.test(input)) {
    throw new ResNetError(
      'INVALID_ARGUMENT',
      `Expected a path but received ${show(input)}: URLs are not fetched unless an HttpAdapter is given`,
    );
  }
  if (input === '' || input === '@' || input.includes('\0')) throw invalid('an input', 'a path', input);
}

/**
 * The paths of files and tars that an input stands for; each is a key or the beginning of keys.
 * @throws ResNetError `FILE`, AbortError.
 */
export async function* inputPaths(
  input: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<string, void, undefined> {
  if (input.startsWith('@')) {
    for await (const line of listLines(input.slice(1), signal)) yield normalizePath(line);
    return;
  }
  const status = await stat(input).catch((error: NodeJS.ErrnoException) => error);
  if (status instanceof Error) {
    const { scan } = (await import('picomatch')).default;
    if (!scan(input).isGlob) throw fileError(input, 'read', status);
    yield* globPaths(input, signal);
  } else if (status.isDirectory()) {
    for await (const path of walk(normalizePath(input), signal)) {
      if (isImageName(path) || isTarName(path)) yield path;
    }
  } else {
    yield normalizePath(input);
  }
}

async function* globPaths(
  pattern: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<string, void, undefined> {
  const normal = normalizePath(pattern);
  const { default: picomatch } = await import('picomatch');
  const { base, glob } = picomatch.scan(normal);
  const matches = picomatch(normal);
  const depth = glob.includes('**') ? Number.POSITIVE_INFINITY : glob.split('/').length;
  let found = false;
  for await (const path of walk(base || '.', signal, depth)) {
    if (!matches(path)) continue;
    found = true;
    yield path;
  }
  if (!found) throw new ResNetError('FILE', `No file matches ${show(pattern)}`);
}
