import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect } from 'vitest';
import type { ErrorCode } from '../../lib/errors.js';
import { ResNetError } from '../../lib/errors.js';
import type { StateDict, StateTensor } from '../../lib/weights/state-dict.js';

export interface ExpectedTensor {
  readonly dtype: string;
  readonly shape: number[];
  /** Little-endian, in hexadecimal. */
  readonly bytes: string;
}

/** A file made by test/weights/fixtures/make_fixtures.py. */
export function fixture(name: string): string {
  return new URL(`./fixtures/${name}`, import.meta.url).pathname;
}

/** What torch says each of them holds. */
export const EXPECTED: Readonly<Record<string, Record<string, ExpectedTensor>>> = JSON.parse(
  readFileSync(fixture('expected.json'), 'utf8'),
);

export function bytesOf({ data }: StateTensor): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** A state dict in the form of EXPECTED. */
export function described(state: StateDict): Record<string, ExpectedTensor> {
  return Object.fromEntries(
    [...state].map(([key, tensor]) => [
      key,
      {
        dtype: tensor.dtype,
        shape: [...tensor.shape],
        bytes: Buffer.from(bytesOf(tensor)).toString('hex'),
      },
    ]),
  );
}

/** Expects an error of the package with this code and a message that matches. */
export async function expectError(
  action: Promise<unknown> | (() => unknown),
  code: ErrorCode,
  message: RegExp,
): Promise<void> {
  const error = await Promise.resolve()
    .then(() => (typeof action === 'function' ? action() : action))
    .then(
      () => expect.fail(`expected ${code} matching ${message}, but nothing was thrown`),
      (thrown: unknown) => thrown,
    );
  expect(error).toBeInstanceOf(ResNetError);
  expect((error as ResNetError).code).toBe(code);
  expect((error as ResNetError).message).toMatch(message);
}

/** A folder of the test file's own, removed after its tests. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'weights-test-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A `.safetensors` file with this header, an object or the text itself. */
export function makeSafetensors(header: unknown, data: Uint8Array = new Uint8Array()): Uint8Array {
  const text = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, data]);
}
