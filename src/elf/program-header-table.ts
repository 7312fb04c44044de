import { MACHINE_ORDER, machineWords, type ByteOrder } from '../bytes/byte-order.js';
import { ADDRESS_SPACE_END } from '../memory/range.js';
import { PT_LOAD } from './constants.js';
import { programHeaderFormat, type ProgramHeader } from './records.js';

const SIZE = programHeaderFormat.size;
const WORDS = SIZE / 4;

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
  /** The same in words of this machine's byte order: an array of numbers is read faster than a DataView. */
  private readonly words: Uint32Array;
  private readonly lowAt: number;
  private readonly highAt: number;

  readonly bytes: Uint8Array;
  readonly byteOrder: ByteOrder;

  /** @param bytes the program headers and nothing else; never changed */
  constructor(bytes: Uint8Array, byteOrder: ByteOrder) {
    this.bytes = bytes;
    this.byteOrder = byteOrder;
    this.length = bytes.length / SIZE;
    this.words = wordsOf(bytes, byteOrder);
    this.lowAt = byteOrder === 'lsb' ? 0 : 1;
    this.highAt = 1 - this.lowAt;
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
    return this.words[index * WORDS] as number;
  }

  /** The lower 32 bits of the field at offset `field` of program header `index`. */
  low(index: number, field: number): number {
    return this.words[index * WORDS + (field >>> 2) + this.lowAt] as number;
  }

  /** The upper 32 bits. */
  high(index: number, field: number): number {
    return this.words[index * WORDS + (field >>> 2) + this.highAt] as number;
  }

  value(index: number, field: number): bigint {
    return (BigInt(this.high(index, field)) << 32n) | BigInt(this.low(index, field));
  }

  /** Whether both fields of a program header are the same. */
  same(index: number, field: number, other: number): boolean {
    return this.low(index, field) === this.low(index, other) && this.high(index, field) === this.high(index, other);
  }

  /** The first program header with a range that passes 2^64, or a PT_LOAD with more bytes in the file than in memory. */
  firstOutOfRange(): { readonly index: number; readonly field: RangeField } | undefined {
    for (let index = 0; index < this.length; index += 1) {
      const mayBeWrong =
        this.mayPassEnd(index, P_OFFSET, P_FILESZ) || this.mayPassEnd(index, P_PADDR, P_MEMSZ) || !this.same(index, P_FILESZ, P_MEMSZ);
      const field = mayBeWrong ? rangeProblem(this.at(index)) : undefined;
      if (field !== undefined) return { index, field };
    }
    return undefined;
  }

  /** False where the sum of both fields is certainly below 2^64. */
  private mayPassEnd(index: number, start: number, size: number): boolean {
    return this.high(index, start) + this.high(index, size) >= 0xffffffff;
  }
}

function wordsOf(bytes: Uint8Array, byteOrder: ByteOrder): Uint32Array {
  if (byteOrder === MACHINE_ORDER) return machineWords(bytes);
  return machineWords(Buffer.from(Uint8Array.from(bytes).buffer).swap32());
}

type RangeField = 'p_offset + p_filesz' | 'p_paddr + p_memsz' | 'p_filesz';

/** The field of a program header that is out of range. */
function rangeProblem({ type, offset, paddr, filesz, memsz }: ProgramHeader): RangeField | undefined {
  if (offset + filesz > ADDRESS_SPACE_END) return 'p_offset + p_filesz';
  if (paddr + memsz > ADDRESS_SPACE_END) return 'p_paddr + p_memsz';
  return type === PT_LOAD && filesz > memsz ? 'p_filesz' : undefined;
}
