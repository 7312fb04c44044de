import { MACHINE_ORDER, dataView, machineWords, type ByteOrder } from '../bytes/byte-order.js';
import { firstNonZero } from '../bytes/compare.js';
import { KdumpError } from '../errors.js';
import { contains, overlaps, rangeOfSize, type Range } from '../memory/range.js';
import { MAX_SEGMENTS } from './segment.js';

/**
 * The purgatory's sha256_regions: up to 16 pairs `{u64 start, u64 length}` of whole pages, the rest zero (sanity_check_segment_list in kernel/kexec_core.c, struct kexec_sha_region in
 * include/linux/purgatory.h, struct sha256_region in kexec-tools' kexec-sha256.h). It alone tells which segments the digest covers.
 */
export interface RegionTable {
  /** Physical address of the first entry. */
  readonly address: bigint;
  /** In the order they are hashed, which is the table's. */
  readonly regions: readonly Range[];
}

const ENTRY_SIZE = 16;
export const REGION_TABLE_SIZE: number = MAX_SEGMENTS * ENTRY_SIZE;

/**
 * The region table in the purgatory segment's `bytes`, which begin at `address`: at least one entry, each one of `segments` to the byte.
 *
 * @returns undefined when there is none
 */
export function findRegionTable(bytes: Uint8Array, address: bigint, segments: readonly Range[], order: ByteOrder): RegionTable | undefined {
  const known = new Map(segments.map((segment) => [segment.start, segment.end]));
  const entries = new Entries(bytes, order);
  return firstTable(
    entries,
    address,
    order,
    entries.tables(),
    (region) => known.get(region.start) === region.end,
    () => true,
  );
}

/** A segment that is known otherwise, at least in part: an entry that starts where it does holds it whole. */
export interface ExpectedRegion {
  readonly range: Range;
  /** Whether there has to be one. */
  readonly alwaysCovered: boolean;
}

/**
 * A region table in `bytes`, which begin at `address`, when not all segments are known: every entry is made of whole pages inside `crashKernel`,
 * none overlaps another or the table, and none contradicts `expected`.
 *
 * @param contradicted those of all the memory of which `bytes` are a piece
 * @throws KdumpError `input` when there are too many
 */
export function findRegionTableByShape(
  bytes: Uint8Array,
  address: bigint,
  crashKernel: Range,
  expected: readonly ExpectedRegion[],
  order: ByteOrder,
  contradicted: Contradicted = { count: 0 },
): RegionTable | undefined {
  const plausible = (region: Range): boolean => contains(crashKernel, region);
  const acceptsTable = ({ address: at, regions }: RegionTable): boolean => {
    const itself = rangeOfSize(at, BigInt(REGION_TABLE_SIZE));
    return (
      regions.every((region, index) => !overlaps(region, itself) && !regions.slice(0, index).some((other) => overlaps(region, other))) &&
      expected.every(({ range, alwaysCovered }) => {
        const entry = regions.find(({ start }) => start === range.start);
        return entry === undefined ? !alwaysCovered : entry.end >= range.end;
      })
    );
  };
  const needed = expected.find(({ alwaysCovered }) => alwaysCovered)?.range;
  const entries = new Entries(bytes, order);
  // The crashkernel range may be gigabytes: looking for the bytes of one start is many times as fast as looking at each place.
  const tables = needed === undefined || needed.start === 0n ? entries.tables() : entries.tablesWith(needed.start, order);
  return firstTable(entries, address, order, tables, plausible, acceptsTable, contradicted);
}

/** How many whole tables something contradicts, so far. */
export interface Contradicted {
  count: number;
}

/** Memory that is full of them is not looked through. */
const MAX_CONTRADICTED = 1 << 14;

function firstTable(
  entries: Entries,
  address: bigint,
  order: ByteOrder,
  tables: Iterable<Place>,
  acceptsEntry: (region: Range) => boolean,
  acceptsTable: (table: RegionTable) => boolean,
  contradicted: Contradicted = { count: 0 },
): RegionTable | undefined {
  const view = dataView(entries.bytes);
  for (const { at, count } of tables) {
    const regions = readEntries(view, at, count, order === 'lsb');
    const table = { address: address + BigInt(at), regions };
    if (regions.every(acceptsEntry) && acceptsTable(table)) return table;
    contradicted.count += 1;
    if (contradicted.count > MAX_CONTRADICTED) {
      throw new KdumpError('input', 'too much of this memory looks like the region table of a purgatory', {
        found: `more than ${MAX_CONTRADICTED} of them`,
        remedy: 'give the segment table with --kexec-log',
      });
    }
  }
  return undefined;
}

