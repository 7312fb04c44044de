import { KdumpError, hex } from '../errors.js';
import { dataView, type ByteOrder } from './byte-order.js';

/** Field name and its width in bytes, in file order. One table serves parsing and encoding. */
export type FieldTable = readonly (readonly [name: string, width: 2 | 4 | 8])[];

/** The values of a record: 8-byte fields are bigint, narrower ones number. */
export type RecordOf<Table extends FieldTable> = {
  -readonly [Field in Table[number] as Field[0]]: Field[1] extends 8 ? bigint : number;
};

/** Reads and writes records of one fixed layout in either byte order. */
export class RecordFormat<Table extends FieldTable> {
  readonly size: number;

  private readonly table: Table;

  constructor(table: Table) {
    this.table = table;
    this.size = table.reduce((sum, [, width]) => sum + width, 0);
  }

  /** `count` records from `offset` on. @throws KdumpError `input` when `bytes` is too short for them */
  parse(bytes: Uint8Array, offset: number, count: number, order: ByteOrder): RecordOf<Table>[] {
    const needed = offset + count * this.size;
    if (needed > bytes.length) {
      throw new KdumpError('input', 'truncated', { offset: bytes.length, found: `${bytes.length} bytes`, expected: `at least ${needed}` });
    }
    const view = dataView(bytes);
    return Array.from({ length: count }, (_, index) => this.read(view, offset + index * this.size, order === 'lsb'));
  }

  parseOne(bytes: Uint8Array, offset: number, order: ByteOrder): RecordOf<Table> {
    return this.parse(bytes, offset, 1, order)[0] as RecordOf<Table>;
  }

  /** Writes `record` into `bytes` at `offset`. @throws RangeError when a value does not fit its field */
  encode(record: RecordOf<Table>, bytes: Uint8Array, offset: number, order: ByteOrder): void {
    const view = dataView(bytes);
    const little = order === 'lsb';
    let at = offset;
    for (const [name, width] of this.table) {
      const value = record[name as keyof RecordOf<Table>] as bigint | number;
      // DataView setters wrap in silence.
      if (value < 0 || BigInt(value) >> BigInt(8 * width) !== 0n)
        throw new RangeError(`${name} = ${hex(value)} does not fit ${width} bytes`);
      if (width === 8) view.setBigUint64(at, BigInt(value), little);
      else if (width === 4) view.setUint32(at, Number(value), little);
      else view.setUint16(at, Number(value), little);
      at += width;
    }
  }

  private read(view: DataView, offset: number, little: boolean): RecordOf<Table> {
    const record: Record<string, bigint | number> = {};
    let at = offset;
    for (const [name, width] of this.table) {
      record[name] = width === 8 ? view.getBigUint64(at, little) : width === 4 ? view.getUint32(at, little) : view.getUint16(at, little);
      at += width;
    }
    return record as RecordOf<Table>;
  }
}
