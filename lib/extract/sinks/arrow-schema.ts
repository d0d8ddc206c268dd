import { flatbuffer, integer, string, type Table, table, tables } from './flatbuffer.js';
import { type Column, rowLength } from './sink.js';

// Arrow's Schema.fbs and Message.fbs: the ids of fields, and the numbers of types.
const METADATA_V5 = integer(2, 4);
const SCHEMA_HEADER = integer(1, 1);
const TYPE_FLOATING_POINT = 3;
const TYPE_UTF8 = 5;
const TYPE_FIXED_SIZE_LIST = 16;
const SINGLE_PRECISION = integer(2, 1);

/**
 * The value of Parquet's metadata key `ARROW:schema`: the Arrow types of a utf8 `key` and of a fixed-size list of float32
 * for each column, as an IPC message in base64. Readers of Arrow restore these types; others see plain lists.
 */
export function arrowSchema(columns: readonly Column[]): string {
  const fields = [
    field('key', TYPE_UTF8, []),
    ...columns.map((column) => {
      const element = field('element', TYPE_FLOATING_POINT, [SINGLE_PRECISION]);
      return field(column.name, TYPE_FIXED_SIZE_LIST, [integer(4, rowLength(column))], [element]);
    }),
  ];
  const message = flatbuffer([METADATA_V5, SCHEMA_HEADER, table([undefined, tables(fields)])]);
  const prefix = Buffer.alloc(8);
  prefix.writeUInt32LE(0xffffffff);
  prefix.writeUInt32LE(message.length, 4);
  return Buffer.concat([prefix, message]).toString('base64');
}

/** A field that is never null. */
function field(name: string, type: number, parameters: Table, children: readonly Table[] = []): Table {
  return [string(name), undefined, integer(1, type), table(parameters), undefined, tables(children)];
}
