import { execFile, spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { loadModel } from '../../lib/models/load.js';
import { Tensor } from '../../lib/tensor.js';
import { classification } from '../../lib/transforms/index.js';
import { DIGITS_MODEL, HELD_OUT } from '../tasks/digits.js';
import { type Started, start } from './start.js';

// The server as other people's programs see it. RESNET_NATIVE_PYTHON names a Python that has them.

const python = process.env.RESNET_NATIVE_PYTHON;

/** Why these modules cannot be used, in brackets; empty if they can. */
function missing(modules: string): string {
  if (!python) return ' (skipped: RESNET_NATIVE_PYTHON names no Python)';
  const { status } = spawnSync(python, ['-c', `import ${modules}`]);
  return status === 0 ? '' : ` (skipped: ${python} lacks one of ${modules})`;
}

const noTriton = missing('numpy, tritonclient.http, tritonclient.grpc');
const noSchemathesis = missing('schemathesis');

let server: Started;
beforeAll(async () => {
  const defaults = { device: 'cpu', threads: 1, maxBatch: 8, outputs: ['logits', 'avgpool'] };
  server = await start({ models: { digits: DIGITS_MODEL }, defaults, grpcPort: 0 });
});

/** Runs a Python, and gives its exit code and what it printed. */
function runPython(args: readonly string[], input = ''): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    // What it leaves behind, such as a cache, is nothing of ours.
    const child = execFile(python as string, args, { cwd: tmpdir() }, (error, stdout, stderr) => {
      resolve({ code: error ? 1 : 0, output: stdout + stderr });
    });
    child.stdin?.end(input);
  });
}

describe.skipIf(noTriton)(`Triton's clients${noTriton}`, () => {
  test('HTTP and gRPC, JSON and binary, compressed, classes and errors', async () => {
    const model = await loadModel(DIGITS_MODEL);
    const transform = classification(model.transform);
    const images = await Promise.all(HELD_OUT.slice(0, 3).map((path) => transform(path)));
    const [, ...shape] = [0, ...(images[0] as Tensor).shape];
    const data = Uint8Array.from(images.flatMap((image) => [...image.data]));
    const batch = Tensor.fromUint8(data, [images.length, ...shape]);
    await using session = await model.compile({ device: 'cpu', threads: 1 });
    const { logits } = await session.run(batch);
    const given = { pixels: nested(batch), logits: nested(logits as Tensor) };

    const script = fileURLToPath(new URL('triton_clients.py', import.meta.url));
    const { host } = new URL(server.url);
    const grpc = `127.0.0.1:${server.server.grpcPort}`;
    const { code, output } = await runPython([script, host, grpc], JSON.stringify(given));
    expect(output).toContain('every answer was as expected');
    expect(code).toBe(0);
  });
});

function nested({ data, shape }: Tensor): unknown {
  let values: unknown[] = [...data];
  for (const size of shape.slice(1).reverse()) {
    values = Array.from({ length: values.length / size }, (_, i) => values.slice(i * size, (i + 1) * size));
  }
  return values;
}

describe.skipIf(noSchemathesis)(`Schemathesis${noSchemathesis}`, () => {
  test('finds nothing that the OpenAPI document does not say', async () => {
    const checks =
      'not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance';
    const options = ['--checks', checks, '--max-examples', '30', '--seed', '1'];
    const command = ['-m', 'schemathesis.cli', 'run', `${server.url}/openapi.json`, ...options];
    const { code, output } = await runPython(command);
    expect(output).toContain('/v1/classify');
    expect(code, output).toBe(0);
  });
});
