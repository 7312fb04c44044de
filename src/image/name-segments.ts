import { KdumpError, hex } from '../errors.js';
import { dataView, type ByteOrder } from '../bytes/byte-order.js';
import { parseElfcorehdrHeader, type Elfcorehdr } from '../elf/elfcorehdr.js';
import { ELF_HEADER_SIZE, hasElfMagic } from '../elf/elf-header.js';
import { FDT_MAGIC } from '../fdt/constants.js';
import type { Fdt } from '../fdt/fdt.js';
import { backupOf } from './backup.js';
import { kdumpFdtFacts } from './chosen.js';
import type { PhysicalMemory } from './containers/physical-memory.js';
import { readElfcorehdr, readFdt } from './read-segments.js';
import { findRegionTable } from './region-table.js';
import { MAX_PURGATORY, segmentRange, type Segment, type SegmentName } from './segment.js';

export type UnnamedSegment = Omit<Segment, 'name'>;

/** `HdrS` at 0x202: the setup header of boot_params (Documentation/arch/x86/boot.rst). */
const SETUP_HEADER_MAGIC = 0x53726448;

/**
 * Names the segments of a table that says only where they are, from what lies there.
 *
 * @throws KdumpError `input` when no segment, or more than one, is an elfcorehdr
 */
export function nameSegments(memory: PhysicalMemory, segments: readonly UnnamedSegment[]): Segment[] {
  const headers = segments.filter((segment) => isElfcorehdr(memory, segment));
  const [elfcorehdr] = headers;
  if (elfcorehdr === undefined || headers.length > 1) {
    throw new KdumpError('input', 'the segment table does not fit this memory', {
      file: memory.path,
      found: `${headers.length} segments that begin with the header of an elfcorehdr (${segments.map(({ address }) => hex(address)).join(', ')})`,
      expected: 'one',
      remedy: 'take the log of the load that is in this memory',
    });
  }
  const names = new Map<UnnamedSegment, SegmentName>([[elfcorehdr, 'elfcorehdr']]);
  const contents = readElfcorehdr(memory, elfcorehdr.address);
  // The first one counts, as in get_fdt_index() of arch/powerpc/kexec/crash.c.
  const fdt = segments.find((segment) => firstWord(memory, segment) === FDT_MAGIC);
  if (fdt !== undefined) names.set(fdt, 'fdt');
  for (const [segment, name] of explained(memory, segments, contents, fdt === undefined ? undefined : readFdt(memory, fdt.address))) {
    if (!names.has(segment)) names.set(segment, name);
  }
  nameByElimination(memory, segments, names, contents.header.byteOrder);
  return segments.map((segment) => ({ ...segment, name: names.get(segment) ?? 'other' }));
}

function isElfcorehdr(memory: PhysicalMemory, { address, memorySize }: UnnamedSegment): boolean {
  if (memorySize < ELF_HEADER_SIZE) return false;
  const head = memory.read(address, ELF_HEADER_SIZE);
  if (!hasElfMagic(head)) return false;
  try {
    parseElfcorehdrHeader(head);
    return true;
  } catch {
    return false;
  }
}

function firstWord(memory: PhysicalMemory, { address, memorySize }: UnnamedSegment): number {
  return memorySize < 4n ? 0 : dataView(memory.read(address, 4)).getUint32(0);
}

/** The segments that the FDT, the elfcorehdr or boot_params point at. */
function explained(
  memory: PhysicalMemory,
  segments: readonly UnnamedSegment[],
  elfcorehdr: Elfcorehdr,
  fdt: Fdt | undefined,
): [UnnamedSegment, SegmentName][] {
  const result: [UnnamedSegment, SegmentName][] = [];
  const add = (address: bigint | undefined, name: SegmentName): void => {
    const segment = segments.find((each) => each.address === address);
    if (segment !== undefined) result.push([segment, name]);
  };
  add(backupOf(elfcorehdr)?.start, 'backup');
  if (fdt !== undefined) add(kdumpFdtFacts(fdt).initrd?.start, 'initrd');
  const parameters = segments.find((each) => each.memorySize >= 0x1000n && setupHeader(memory, each) !== undefined);
  if (parameters !== undefined) {
    result.push([parameters, 'cmdline']);
    const header = setupHeader(memory, parameters);
    // ramdisk_image, and ext_ramdisk_image for its upper half.
    if (header !== undefined) add((BigInt(header.getUint32(0x0c0, true)) << 32n) | BigInt(header.getUint32(0x218, true)), 'initrd');
  }
  return result;
}

function setupHeader(memory: PhysicalMemory, { address }: UnnamedSegment): DataView | undefined {
  const view = dataView(memory.read(address, 0x300));
  return view.getUint32(0x202, true) === SETUP_HEADER_MAGIC ? view : undefined;
}

/** The purgatory is the one with the region table; a single segment left that the table covers is the kernel. */
function nameByElimination(
  memory: PhysicalMemory,
  segments: readonly UnnamedSegment[],
  names: Map<UnnamedSegment, SegmentName>,
  order: ByteOrder,
): void {
  const ranges = segments.map(segmentRange);
  const left = (): UnnamedSegment[] => segments.filter((segment) => !names.has(segment));
  const purgatory = left().find(
    ({ address, memorySize }) =>
      memorySize <= MAX_PURGATORY && findRegionTable(memory.readOnce(address, Number(memorySize)), address, ranges, order) !== undefined,
  );
  if (purgatory !== undefined) names.set(purgatory, 'purgatory');
  const [kernel, ...more] = left();
  if (kernel !== undefined && more.length === 0) names.set(kernel, 'kernel');
}
