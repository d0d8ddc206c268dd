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
});
