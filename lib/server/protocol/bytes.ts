import type { OutputTensor } from './infer.js';

/** Little-endian values; texts each behind its length in 4 bytes. */
export function bytesOf(output: OutputTensor): Buffer {
  if (output.datatype === 'FP32') {
    const { buffer, byteOffset, byteLength } = output.data;
    return Buffer.from(buffer, byteOffset, byteLength);
  }
  const parts = output.data.flatMap((value) => {
    const bytes = Buffer.from(value);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(bytes.length);
    return [length, bytes];
  });
  return Buffer.concat(parts);
}
