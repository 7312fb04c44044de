import { MACHINE_ORDER, dataView, machineWords, type ByteOrder } from '../bytes/byte-order.js';
import { firstNonZero } from '../bytes/compare.js';
import { SMALLEST_PAGE, contains, overlaps, rangeOfSize, type Range } from '../memory/range.js';
import { MAX_SEGMENTS } from './segment.js';

/**
 * The purgatory's sha256_regions: up to 16 pairs `{u64 start, u64 length}`, the rest zero (struct kexec_sha_region in
 * include/linux/purgatory.h, struct sha256_region in kexec-tools' kexec-sha256.h). It alone tells which segments the digest covers.
 */
export interface RegionTable {
  /** Physical address of the first entry. */
  readonly address: bigint;
  /** In the order they are hashed, which is the table's. */
  readonly regions: readonly Range[];
}

const ENTRY_SIZE = 16;
export const REGION_TABLE_SIZE = MAX_SEGMENTS * ENTRY_SIZE;

/** Segments begin and end on page boundaries (sanity_check_segment_list in kernel/kexec_core.c). */
const PAGE_MASK = SMALLEST_PAGE - 1n;

/**
 * The region table in the purgatory segment's `bytes`, which begin at `address`: at least one entry, each one of `segments` to the byte.
 *
 * @returns undefined when there is none
 */
export function findRegionTable(bytes: Uint8Array, address: bigint, segments: readonly Range[], order: ByteOrder): RegionTable | undefined {
  const known = new Map(segments.map((segment) => [segment.start, segment.end]));
  return search(bytes, address, order, (region) => known.get(region.start) === region.end);
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
  const plausible = (region: Range): boolean =>
    contains(crashKernel, region) && (region.start & PAGE_MASK) === 0n && (region.end & PAGE_MASK) === 0n;
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
  // The crashkernel range may be gigabytes: looking for the bytes of one start is many times as fast as looking at each place.
  return needed === undefined || needed.start === 0n
    ? search(bytes, address, order, plausible, acceptsTable)
    : firstTable(bytes, address, order, placesWith(needed.start, bytes, order), plausible, acceptsTable);
}

/** Offsets, ascending, where a table would have to begin that has an entry with this start. */
function placesWith(start: bigint, bytes: Uint8Array, order: ByteOrder): number[] {
  const word = Buffer.alloc(8);
  dataView(word).setBigUint64(0, start, order === 'lsb');
  // Zeros are everywhere in memory, so they do not come first in what is looked for.
  const skipped = firstNonZero(word);
  const wanted = word.subarray(skipped);
  const memory = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const places = new Set<number>();
  for (let hit = memory.indexOf(wanted, skipped); hit >= 0; hit = memory.indexOf(wanted, hit + 1)) {
    const entry = hit - skipped;
    if (entry % 8 !== 0) continue;
    for (let index = 0; index < MAX_SEGMENTS && entry >= index * ENTRY_SIZE; index += 1) places.add(entry - index * ENTRY_SIZE);
  }
  return [...places].filter((at) => at + REGION_TABLE_SIZE <= bytes.length).sort((a, b) => a - b);
}

function search(
  bytes: Uint8Array,
  address: bigint,
  order: ByteOrder,
  acceptsEntry: (region: Range) => boolean,
  acceptsTable: (table: RegionTable) => boolean = () => true,
): RegionTable | undefined {
  return firstTable(bytes, address, order, likelyPlaces(bytes, order), acceptsEntry, acceptsTable);
}

/** Most of memory fails on the low 12 bits of the first start, without making a bigint. */
function* likelyPlaces(bytes: Uint8Array, order: ByteOrder): Generator<number> {
  const words = machineWords(bytes);
  const mask = order === MACHINE_ORDER ? 0xfff : 0xff0f0000;
  const [low, high] = order === 'lsb' ? [0, 1] : [1, 0];
  const last = (bytes.length - REGION_TABLE_SIZE) / 4;
  for (let at = 0; at <= last; at += 2) {
    const word = words[at + low] as number;
    if ((word & mask) === 0 && (word !== 0 || words[at + high] !== 0)) yield 4 * at;
  }
}

function firstTable(
  bytes: Uint8Array,
  address: bigint,
  order: ByteOrder,
  places: Iterable<number>,
  acceptsEntry: (region: Range) => boolean,
  acceptsTable: (table: RegionTable) => boolean,
): RegionTable | undefined {
  const view = dataView(bytes);
  const little = order === 'lsb';
  for (const at of places) {
    const regions = readEntries(view, at, little, acceptsEntry);
    if (regions === undefined || followsEntry(view, at, little)) continue;
    const table = { address: address + BigInt(at), regions };
    if (acceptsTable(table)) return table;
  }
  return undefined;
}

function readEntries(view: DataView, at: number, little: boolean, accepts: (region: Range) => boolean): Range[] | undefined {
  const regions: Range[] = [];
  for (let index = 0; index < MAX_SEGMENTS; index += 1) {
    const start = view.getBigUint64(at + index * ENTRY_SIZE, little);
    const length = view.getBigUint64(at + index * ENTRY_SIZE + 8, little);
    if (start === 0n && length === 0n) {
      return regions.length > 0 && isZero(view, at + index * ENTRY_SIZE, at + REGION_TABLE_SIZE) ? regions : undefined;
    }
    const region = { start, end: start + length };
    if (length === 0n || !accepts(region)) return undefined;
    regions.push(region);
  }
  return regions;
}

/** Whether the 16 bytes before look like an entry too: then this is not the first one, and what the whole table covers is not known. */
function followsEntry(view: DataView, at: number, little: boolean): boolean {
  if (at < ENTRY_SIZE) return false;
  const [start, length] = [view.getBigUint64(at - ENTRY_SIZE, little), view.getBigUint64(at - 8, little)];
  return start !== 0n && length !== 0n && (start & PAGE_MASK) === 0n && (length & PAGE_MASK) === 0n;
}

function isZero(view: DataView, from: number, to: number): boolean {
  for (let at = from; at < to; at += 4) if (view.getUint32(at) !== 0) return false;
  return true;
}
