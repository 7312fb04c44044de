import type { Architecture } from '../../arch/architecture.js';
import { alignDown, alignUp } from '../../bytes/align.js';
import { dataView } from '../../bytes/byte-order.js';
import { firstNonZero } from '../../bytes/compare.js';
import { PT_NOTE } from '../../elf/constants.js';
import { elfcorehdrSize, tableOf } from '../../elf/elfcorehdr.js';
import { SMALLEST_PAGE, containsAddress, rangeOfSize, sizeOf, type Range } from '../../memory/range.js';
import { subtract } from '../../memory/range-set.js';
import type { FoundImage } from './found-image.js';
import { nameSegments, type UnnamedSegment } from './name-segments.js';
import type { Description } from '../read-segments.js';
import type { PhysicalMemory } from '../../memory-source/physical-memory.js';
import { REGION_TABLE_SIZE, findRegionTableByShape, type ExpectedRegion, type RegionTable } from '../../kexec/region-table.js';
import { windows } from './scan.js';
import type { Search } from './search.js';
import { segmentRange } from '../../kexec/segment.js';

/** A segment that something points at. */
export interface KnownSegment {
  readonly address: bigint;
  /** Bytes that are certainly its own. */
  readonly size: bigint;
  /** Whether every purgatory's digest covers it, so that its region table has to name it. */
  readonly alwaysCovered: boolean;
}

/** Image header of arm64 and riscv: image_size at 16, magic at 56 (Documentation/arch/arm64/booting.rst, riscv/boot-image-header.rst). */
const IMAGE_MAGICS = [0x644d5241, 0x05435352];

/**
 * The image in the crashkernel range: its segments from `description`, what else is known, and what lies there. The purgatory's region table names
 * the covered segments with their memsz, and gives the page size away; sizes it does not tell are bounded by the neighbours.
 *
 * @param statedSizes what the FDT says of the elfcorehdr's memsz, which may be its bufsz
 */
export function imageAround(
  search: Search,
  architecture: Architecture,
  crashKernel: Range | null,
  description: Description,
  statedSizes: readonly bigint[],
  known: readonly KnownSegment[],
): FoundImage {
  const { memory } = search;
  const { elfcorehdr } = description;
  const used = BigInt(elfcorehdrSize(tableOf(elfcorehdr.contents).length));
  const header = rangeOfSize(elfcorehdr.address, used);
  const expected = [
    ...known.map(({ address, size, alwaysCovered }) => ({ range: rangeOfSize(address, size), alwaysCovered })),
    { range: header, alwaysCovered: false },
  ];
  const table = crashKernel === null ? undefined : findTable(search, crashKernel, expected, architecture);
  const covered = table?.regions ?? [];
  const provenance = table === undefined ? [] : ["sizes of covered segments from the purgatory's region table"];

  const stated = [
    ...known.map(({ address }) => address),
    elfcorehdr.address,
    ...covered.flatMap((region) => [region.start, sizeOf(region)]),
  ];
  const page = architecture.pageSizes.find((size) => stated.every((value) => value % size === 0n)) ?? SMALLEST_PAGE;

  const segments: UnnamedSegment[] = covered.map((region) => ({ address: region.start, memsz: sizeOf(region), bufsz: null }));
  for (const { address, size } of known) {
    const index = segments.findIndex((segment) => segment.address === address);
    if (index < 0) segments.push({ address, memsz: alignUp(size, page), bufsz: size });
    else segments[index] = { ...(segments[index] as UnnamedSegment), bufsz: size };
  }
  const kernel = table === undefined && crashKernel !== null ? kernelImage(memory, crashKernel, page) : undefined;
  if (kernel !== undefined) {
    segments.push(kernel);
    provenance.push('kernel from the header of its image at the start of the crashkernel range');
  }

  if (!segments.some((segment) => segment.address === elfcorehdr.address)) {
    const others = [
      ...segments.map(({ address }) => address),
      ...(table === undefined ? [] : [alignDown(table.address, page)]),
      ...(crashKernel === null ? [] : [crashKernel.end]),
    ];
    const { size, how } = elfcorehdrMemsz(memory, architecture, elfcorehdr, statedSizes, used, others, page);
    segments.push({ address: elfcorehdr.address, memsz: size, bufsz: null });
    provenance.push(`elfcorehdr memsz ${how}`);
  }
  if (table !== undefined && crashKernel !== null) {
    segments.push(purgatoryAround(memory, table, subtract([crashKernel], segments.map(segmentRange)), page));
    provenance.push('purgatory from the pages around its region table that are not zero');
  }
  return {
    architecture,
    segments: nameSegments(memory, segments, description),
    description,
    crashKernel,
    entry: null,
    isComplete: false,
    provenance,
  };
}

