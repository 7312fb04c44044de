import { dataView, type ByteOrder } from '../../bytes/byte-order.js';
import { backupOf } from '../../elf/backup.js';
import { kdumpFdtFacts } from '../chosen.js';
import type { PhysicalMemory } from '../../memory-source/physical-memory.js';
import type { Description } from '../read-segments.js';
import { findRegionTable } from '../../kexec/region-table.js';
import { SETUP_HEADER_AT, SETUP_HEADER_MAGIC } from './boot-parameters.js';
import { MAX_PURGATORY, segmentRange, type Segment, type SegmentName } from '../../kexec/segment.js';

export type UnnamedSegment = Omit<Segment, 'name'>;

/**
 * Names the segments of a table that says only where they are, from what lies there. Those of `description` are among them.
 *
 * @param purgatory where it is, if that is known; else its region table tells
 */
export function nameSegments(
  memory: PhysicalMemory,
  segments: readonly UnnamedSegment[],
  description: Description,
  purgatory?: bigint,
): Segment[] {
  const names = new Map<UnnamedSegment, SegmentName>();
  // The first name that something gives a segment counts.
  const add = (address: bigint | undefined, name: SegmentName): void => {
    const segment = segments.find((each) => each.address === address);
    if (segment !== undefined && !names.has(segment)) names.set(segment, name);
  };
  const { elfcorehdr, fdt } = description;
  add(elfcorehdr.address, 'elfcorehdr');
  add(fdt?.address, 'fdt');
  add(backupOf(elfcorehdr.contents)?.start, 'backup');
  if (fdt !== null) add(kdumpFdtFacts(fdt.tree).initrd?.start, 'initrd');
  const parameters = bootParameters(memory, segments);
  add(purgatory, 'purgatory');
  add(parameters?.address, 'boot-params');
  add(parameters?.initrd, 'initrd');
  nameByElimination(memory, segments, names, elfcorehdr.contents.header.byteOrder);
  return segments.map((segment) => ({ ...segment, name: names.get(segment) ?? 'other' }));
}

/** The boot_params of x86, and where they say that the initrd is. */
function bootParameters(memory: PhysicalMemory, segments: readonly UnnamedSegment[]): { address: bigint; initrd: bigint } | undefined {
  for (const { address, memsz } of segments) {
    if (memsz < 0x1000n) continue;
    const view = dataView(memory.read(address, 0x300));
    if (view.getUint32(SETUP_HEADER_AT, true) !== SETUP_HEADER_MAGIC) continue;
    // ramdisk_image, and ext_ramdisk_image for its upper half.
    return { address, initrd: (BigInt(view.getUint32(0x0c0, true)) << 32n) | BigInt(view.getUint32(0x218, true)) };
  }
  return undefined;
}

/** The purgatory is the one with the region table; a single segment left is the kernel. */
function nameByElimination(
  memory: PhysicalMemory,
  segments: readonly UnnamedSegment[],
  names: Map<UnnamedSegment, SegmentName>,
  order: ByteOrder,
): void {
  const ranges = segments.map(segmentRange);
  const left = (): UnnamedSegment[] => segments.filter((segment) => !names.has(segment));
  const purgatory = [...names.values()].includes('purgatory')
    ? undefined
    : left().find(
        ({ address, memsz }) =>
          memsz <= MAX_PURGATORY && findRegionTable(memory.readOnce(address, Number(memsz)), address, ranges, order) !== undefined,
      );
  if (purgatory !== undefined) names.set(purgatory, 'purgatory');
  const [kernel, ...more] = left();
  if (kernel !== undefined && more.length === 0) names.set(kernel, 'kernel');
}
