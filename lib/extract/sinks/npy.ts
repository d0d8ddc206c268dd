import { PendingFile } from './pending-file.js';
import { type Block, bytesOf, type Column, fileNamePart, type Sink } from './sink.js';

// The format: a magic string, the version, the length of the header, the header (a Python literal, padded with spaces
// so that data begins at a multiple of 64), the rows. A header of fixed length can be completed when the rows are known.

const HEADER_BYTES = 128;
const PREFIX_BYTES = 10;
const DESCRIPTIONS = { float32: '<f4', float16: '<f2' } as const;

/** A file a column, `part-00000.avgpool.npy`, of shape [rows, ...]; `numpy.load(file, mmap_mode='r')` maps it. */
export async function openNpy(path: string, columns: readonly Column[]): Promise<Sink> {
  const files: PendingFile[] = [];
  for (const { name } of columns) {
    const file = await PendingFile.create(`${path}.${fileNamePart(name)}.npy`);
    files.push(file);
    await file.append(Buffer.alloc(HEADER_BYTES));
  }
  let rows = 0;
  return {
    files,
    async write(keys, blocks) {
      rows += keys.length;
      for (const [i, file] of files.entries()) await file.append(bytesOf(blocks[i] as Block));
    },
    async finish() {
      for (const [i, file] of files.entries()) {
        await file.writeAt(npyHeader(columns[i] as Column, rows), 0);
        await file.close();
      }
    },
    async discard() {
      for (const file of files) await file.discard();
    },
  };
}

function npyHeader({ shape, dtype }: Column, rows: number): Uint8Array {
  const sizes = [rows, ...shape].join(', ');
  const text = `{'descr': '${DESCRIPTIONS[dtype]}', 'fortran_order': False, 'shape': (${sizes},), }`;
  const header = Buffer.alloc(HEADER_BYTES, ' ');
  header.write('\x93NUMPY\x01\x00', 'latin1');
  header.writeUInt16LE(HEADER_BYTES - PREFIX_BYTES, 8);
  header.write(text, PREFIX_BYTES, 'latin1');
  header[HEADER_BYTES - 1] = 0x0a;
  return header;
}
