import { closeSync, openSync, writeSync } from 'node:fs';

const HEADER_BYTES = 128;

/** Rows of float32 into an .npy file, as a user would write them: no temporary name, no fsync. */
export class NpyFile {
  #file;
  #rows;
  #begun = false;

  constructor(path, rows) {
    this.#file = openSync(path, 'w');
    this.#rows = rows;
  }

  write(data, width) {
    if (!this.#begun) writeSync(this.#file, header(this.#rows, width));
    this.#begun = true;
    writeSync(this.#file, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }

  close() {
    closeSync(this.#file);
  }
}

function header(rows, width) {
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': (${rows}, ${width}), }`;
  const bytes = Buffer.alloc(HEADER_BYTES, ' ');
  bytes.write('\x93NUMPY\x01\x00', 'latin1');
  bytes.writeUInt16LE(HEADER_BYTES - 10, 8);
  bytes.write(text, 10, 'latin1');
  bytes[HEADER_BYTES - 1] = 0x0a;
  return bytes;
}
