import { createReadStream } from 'node:fs';
import { StringDecoder } from 'node:string_decoder';
import { ResNetError } from '../errors.js';
import { fileError } from '../file-error.js';

const MAX_LINE = 2 ** 20;

/**
 * The lines of a list file, without blank ones: a path each. The file is streamed, so that it may list a billion.
 * @throws ResNetError `FILE` when it cannot be read or a line is longer than any path.
 */
export async function* listLines(
  file: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<string, void, undefined> {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  try {
    for await (const chunk of createReadStream(file, { signal })) {
      const lines = (rest + decoder.write(chunk)).split('\n');
      rest = lines.pop() as string;
      if (rest.length > MAX_LINE) throw noList(file);
      for (const line of lines) if (line.trim() !== '') yield line.replace(/\r$/, '');
    }
  } catch (error) {
    if ((error as Error).name === 'AbortError') throw error;
    throw fileError(file, 'read', error);
  }
  rest += decoder.end();
  if (rest.trim() !== '') yield rest;
}

function noList(file: string): ResNetError {
  return new ResNetError(
    'FILE',
    `${file} is no list of paths: it has a line of over ${MAX_LINE} characters; expected a path a line`,
  );
}
