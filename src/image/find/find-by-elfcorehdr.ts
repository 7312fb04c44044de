import { KdumpError } from '../../errors.js';
import { architectureOf } from '../../arch/registry.js';
import { PT_NOTE } from '../../elf/constants.js';
import { contains, formatRange, type Range } from '../../memory/range.js';
import { backupOf } from '../backup.js';
import { crashKernelHole } from '../crash-kernel-hole.js';
import type { FoundImage } from './found-image.js';
import { imageAround, type KnownSegment } from './image-around.js';
import type { PhysicalMemory } from '../containers/physical-memory.js';
import { readElfcorehdr } from '../read-segments.js';

/**
 * The kdump image of the elfcorehdr at `address`, for architectures whose images have no FDT. Memory holds many ELF core headers, copies of this
 * one too; only the loaded one lies in the gap that it leaves in RAM, and with it its backup and purgatory.
 *
 * @throws KdumpError `input` that tells why this is not the elfcorehdr of a loaded image
 */
export function imageOfElfcorehdr(memory: PhysicalMemory, address: bigint, reserved: Range | undefined): FoundImage {
  const contents = readElfcorehdr(memory, address);
  const architecture = architectureOf(contents.header.fields.machine, contents.header.byteOrder);
  if (architecture.hasFdt) throw notLoaded(`one of ${architecture.name} that no device tree names`);
  if (contents.programHeaders[0]?.type !== PT_NOTE) throw notLoaded('no PT_NOTE in front');
  const crashKernel = reserved ?? crashKernelHole(contents, address, memory.extents);
  if (crashKernel === null) throw notLoaded('one that lies in memory that it lists itself');
  const backup = backupOf(contents);
  if (backup !== undefined && !contains(crashKernel, backup))
    throw notLoaded(`one whose backup area ${formatRange(backup)} lies elsewhere`);
  const known: KnownSegment[] =
    backup === undefined ? [] : [{ address: backup.start, size: backup.end - backup.start, alwaysCovered: true }];
  return imageAround(memory, architecture, crashKernel, { elfcorehdr: { address, contents }, fdt: null }, [], known);
}

function notLoaded(found: string): KdumpError {
  return new KdumpError('input', 'not the elfcorehdr of an image', { found });
}