/**
 * The elfcorehdr's memsz: as stated, if that is whole pages and larger than bufsz; else the zeros behind it, up to what follows and to what the
 * kernel asks kexec-tools to reserve for hotplug.
 */
function elfcorehdrMemsz(
  memory: PhysicalMemory,
  architecture: Architecture,
  { address, contents }: Description['elfcorehdr'],
  statedSizes: readonly bigint[],
  used: bigint,
  otherStarts: readonly bigint[],
  page: bigint,
): { size: bigint; how: string } {
  const least = alignUp(used, page);
  const limit = otherStarts.filter((start) => start > address).reduce((low, start) => (start < low ? start : low), address + MOST_RESERVED);
  const stated = statedSizes.find((size) => size >= least && size % page === 0n && address + size <= limit);
  if (stated !== undefined) return { size: stated, how: 'as the FDT states it' };
  const zeros = alignDown(zeroRun(memory, address + used, limit) - address, page);
  const provenance = contents.programHeaders.filter(({ type }) => type === PT_NOTE).length;
  const reserved = alignUp(architecture.hotplugReservation?.(provenance - 1) ?? MOST_RESERVED, page);
  const size = zeros < reserved ? zeros : reserved;
  return { size: size > least ? size : least, how: 'from the zeros behind it' };
}

/** Most that an elfcorehdr can use: e_phnum program headers. */
const MOST_RESERVED = BigInt(elfcorehdrSize(0xffff));

function findTable(
  search: Search,
  crashKernel: Range,
  expected: readonly ExpectedRegion[],
  architecture: Architecture,
): RegionTable | undefined {
  const taken = expected.map(({ range }) => range);
  for (const gap of subtract([crashKernel], taken)) {
    search.spend('tables', sizeOf(gap));
    // The table is an array of u64.
    for (const { address, bytes } of windows(search.memory, { start: alignUp(gap.start, 8n), end: gap.end }, REGION_TABLE_SIZE - 8)) {
      const table = findRegionTableByShape(bytes, address, crashKernel, expected, architecture.byteOrder, search.contradicted);
      if (table !== undefined) return table;
    }
  }
  return undefined;
}

function kernelImage(memory: PhysicalMemory, crashKernel: Range, page: bigint): UnnamedSegment | undefined {
  const head = rangeOfSize(crashKernel.start, 64n);
  if (!memory.holds(head)) return undefined;
  const view = dataView(memory.read(head.start, 64));
  const size = view.getBigUint64(16, true);
  if (!IMAGE_MAGICS.includes(view.getUint32(56, true)) || size === 0n || size > sizeOf(crashKernel)) return undefined;
  return { address: head.start, memsz: alignUp(size, page), bufsz: null };
}

function purgatoryAround(memory: PhysicalMemory, table: RegionTable, free: readonly Range[], page: bigint): UnnamedSegment {
  const isZero = (address: bigint): boolean => zeroRun(memory, address, address + page) === address + page;
  const gap = free.find((range) => containsAddress(range, table.address));
  let start = alignDown(table.address, page);
  let end = alignUp(table.address + BigInt(REGION_TABLE_SIZE), page);
  if (gap !== undefined) {
    while (start - page >= gap.start && !isZero(start - page)) start -= page;
    while (end + page <= gap.end && !isZero(end)) end += page;
  }
  return { address: start, memsz: end - start, bufsz: null };
}

/** Address of the first byte from `start` on that is not zero, at most `limit`. */
function zeroRun(memory: PhysicalMemory, start: bigint, limit: bigint): bigint {
  if (start >= limit) return limit;
  for (const { address, bytes } of memory.chunks({ start, end: limit })) {
    const found = firstNonZero(bytes);
    if (found >= 0) return address + BigInt(found);
  }
  return limit;
}
