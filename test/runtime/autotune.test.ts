import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { BasicBlock, ResNet } from '../../lib/models/resnet.js';
import { type CompileOptions, compileModel } from '../../lib/runtime/compile.js';
import { Tensor } from '../../lib/tensor.js';

// What is measured here differs from machine to machine, so no test says which algorithm is chosen.

const model = new ResNet(BasicBlock, [1, 1, 1], { stem: 'cifar', numClasses: 10 });
const batch = Tensor.fromUint8(
  Uint8Array.from({ length: 2 * 32 * 32 * 3 }, (_, i) => (i * 31) % 256),
  [2, 32, 32, 3],
);

let home: string;
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'autotune-'));
  vi.stubEnv('RESNET_NATIVE_HOME', home);
});
afterEach(() => rm(join(home, 'cpu'), { recursive: true, force: true }));
afterAll(async () => {
  vi.unstubAllEnvs();
  await rm(home, { recursive: true, force: true });
});

async function compiled(options: CompileOptions) {
  const session = await compileModel(model, { device: 'cpu', maxBatch: 2, ...options });
  const { plan } = session;
  const { logits } = await session.run(batch);
  await session.close();
  const choices = plan.filter(({ algorithm }) => algorithm !== undefined);
  return { plan, choices, logits: logits?.data };
}

const algorithms = (steps: Awaited<ReturnType<typeof compiled>>['choices']) =>
  steps.map(({ name, algorithm }) => [name, algorithm]);

describe('autotune', () => {
  it('leaves the choice to the cost model by default, and writes nothing', async () => {
    const { choices } = await compiled({});
    expect(choices.length).toBeGreaterThan(0);
    for (const { reason } of choices) expect(reason).toBe('the cost model');
    await expect(readdir(join(home, 'cpu'))).rejects.toThrow();
  });

  it('measures once, and gives the same plan and bits again', async () => {
    const first = await compiled({ autotune: 'quick' });
    expect(first.choices.some(({ reason }) => reason?.startsWith('measured: direct '))).toBe(true);
    const second = await compiled({ autotune: 'quick' });
    for (const { reason } of second.choices) expect(reason).toBe('measured before');
    expect(algorithms(second.choices)).toEqual(algorithms(first.choices));
    expect(second.logits).toEqual(first.logits);
  });

  it('measures again where the file is damaged, and says so', async () => {
    await compiled({ autotune: 'quick' });
    const folder = join(home, 'cpu');
    for (const file of await readdir(folder)) await writeFile(join(folder, file), 'damaged');
    const { choices } = await compiled({ autotune: 'quick' });
    expect(choices.some(({ reason }) => reason?.includes('is no list of choices for this machine'))).toBe(
      true,
    );
  });

  it('takes a plan made before, through JSON too', async () => {
    const wanted = (await compiled({})).plan.map((step) =>
      step.algorithm === undefined ? step : { ...step, algorithm: 'winograd 2x2' },
    );
    const given = await compiled({ plan: JSON.parse(JSON.stringify(wanted)), autotune: 'full' });
    for (const { algorithm, kernel, reason } of given.choices) {
      expect([algorithm, reason]).toEqual(['winograd 2x2', 'the plan given']);
      expect(kernel).toMatch(/^winograd 2x2 /);
    }
    expect((await compiled({ plan: given.plan })).logits).toEqual(given.logits);
  });

  it('refuses a plan with an algorithm that there is not', async () => {
    const { choices } = await compiled({});
    const plan = [{ name: choices[0]?.name as string, algorithm: 'fft' }];
    await expect(compiled({ plan })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(/expected one of direct, winograd 2x2, winograd 4x4 but got fft/),
    });
  });

  const refused: [what: string, code: string, message: RegExp, options: CompileOptions][] = [
    [
      'of another network',
      'UNKNOWN_NODE',
      /has a step "layer1\.0\.relu_2".* \(did you mean "layer1\.0\.relu_1"\?\): expected the plan of a session/,
      { plan: [{ name: 'layer1.0.relu_2', algorithm: 'direct' }] },
    ],
    [
      'for a step without a choice',
      'INVALID_ARGUMENT',
      /an algorithm for fc, but here only these steps leave a choice: layer1\.0\.relu, .*; expected the plan/,
      { plan: [{ name: 'fc', algorithm: 'direct' }] },
    ],
    [
      'for another device',
      'UNSUPPORTED',
      /algorithms of the CPU, and the device is "reference": leave `plan` out/,
      { plan: [{ name: 'layer1.0.relu', algorithm: 'direct' }], device: 'reference' },
    ],
  ];
  for (const [what, code, message, options] of refused) {
    it(`refuses a plan ${what}`, async () => {
      await expect(compiled(options)).rejects.toMatchObject({
        code,
        message: expect.stringMatching(message),
      });
    });
  }

  it('takes the plan of the whole network for a part of it', async () => {
    const whole = await compiled({ autotune: 'quick' });
    const part = await compileModel(model, { device: 'cpu', plan: whole.plan, outputs: ['layer1'] });
    const choices = part.plan.filter(({ algorithm }) => algorithm !== undefined);
    await part.close();
    expect(choices.length).toBeGreaterThan(0);
    expect(choices.length).toBeLessThan(whole.choices.length);
    for (const { reason } of choices) expect(reason).toBe('the plan given');
  });
});
