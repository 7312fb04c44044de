import { MACHINE_ORDER, dataView, machineWords, type ByteOrder } from '../bytes/byte-order.js';
import { firstNonZero } from '../bytes/compare.js';
import { KdumpError } from '../errors.js';
import { contains, overlaps, rangeOfSize, type Range } from '../memory/range.js';
import { formatSize } from '../text/numbers.js';
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
    entries.firstOnes(),
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
 */
export function findRegionTableByShape(
  bytes: Uint8Array,
  address: bigint,
  crashKernel: Range,
  expected: readonly ExpectedRegion[],
  order: ByteOrder,
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
  const places = needed === undefined || needed.start === 0n ? entries.firstOnes() : entries.firstOfThoseWith(needed.start, order);
  return firstTable(entries, address, order, places, plausible, acceptsTable);
}

/** Whole tables that something contradicts; memory that is full of them is not looked through. */
const MAX_CONTRADICTED = 4096;

function firstTable(
  entries: Entries,
  address: bigint,
  order: ByteOrder,
  places: Iterable<number>,
  acceptsEntry: (region: Range) => boolean,
  acceptsTable: (table: RegionTable) => boolean,
): RegionTable | undefined {
  const view = dataView(entries.bytes);
  let contradicted = 0;
  for (const at of places) {
    const count = entries.countOfTable(at);
    if (count === undefined) continue;
    const regions = readEntries(view, at, count, order === 'lsb');
    const table = { address: address + BigInt(at), regions };
    if (regions.every(acceptsEntry) && acceptsTable(table)) return table;
    contradicted += 1;
    if (contradicted > MAX_CONTRADICTED) {
      throw new KdumpError('input', 'too much of this memory looks like the region table of a purgatory', {
        found: `more than ${MAX_CONTRADICTED} of them in ${bytesOf(entries)}`,
        remedy: 'give the segment table with --kexec-log',
      });
    }
  }
  return undefined;
}

function bytesOf({ bytes }: Entries): string {
  return formatSize(BigInt(bytes.length));
}

function readEntries(view: DataView, at: number, count: number, little: boolean): Range[] {
  return Array.from({ length: count }, (_, index) => {
    const start = view.getBigUint64(at + index * ENTRY_SIZE, little);
    return { start, end: start + view.getBigUint64(at + index * ENTRY_SIZE + 8, little) };
  });
}

/**
 * Memory as entries of a table, 16 bytes each at a multiple of 8. Nearly all of it is told from one by a few bits, without making a bigint; whatever
 * is in it, each place costs a bounded number of looks.
 */
class Entries {
  private readonly words: Uint32Array;
  private readonly low: 0 | 1;
  private readonly mask: number;
  /** Where a table would have to begin to be whole. */
  private readonly last: number;

  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array, order: ByteOrder) {
    this.bytes = bytes;
    this.words = machineWords(bytes);
    this.low = order === 'lsb' ? 0 : 1;
    this.mask = order === MACHINE_ORDER ? 0xfff : 0xff0f0000;
    this.last = bytes.length - REGION_TABLE_SIZE;
  }

  /** Offsets, ascending, of entries that follow none: what a table covers whose first entry is not known is not known. */
  *firstOnes(): Generator<number> {
    const { words, low, mask, last } = this;
    for (let at = 0; at <= last; at += 8) {
      const word = words[(at >>> 2) + low] as number;
      // Most of memory that is not told by its low bits is zeros.
      if ((word & mask) !== 0 || (word === 0 && words[(at >>> 2) + 1 - low] === 0)) continue;
      if (this.isEntry(at) && !this.isEntry(at - ENTRY_SIZE)) yield at;
    }
  }

  /** Those of {@link firstOnes} that an entry with this start follows, or that are one. */
  *firstOfThoseWith(start: bigint, order: ByteOrder): Generator<number> {
    const word = Buffer.alloc(8);
    dataView(word).setBigUint64(0, start, order === 'lsb');
    // Zeros are everywhere in memory, so they do not come first in what is looked for.
    const skipped = firstNonZero(word);
    const wanted = word.subarray(skipped);
    const memory = Buffer.from(this.bytes.buffer, this.bytes.byteOffset, this.bytes.byteLength);
    // Up to where entries that follow each other were looked at, for those at each of the two places in 16 bytes.
    const done = [0, 0];
    for (let hit = memory.indexOf(wanted, skipped); hit >= 0; hit = memory.indexOf(wanted, hit + 1)) {
      const entry = hit - skipped;
      const place = (entry >>> 3) & 1;
      if (entry % 8 !== 0 || entry < (done[place] as number) || !this.isEntry(entry)) continue;
      let first = entry;
      while (this.isEntry(first - ENTRY_SIZE)) first -= ENTRY_SIZE;
      let end = entry + ENTRY_SIZE;
      while (this.isEntry(end)) end += ENTRY_SIZE;
      done[place] = end;
      if (first <= this.last && entry < first + REGION_TABLE_SIZE) yield first;
    }
  }

  /** How many entries the table at `at` has, the rest of it being zero; undefined where it is none. */
  countOfTable(at: number): number | undefined {
    for (let index = 0; index < MAX_SEGMENTS; index += 1) {
      const entry = at + index * ENTRY_SIZE;
      if (this.isEntry(entry)) continue;
      return index > 0 && this.isZero(entry, at + REGION_TABLE_SIZE) ? index : undefined;
    }
    return MAX_SEGMENTS;
  }

  /** Whether whole pages begin at `at`, and how many. */
  private isEntry(at: number): boolean {
    const { words, low, mask } = this;
    const word = at >>> 2;
    if (at < 0 || word + 4 > words.length) return false;
    return (
      ((words[word + low] as number) & mask) === 0 &&
      ((words[word + 2 + low] as number) & mask) === 0 &&
      (words[word] !== 0 || words[word + 1] !== 0) &&
      (words[word + 2] !== 0 || words[word + 3] !== 0)
    );
  }

  private isZero(from: number, to: number): boolean {
    for (let word = from >>> 2; word < to >>> 2; word += 1) if (this.words[word] !== 0) return false;
    return true;
  }
}
