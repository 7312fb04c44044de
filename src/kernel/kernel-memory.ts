import { KdumpError, hex } from '../errors.js';
import { dataView, type ByteOrder } from '../bytes/byte-order.js';
import type { MemorySource } from './source.js';

const PAGE = 0x1000n;
/** Pages that are kept. What is walked lies scattered over pages, many pieces on each. */
const KEPT_PAGES = 2048;
/** Most that is read of one kernel: whoever filled the memory decides where pointers lead, and how long lists are. */
const MAX_BYTES = 96 << 20;
const LONGEST_TEXT = 4096;

/** The physical address of a virtual one. @throws KdumpError `input` when nothing is mapped there */
export type Translation = (address: bigint) => bigint;

/** Physical memory, of which pages are read once, and in all no more than a bound. */
export class PhysicalPages {
  private readonly pages = new Map<bigint, Uint8Array>();
  private left = MAX_BYTES;

  private readonly memory: MemorySource;
  readonly order: ByteOrder;

  constructor(memory: MemorySource, order: ByteOrder) {
    this.memory = memory;
    this.order = order;
  }

  readInto(into: Uint8Array, address: bigint): void {
    this.spend(into.length);
    this.memory.readInto(into, address);
  }

  /** The bytes of the page that holds `address`, from there on. */
  rest(address: bigint): Uint8Array {
    const start = address & ~(PAGE - 1n);
    let page = this.pages.get(start);
    if (page === undefined) {
      page = new Uint8Array(Number(PAGE));
      this.readInto(page, start);
      if (this.pages.size >= KEPT_PAGES) this.pages.clear();
      this.pages.set(start, page);
    }
    return page.subarray(Number(address - start));
  }

  forget(): void {
    this.pages.clear();
  }

  u64(address: bigint): bigint {
    const rest = this.rest(address);
    if (rest.length < 8) throw new KdumpError('input', 'a table of the kernel does not begin where one can', { found: hex(address) });
    return dataView(rest).getBigUint64(0, this.order === 'lsb');
  }

  private spend(bytes: number): void {
    this.left -= bytes;
    if (this.left < 0)
      throw new KdumpError('input', "the kernel's own data takes too much reading", { expected: `at most ${MAX_BYTES} bytes` });
  }
}

/** Memory of a kernel by its own, virtual addresses. */
export class KernelMemory {
  private readonly pages: PhysicalPages;
  readonly translate: Translation;

  constructor(pages: PhysicalPages, translate: Translation) {
    this.pages = pages;
    this.translate = translate;
  }

  /** Reads everything anew from now on. */
  forget(): void {
    this.pages.forget();
  }

  get isLittleEndian(): boolean {
    return this.pages.order === 'lsb';
  }

  /** `length` bytes from `address`, which need not be one piece of physical memory. */
  read(address: bigint, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    let done = 0;
    while (done < length) {
      const start = address + BigInt(done);
      const physical = this.translate(start);
      let size = Number(PAGE - (start % PAGE));
      // Most large things are one piece: one read instead of one for each page.
      while (done + size < length && this.translate(start + BigInt(size)) === physical + BigInt(size)) size += Number(PAGE);
      size = Math.min(size, length - done);
      const part = bytes.subarray(done, done + size);
      const page = size <= Number(PAGE) ? this.pages.rest(physical) : undefined;
      if (page !== undefined && page.length >= size) part.set(page.subarray(0, size));
      else this.pages.readInto(part, physical);
      done += size;
    }
    return bytes;
  }

  view(address: bigint, length: number): DataView {
    return dataView(this.read(address, length));
  }

  u32(address: bigint): number {
    return this.view(address, 4).getUint32(0, this.isLittleEndian);
  }

  u64(address: bigint): bigint {
    return this.view(address, 8).getBigUint64(0, this.isLittleEndian);
  }

  /** Text up to its NUL, in Latin 1. @throws KdumpError `input` when it is longer than any the kernel has */
  text(address: bigint): string {
    let text = '';
    while (text.length < LONGEST_TEXT) {
      const rest = this.pages.rest(this.translate(address + BigInt(text.length)));
      const end = rest.indexOf(0);
      text += Buffer.from(end < 0 ? rest : rest.subarray(0, end)).toString('latin1');
      if (end >= 0) return text;
    }
    throw new KdumpError('input', 'text in kernel memory does not end', {
      found: `at ${hex(address)}`,
      expected: `at most ${LONGEST_TEXT} bytes`,
    });
  }
}
