import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

// The built package by its own name, as a user loads it.

const root = fileURLToPath(new URL('../../', import.meta.url));

const node = (...args: string[]) => execFileSync(process.execPath, args, { cwd: root, encoding: 'utf8' });

const REPORT = 'resnet.devices().then((found) => console.log(typeof resnet.ResNet, found.length > 1))';

describe('the package', () => {
  it('can be imported', () => {
    const program = `import * as resnet from 'resnet-native'; ${REPORT}`;
    expect(node('--input-type=module', '--eval', program)).toBe('function true\n');
  });

  it('can be required', () => {
    expect(node('--eval', `const resnet = require('resnet-native'); ${REPORT}`)).toBe('function true\n');
  });

  it('is the same instance both ways', () => {
    const program = `const resnet = require('resnet-native');
      import('resnet-native').then((other) => console.log(other.ResNet === resnet.ResNet));`;
    expect(node('--eval', program)).toBe('true\n');
  });

  it('loads no other package until something needs it', () => {
    const importing = loadedBy("await import('resnet-native')");
    expect(importing.some((url) => url.endsWith('/dist/index.js'))).toBe(true);
    expect(importing.filter((url) => url.includes('/node_modules/'))).toEqual([]);

    const decoding = loadedBy(`const { transforms } = await import('resnet-native');
      await transforms.decodeImage(Buffer.from('${PIXEL_PNG}', 'base64'));`);
    expect(decoding.some((url) => url.includes('/node_modules/sharp/'))).toBe(true);
  });
});

/** A PNG of one pixel. */
const PIXEL_PNG =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

/** The URLs of the modules that a program loads. */
function loadedBy(program: string): string[] {
  const hooks = `import { writeSync } from 'node:fs';
    export async function load(url, context, next) {
      writeSync(1, url + '\\n');
      return next(url, context);
    }`;
  const register = `import { register } from 'node:module';
    register('data:text/javascript,' + encodeURIComponent(${JSON.stringify(hooks)}));`;
  return node('--input-type=module', '--eval', `${register} ${program}`).trim().split('\n');
}
