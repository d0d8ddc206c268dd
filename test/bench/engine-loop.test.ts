import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { expect, onTestFinished, test } from 'vitest';
import { NetworkFiles } from '../../lib/bench/network-files.js';
import type { LoadRequest, RunRequest } from '../../lib/bench/protocol.js';
import { checkBuild } from '../cli/run-cli.js';

const HOUR = 3600;

test('an engine ends in the middle of its work when whoever asked is gone', async () => {
  checkBuild();
  const files = await NetworkFiles.write('cifar-resnet20', false);
  onTestFinished(() => files[Symbol.asyncDispose]());
  const engine = spawn(process.execPath, ['dist/bench/own-engine.js'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  onTestFinished(() => {
    engine.kill('SIGKILL');
  });
  const say = (request: LoadRequest | RunRequest) => engine.stdin.write(`${JSON.stringify(request)}\n`);
  const shape = [1, 3, 32, 32] as const;
  const { arch, safetensors, onnx } = files;
  const settings = { device: 'cpu', dtype: 'float32', threads: 1 };
  say({ op: 'load', arch, safetensors, onnx, input: await files.writeInput(shape), shape, ...settings });
  await once(createInterface({ input: engine.stdout }), 'line');
  say({ op: 'run', seconds: HOUR });
  engine.stdin.end();
  expect(await once(engine, 'exit')).toEqual([0, null]);
});
