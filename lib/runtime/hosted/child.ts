import { AbortError, type ErrorCode, ResNetError } from '../../errors.js';
import { Tensor } from '../../tensor.js';
import { compileModel } from '../compile.js';
import type { Session } from '../session.js';
import type { CompileMessage, FromHost, RunMessage, ToHost } from './protocol.js';

// The process that holds a hosted session: HostProcess starts it and speaks to it. It ends when that side is gone.

let session: Session | undefined;
const controllers = new Map<number, AbortController>();

process.on('message', (message: ToHost) => {
  if (message.kind === 'compile') void compile(message);
  else if (message.kind === 'run') void run(message);
  else controllers.get(message.id)?.abort();
});
process.on('disconnect', () => process.exit());
// A terminal's Ctrl+C reaches every process of its group: this one ends with its parent, which may still need it.
process.on('SIGINT', () => undefined);

async function compile({ model, options }: CompileMessage): Promise<void> {
  try {
    session = await compileModel(model, options);
    const { device, deviceReason, dtype, maxBatch, contexts, channels, outputs, plan } = session;
    say({
      kind: 'ready',
      facts: { device, deviceReason, dtype, maxBatch, contexts, channels, outputs, plan },
    });
  } catch (error) {
    say({ kind: 'failed', ...describe(error) });
  }
}

async function run({ id, tensors }: RunMessage): Promise<void> {
  const controller = new AbortController();
  controllers.set(id, controller);
  try {
    if (!session) throw new ResNetError('INTERNAL', 'A run came before the session was compiled');
    const input = tensors.map(({ data, shape, layout }) =>
      data instanceof Float32Array
        ? Tensor.fromFloat32(data, shape, { layout })
        : Tensor.fromUint8(data, shape),
    );
    const results = await session.run(input, { signal: controller.signal });
    say({
      kind: 'done',
      id,
      results: Object.entries(results).map(([name, tensor]) => [name, tensor.data, tensor.shape] as const),
    });
  } catch (error) {
    say({ kind: 'failed', id, ...describe(error) });
  } finally {
    controllers.delete(id);
  }
}

function describe(error: unknown): { code: ErrorCode | 'ABORT_ERR'; message: string } {
  const known = error instanceof ResNetError || error instanceof AbortError;
  return { code: known ? error.code : 'INTERNAL', message: String((error as Error)?.message ?? error) };
}

function say(message: FromHost): void {
  // The other side may be gone; then this process ends.
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
}