function readEntries(view: DataView, at: number, count: number, little: boolean): Range[] {
  return Array.from({ length: count }, (_, index) => {
    const start = view.getBigUint64(at + index * ENTRY_SIZE, little);
    return { start, end: start + view.getBigUint64(at + index * ENTRY_SIZE + 8, little) };
  });
}

/** Offset of a table, and how many entries it has; the rest of it is zero. */
interface Place {
  readonly at: number;
  readonly count: number;
}

const SLOT = 8;
const TABLE_SLOTS = REGION_TABLE_SIZE / SLOT;
/** Places with a start that are looked up one by one; to look at all of the memory is faster where there are more. */
const MAX_HITS = 64;

/**
 * Memory as entries of a table, 16 bytes each at a multiple of 8. Nearly all of it is told from one by a few bits, without making a bigint; whatever
 * is in it, each place costs a bounded number of looks.
 */
class Entries {
  private readonly words: Uint32Array;
  private readonly low: 0 | 1;
  private readonly mask: number;
  private readonly slots: number;

  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array, order: ByteOrder) {
    this.bytes = bytes;
    this.words = machineWords(bytes);
    this.low = order === 'lsb' ? 0 : 1;
    this.mask = order === MACHINE_ORDER ? 0xfff : 0xff0f0000;
    this.slots = bytes.length >>> 3;
  }

  /**
   * Tables, ascending, that begin in the slots from `from` to `to`, and whose first entry follows no other: what a table covers whose first entry is not
   * known is not known.
   */
  *tables(from = 0, to: number = this.slots): Generator<Place> {
    for (let start = this.firstOfPages(from, to); start < to;) {
      const end = this.endOfPages(start);
      for (let first = start; first <= start + 1 && first + 2 <= end; first += 1) {
        const count = this.countOfTable(first, end);
        if (count > 0) yield { at: first * SLOT, count };
      }
      start = this.firstOfPages(end, to);
    }
  }

  /** Those of {@link tables} that have an entry with this start, and perhaps others. */
  *tablesWith(start: bigint, order: ByteOrder): Generator<Place> {
    const word = Buffer.alloc(SLOT);
    dataView(word).setBigUint64(0, start, order === 'lsb');
    // Zeros are everywhere in memory, so they do not come first in what is looked for.
    const skipped = firstNonZero(word);
    const wanted = word.subarray(skipped);
    const memory = Buffer.from(this.bytes.buffer, this.bytes.byteOffset, this.bytes.byteLength);
    let end = 0;
    for (let hits = 0; hits < MAX_HITS; hits += 1) {
      const hit = memory.indexOf(wanted, end * SLOT + skipped);
      if (hit < 0) return;
      const slot = (hit - skipped) >>> 3;
      end = slot + 1;
      if ((hit - skipped) % SLOT !== 0 || !this.isPages(slot)) continue;
      let first = slot;
      while (first > 0 && this.isPages(first - 1)) first -= 1;
      end = this.endOfPages(slot);
      yield* this.tables(first, end);
    }
    yield* this.tables(end);
  }

  /** How many entries the table that begins with slot `first` has, the slots from there to `end` being all that hold whole pages; 0 where it is none. */
  private countOfTable(first: number, end: number): number {
    const count = Math.min((end - first) >>> 1, MAX_SEGMENTS);
    const next = first + TABLE_SLOTS;
    return next <= this.slots && this.isZero(first + 2 * count, next) ? count : 0;
  }

  /** The first slot from `slot` on that holds whole pages; `to` where none does. */
  private firstOfPages(slot: number, to: number): number {
    const { words, low, mask } = this;
    let at = slot;
    for (; at < to; at += 1) {
      if (((words[2 * at + low] as number) & mask) === 0 && (words[2 * at] !== 0 || words[2 * at + 1] !== 0)) break;
    }
    return at;
  }

  /** The first slot from `slot` on that does not. */
  private endOfPages(slot: number): number {
    let end = slot;
    while (end < this.slots && this.isPages(end)) end += 1;
    return end;
  }

  /** Whether the 8 bytes of `slot` are an address or a number of bytes of whole pages, and not zero. */
  private isPages(slot: number): boolean {
    const { words, low, mask } = this;
    const word = 2 * slot;
    return ((words[word + low] as number) & mask) === 0 && (words[word] !== 0 || words[word + 1] !== 0);
  }

  private isZero(slot: number, end: number): boolean {
    for (let word = 2 * slot; word < 2 * end; word += 1) if (this.words[word] !== 0) return false;
    return true;
  }
}
