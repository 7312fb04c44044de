import { dataView, type ByteOrder } from '../bytes/byte-order.js';
import { ADDRESS_SPACE_END } from '../memory/range.js';
import { PT_LOAD } from './constants.js';
import { programHeaderFormat, type ProgramHeader } from './records.js';

const SIZE = programHeaderFormat.size;

/** Offsets of the fields that are looked at without making an object of each program header. */
export const P_OFFSET = 8;
export const P_VADDR = 16;
export const P_PADDR = 24;
export const P_FILESZ = 32;
export const P_MEMSZ = 40;

/** A run of the program headers of another table, from index `from` up to `to`, or a new one. */
export type TablePart = { readonly from: number; readonly to: number } | ProgramHeader;

/**
 * Program headers in their bytes. A large machine has 10,000 of them, so what goes through all of them reads fields as halves of 32 bits, which
 * are numbers, and makes no object and no bigint of any.
 */
export class ProgramHeaderTable {
  readonly length: number;
  private readonly view: DataView;
  private readonly little: boolean;
  private readonly lowAt: number;
  private readonly highAt: number;

  /** @param bytes the program headers and nothing else; never changed */
  constructor(
    readonly bytes: Uint8Array,
    readonly byteOrder: ByteOrder,
  ) {
    this.length = bytes.length / SIZE;
    this.view = dataView(bytes);
    this.little = byteOrder === 'lsb';
    this.lowAt = this.little ? 0 : 4;
    this.highAt = 4 - this.lowAt;
  }

  /** The table that `parts` come to. @throws RangeError when a value of a new program header does not fit its field */
  assembled(parts: readonly TablePart[]): ProgramHeaderTable {
    const length = parts.reduce((sum, part) => sum + ('from' in part ? part.to - part.from : 1), 0);
    const bytes = new Uint8Array(length * SIZE);
    let at = 0;
    for (const part of parts) {
      if ('from' in part) {
        bytes.set(this.bytes.subarray(part.from * SIZE, part.to * SIZE), at);
        at += (part.to - part.from) * SIZE;
      } else {
        programHeaderFormat.encode(part, bytes, at, this.byteOrder);
        at += SIZE;
      }
    }
    return new ProgramHeaderTable(bytes, this.byteOrder);
  }

  at(index: number): ProgramHeader {
    return programHeaderFormat.parseOne(this.bytes, index * SIZE, this.byteOrder);
  }

  toArray(): ProgramHeader[] {
    return programHeaderFormat.parse(this.bytes, 0, this.length, this.byteOrder);
  }

  type(index: number): number {
    return this.view.getUint32(index * SIZE, this.little);
  }

  /** The lower 32 bits of the field at offset `field` of program header `index`. */
  low(index: number, field: number): number {
    return this.view.getUint32(index * SIZE + field + this.lowAt, this.little);
  }

  /** The upper 32 bits. */
  high(index: number, field: number): number {
    return this.view.getUint32(index * SIZE + field + this.highAt, this.little);
  }

  value(index: number, field: number): bigint {
    return this.view.getBigUint64(index * SIZE + field, this.little);
  }

  /** Whether both fields of a program header are the same. */
  same(index: number, field: number, other: number): boolean {
    return this.low(index, field) === this.low(index, other) && this.high(index, field) === this.high(index, other);
  }

  /** Index of the first program header with a range that passes 2^64, or a PT_LOAD with more bytes in the file than in memory; -1 for none. */
  firstOutOfRange(): number {
    for (let index = 0; index < this.length; index += 1) {
      const wrong =
        this.mayPassEnd(index, P_OFFSET, P_FILESZ) || this.mayPassEnd(index, P_PADDR, P_MEMSZ) || !this.same(index, P_FILESZ, P_MEMSZ);
      if (wrong && rangeProblem(this.at(index)) !== undefined) return index;
    }
    return -1;
  }

  /** False where the sum of both fields is certainly below 2^64. */
  private mayPassEnd(index: number, start: number, size: number): boolean {
    return this.high(index, start) + this.high(index, size) >= 0xffffffff;
  }
}

/** The field of a program header that is out of range. */
export function rangeProblem({ type, offset, paddr, filesz, memsz }: ProgramHeader): 'p_offset + p_filesz' | 'p_paddr + p_memsz' | 'p_filesz' | undefined {
  if (offset + filesz > ADDRESS_SPACE_END) return 'p_offset + p_filesz';
  if (paddr + memsz > ADDRESS_SPACE_END) return 'p_paddr + p_memsz';
  return type === PT_LOAD && filesz > memsz ? 'p_filesz' : undefined;
}
