import { KdumpError, hex } from '../errors.js';
import { alignDown, alignUp } from '../bytes/position.js';
import { architectureOf } from '../arch/registry.js';
import { elfcorehdrSize } from '../elf/elfcorehdr.js';
import { PT_LOAD } from '../elf/constants.js';
import { containsAddress, formatRange, rangeOfSize, sizeOf, type Range } from '../memory/range.js';
import { subtract } from '../memory/range-set.js';
import { backupOf } from './backup.js';
import { kdumpFdtFacts } from './chosen.js';
import type { FoundImage } from './find.js';
import type { PhysicalMemory } from './physical-memory.js';
import { readElfcorehdr, readFdt } from './read-segments.js';
import { REGION_TABLE_SIZE, findRegionTableByShape, type RegionTable } from './region-table.js';
import { segmentRange, type Segment } from './segment.js';
import { zeroRun } from './zero-run.js';

const PAGE = 0x1000n;

/**
 * The kdump image that the device tree at `fdtAddress` belongs to. Everything that it claims about the other segments is looked up there.
 *
 * @throws KdumpError `input` that tells why this device tree is not one of a kdump image: that of the running kernel, a FIT image, a stale copy
 */
export function imageOfFdt(memory: PhysicalMemory, fdtAddress: bigint): FoundImage {
  const fdt = readFdt(memory, fdtAddress);
  if (fdt.root.child('images') !== undefined) throw notKdump('a FIT image');
  if (fdt.node('/cpus') === undefined) throw notKdump('no /cpus node');
  const facts = kdumpFdtFacts(fdt);
  if (facts.elfcorehdr === null) throw notKdump('neither linux,elfcorehdr nor elfcorehdr= in bootargs, as in the device tree of a running kernel');

  const { address } = facts.elfcorehdr;
  const elfcorehdr = readElfcorehdr(memory, address);
  const architecture = architectureOf(elfcorehdr.header.fields.machine, elfcorehdr.header.byteOrder);
  const { crashKernel } = facts;
  if (crashKernel !== null && !containsAddress(crashKernel, fdtAddress)) throw notKdump(`it is outside the crashkernel range ${formatRange(crashKernel)}`);
  const listsItself = elfcorehdr.programHeaders.some(
    (each) => each.type === PT_LOAD && each.memsz > 0n && containsAddress(rangeOfSize(each.paddr, each.memsz), address),
  );
  if (listsItself) throw notKdump('its elfcorehdr lies in memory that it lists itself');
  const backup = backupOf(elfcorehdr);
  if (backup !== undefined && !fdt.reservations.some((each) => each.address === backup.start && each.size >= backup.end - backup.start)) {
    throw notKdump(`its elfcorehdr has a backup area at ${hex(backup.start)} that the memory reservation block does not name`);
  }

  const notes = [`elfcorehdr address from ${facts.elfcorehdr.source}`];
  const fdtSegment = segment('fdt', { start: fdtAddress, end: alignUp(fdtAddress + BigInt(fdt.header.totalSize), PAGE) }, BigInt(fdt.header.totalSize));
  const known = [fdtSegment];
  if (backup !== undefined) known.push(segment('backup', backup, backup.end - backup.start));
  if (facts.initrd !== null) {
    known.push(segment('initrd', { start: facts.initrd.start, end: alignUp(facts.initrd.end, PAGE) }, facts.initrd.end - facts.initrd.start));
  }

  const used = BigInt(elfcorehdrSize(elfcorehdr.programHeaders.length));
  const room = crashKernel === null ? [] : subtract([crashKernel], [...known.map(segmentRange), rangeOfSize(address, used)]);
  const table = findTable(memory, room, crashKernel, known, architecture.byteOrder);
  if (table !== undefined) addCovered(known, table, address, notes);

  const limit = nextStart(address, known.map(segmentRange), table, crashKernel) ?? alignUp(address + used, PAGE);
  const reserved = fdt.reservations.find((each) => each.address === address)?.size ?? 0n;
  const covered = table?.regions.find((region) => region.start === address);
  const told =
    covered === undefined
      ? [facts.elfcorehdr.size ?? 0n, reserved].find((size) => size > used && size % PAGE === 0n && address + size <= limit)
      : sizeOf(covered);
  const end = told === undefined ? alignDown(zeroRun(memory, address + used, limit), PAGE) : address + told;
  notes.push(`elfcorehdr memsz from ${told === undefined ? 'the zeros after it, up to what lies behind' : covered === undefined ? 'the FDT' : "the purgatory's region table"}`);
  known.push(segment('elfcorehdr', { start: address, end: end > address + used ? end : alignUp(address + used, PAGE) }, null));

  if (table !== undefined) known.push(purgatorySegment(memory, table, known.map(segmentRange), crashKernel as Range, notes));
  return { architecture, segments: known, crashKernel, entry: null, notes };
}

