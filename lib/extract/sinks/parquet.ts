import type { SchemaElement } from 'hyparquet';
import { ByteWriter, ParquetWriter } from 'hyparquet-writer';
import { arrowSchema } from './arrow-schema.js';
import { PendingFile } from './pending-file.js';
import { type Block, type Column, rowLength, type Sink } from './sink.js';

// Of a column in a row group. The encoder holds the event loop for half a microsecond a value.
const GROUP_VALUES = 2 ** 18;

/**
 * One file, `part-00000.parquet`: a string column `key` and for each output a list of required FLOAT, one value behind
 * the other where a row has more dimensions. Not compressed: features hardly are.
 */
export async function openParquet(path: string, columns: readonly Column[]): Promise<Sink> {
  const file = await PendingFile.create(`${path}.parquet`);
  return new ParquetSink(file, columns);
}

class ParquetSink implements Sink {
  readonly files: readonly PendingFile[];
  readonly #bytes = new FlushedBytes();
  readonly #writer: ParquetWriter;
  readonly #lengths: readonly number[];
  readonly #groupRows: number;
  #keys: string[] = [];
  #rows: number[][][];

  constructor(
    private readonly file: PendingFile,
    private readonly columns: readonly Column[],
  ) {
    this.files = [file];
    this.#lengths = columns.map(rowLength);
    this.#groupRows = Math.max(1, Math.floor(GROUP_VALUES / Math.max(...this.#lengths)));
    this.#rows = columns.map(() => []);
    this.#writer = new ParquetWriter({
      writer: this.#bytes,
      schema: schemaOf(columns),
      codec: 'UNCOMPRESSED',
      statistics: false,
      createdBy: 'resnet-native',
      kvMetadata: [
        { key: 'ARROW:schema', value: arrowSchema(columns) },
        { key: 'resnet-native:shapes', value: JSON.stringify(columns.map(({ shape }) => shape)) },
      ],
    });
  }

  async write(keys: readonly string[], blocks: readonly Block[]): Promise<void> {
    for (const [row, key] of keys.entries()) {
      this.#keys.push(key);
      for (const [i, length] of this.#lengths.entries()) {
        const block = blocks[i] as Block;
        this.#rows[i]?.push(Array.from(block.subarray(row * length, (row + 1) * length)));
      }
      if (this.#keys.length >= this.#groupRows) await this.#writeGroup();
    }
  }

  async #writeGroup(): Promise<void> {
    const data = this.columns.map(({ name }, i) => ({ name, data: this.#rows[i] as number[][] }));
    this.#writer.write({
      columnData: [{ name: 'key', data: this.#keys }, ...data].map((column) => ({
        ...column,
        encoding: 'PLAIN' as const,
        offsetIndex: false,
      })),
      rowGroupSize: this.#keys.length,
    });
    this.#keys = [];
    this.#rows = this.columns.map(() => []);
    await this.file.append(this.#bytes.take());
  }

  async finish(): Promise<void> {
    if (this.#keys.length > 0) await this.#writeGroup();
    this.#writer.finish();
    await this.file.append(this.#bytes.take());
    await this.file.close();
  }

  async discard(): Promise<void> {
    await this.file.discard();
  }
}

/** Bytes that can be taken out as they come; positions go on counting. */
class FlushedBytes extends ByteWriter {
  take(): Uint8Array {
    const bytes = new Uint8Array(this.buffer.slice(0, this.index));
    this.index = 0;
    return bytes;
  }
}

function schemaOf(columns: readonly Column[]): SchemaElement[] {
  return [
    { name: 'schema', num_children: 1 + columns.length },
    { name: 'key', type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'REQUIRED' },
    ...columns.flatMap(({ name }): SchemaElement[] => [
      { name, repetition_type: 'REQUIRED', converted_type: 'LIST', num_children: 1 },
      { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
      { name: 'element', type: 'FLOAT', repetition_type: 'REQUIRED' },
    ]),
  ];
}
