import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ResNetError } from '../../lib/errors.js';
import { readStateDict } from '../../lib/weights/read.js';
import { DTYPES, type StateDict } from '../../lib/weights/state-dict.js';
import { described, EXPECTED, fixture, temporaryFolder } from './helpers.js';

const FILES = [
  'model.pth',
  'views.pth',
  'deflated.pth',
  'protocol5.pth',
  'parameters.pth',
  'legacy.pth',
  'legacy-views.pth',
  'legacy-tar.pth',
  'python.safetensors',
];

/** The state dict, or the error if it is one of the package's; any other makes the test fail. */
async function readOrError(file: string | Uint8Array): Promise<StateDict | ResNetError> {
  return readStateDict(file).catch((error: unknown) => {
    if (error instanceof ResNetError) return error;
    throw error;
  });
}

/** Every tensor has as much data as its shape says, of its dtype's type. */
function expectConsistent(state: StateDict): void {
  expect(state.size).toBeGreaterThan(0);
  for (const [key, { dtype, shape, data }] of state) {
    expect(data, key).toBeInstanceOf(DTYPES[dtype]);
    expect(data.length, key).toBe(shape.reduce((product, size) => product * size, 1));
  }
}

/** Marsaglia's xorshift: the same damage on every machine. */
function* randomIntegers(seed: number): Generator<number, never> {
  for (let state = seed; ; ) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    yield state >>> 0;
  }
}

describe.each(FILES)('%s', (name) => {
  const file = readFileSync(fixture(name));
  // A tar archive ends in zeros that nobody needs, behind the full stop of a pickle.
  const whole = new Uint8Array(name.includes('tar') ? file.subarray(0, file.lastIndexOf('.') + 1) : file);

  test('cut at any byte: an error of the format', async () => {
    for (let length = 0; length < whole.length; length++) {
      const result = await readOrError(whole.subarray(0, length));
      expect(result, `the first ${length} bytes`).toBeInstanceOf(ResNetError);
      expect((result as ResNetError).code).toBe('WEIGHTS_FORMAT');
    }
  });

  test('random bytes changed: an error of the format, or tensors that are what they say', async () => {
    const random = randomIntegers(20240607);
    let refused = 0;
    for (let round = 0; round < 1500; round++) {
      const damaged = whole.slice();
      const changes = 1 + (random.next().value % 4);
      for (let i = 0; i < changes; i++)
        damaged[random.next().value % damaged.length] = random.next().value & 255;
      const result = await readOrError(damaged);
      if (result instanceof ResNetError) refused++;
      else expectConsistent(result);
    }
    expect(refused).toBeGreaterThan(0);
    expect(refused).toBeLessThan(1500);
  });

  test('bytes after the end, or before the start: an error or the same tensors', async () => {
    for (const damaged of [
      Buffer.concat([whole, Buffer.alloc(7)]),
      Buffer.concat([Buffer.alloc(7), whole]),
    ]) {
      const result = await readOrError(damaged);
      if (!(result instanceof ResNetError)) expect(described(result)).toEqual(EXPECTED[name]);
    }
  });
});

test('a file that becomes shorter while it is read', async () => {
  const path = join(temporaryFolder(), 'shrinking.safetensors');
  const bytes = 64 * 2 ** 20;
  const header = JSON.stringify({ w: { dtype: 'U8', shape: [bytes], data_offsets: [0, bytes] } });
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(header.length));
  writeFileSync(path, Buffer.concat([prefix, Buffer.from(header), Buffer.alloc(bytes)]));
  const reading = readOrError(path);
  setTimeout(() => truncateSync(path, 1000), 2);
  const result = await reading;
  if (result instanceof ResNetError) expect(result.code).toBe('WEIGHTS_FORMAT');
  else expectConsistent(result);
});