function findTable(
  memory: PhysicalMemory,
  room: readonly Range[],
  crashKernel: Range | null,
  known: readonly Segment[],
  order: 'lsb' | 'msb',
): RegionTable | undefined {
  if (crashKernel === null) return undefined;
  // Without --hotplug the FDT is covered too; initrd and backup are covered always.
  const required = known.filter(({ name }) => name !== 'fdt').map((each) => rangeOfSize(each.address, each.bufferSize ?? 1n));
  if (required.length === 0) return undefined;
  for (const gap of room) {
    let carry = new Uint8Array(0);
    for (const { address, bytes } of memory.chunks(gap)) {
      const joined = new Uint8Array(carry.length + bytes.length);
      joined.set(carry);
      joined.set(bytes, carry.length);
      const table = findRegionTableByShape(joined, address - BigInt(carry.length), crashKernel, required, order);
      if (table !== undefined) return table;
      carry = joined.slice(Math.max(0, joined.length - REGION_TABLE_SIZE + 8));
    }
  }
  return undefined;
}

/** Gives the known segments the sizes that the table has, and adds the one it does not explain otherwise: the kernel. */
function addCovered(known: Segment[], table: RegionTable, elfcorehdr: bigint, notes: string[]): void {
  const others: Range[] = [];
  for (const region of table.regions) {
    const index = known.findIndex((each) => each.address === region.start);
    const found = known[index];
    if (found !== undefined) known[index] = { ...found, memorySize: region.end - region.start };
    else if (region.start !== elfcorehdr) others.push(region);
  }
  others.forEach((region) => known.push(segment(others.length === 1 ? 'kernel' : 'other', region, null)));
  notes.push("kernel and segment sizes from the purgatory's region table");
}

/** Start of whatever comes after `address`: a segment, the page of the region table, or the end of crashkernel. */
function nextStart(address: bigint, known: readonly Range[], table: RegionTable | undefined, crashKernel: Range | null): bigint | undefined {
  const starts = [...known.map((range) => range.start), ...(table === undefined ? [] : [alignDown(table.address, PAGE)]), ...(crashKernel === null ? [] : [crashKernel.end])];
  return starts.filter((start) => start > address).sort((a, b) => (a < b ? -1 : 1))[0];
}

/** The pages around the region table that are not zero, between the segments on either side. */
function purgatorySegment(memory: PhysicalMemory, table: RegionTable, known: readonly Range[], crashKernel: Range, notes: string[]): Segment {
  const tablePage = alignDown(table.address, PAGE);
  const tableEnd = alignUp(table.address + BigInt(REGION_TABLE_SIZE), PAGE);
  const gap = subtract([crashKernel], known).find((range) => containsAddress(range, table.address)) ?? { start: tablePage, end: tableEnd };
  let start = tablePage;
  while (start - PAGE >= gap.start && !isZeroPage(memory, start - PAGE)) start -= PAGE;
  let end = tableEnd;
  while (end + PAGE <= gap.end && !isZeroPage(memory, end)) end += PAGE;
  notes.push('purgatory from the pages around its region table that are not zero');
  return segment('purgatory', { start, end }, null);
}

function isZeroPage(memory: PhysicalMemory, address: bigint): boolean {
  return memory.read(address, Number(PAGE)).every((byte) => byte === 0);
}

function segment(name: Segment['name'], range: Range, bufferSize: bigint | null): Segment {
  return { name, address: range.start, memorySize: range.end - range.start, bufferSize };
}

function notKdump(found: string): KdumpError {
  return new KdumpError('input', 'not the device tree of a kdump image', { found });
}
