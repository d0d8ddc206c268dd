import { LENGTH_BYTES, SAFETENSORS_DTYPES } from '../../weights/safetensors.js';
import { PendingFile } from './pending-file.js';
import { type Block, bytesOf, type Column, type Sink } from './sink.js';

// Room for a tensor's name (any node's), dtype, shape and offsets.
const HEADER_BYTES_A_COLUMN = 512;

/**
 * One file, `part-00000.safetensors`, with a tensor [rows, ...] for each column under its name. The format wants each
 * tensor in one piece: all but the first are gathered in files of their own, which go behind it in the end.
 */
export async function openSafetensors(path: string, columns: readonly Column[]): Promise<Sink> {
  const names = columns.reduce((sum, { name }) => sum + JSON.stringify(name).length, 0);
  const headerBytes = Math.ceil((names + HEADER_BYTES_A_COLUMN * columns.length) / 64) * 64;
  const file = await PendingFile.create(`${path}.safetensors`);
  await file.append(Buffer.alloc(headerBytes));
  const parts = [file];
  for (const i of columns.keys()) {
    if (i > 0) parts.push(await PendingFile.create(`${path}.${i}.column`));
  }
  let rows = 0;
  return {
    files: [file],
    async write(keys, blocks) {
      rows += keys.length;
      for (const [i, part] of parts.entries()) await part.append(bytesOf(blocks[i] as Block));
    },
    async finish() {
      const sizes = parts.map((part, i) => (i === 0 ? part.size - headerBytes : part.size));
      for (const part of parts.slice(1)) {
        for await (const piece of part.read()) await file.append(piece);
        await part.discard();
      }
      await file.writeAt(header(columns, rows, sizes, headerBytes), 0);
      await file.close();
    },
    async discard() {
      for (const part of parts) await part.discard();
    },
  };
}

function header(
  columns: readonly Column[],
  rows: number,
  sizes: readonly number[],
  headerBytes: number,
): Uint8Array {
  let at = 0;
  const tensors = columns.map(({ name, shape, dtype }, i) => {
    const start = at;
    at += sizes[i] as number;
    const info = { dtype: SAFETENSORS_DTYPES[dtype], shape: [rows, ...shape], data_offsets: [start, at] };
    return `${JSON.stringify(name)}:${JSON.stringify(info)}`;
  });
  const bytes = Buffer.alloc(headerBytes, ' ');
  bytes.writeBigUInt64LE(BigInt(headerBytes - LENGTH_BYTES));
  bytes.write(`{${tensors.join(',')}}`, LENGTH_BYTES);
  return bytes;
}
