import { KdumpError, hex } from '../../errors.js';
import { architectureOf } from '../../arch/registry.js';
import { PT_NOTE } from '../../elf/constants.js';
import type { Elfcorehdr } from '../../elf/elfcorehdr.js';
import { SMALLEST_PAGE, contains, formatRange, rangeOfSize, type Range } from '../../memory/range.js';
import { backupOf } from '../../elf/backup.js';
import { crashKernelHole } from '../crash-kernel-hole.js';
import type { FoundImage } from './found-image.js';
import { imageAround, type KnownSegment } from './image-around.js';
import type { PhysicalMemory } from '../../memory-source/physical-memory.js';
import type { Candidates } from './scan.js';
import type { Search } from './search.js';
import { vmcoreinfoAddress } from './vmcoreinfo.js';

/**
 * The kdump image of the elfcorehdr at `address`, for architectures whose images have no FDT. Memory holds many ELF core headers, copies of this
 * one too; only the loaded one lies in the gap that it leaves in RAM, and with it its backup and purgatory.
 *
 * @throws KdumpError `input` that tells why this is not the elfcorehdr of a loaded image
 */
export function imageOfElfcorehdr(
  search: Search,
  address: bigint,
  reserved: Range | undefined,
  { bootParameters, vmcoreinfos }: Pick<Candidates, 'bootParameters' | 'vmcoreinfos'>,
): FoundImage {
  const { memory } = search;
  const contents = search.elfcorehdrAt(address);
  const architecture = architectureOf(contents.header.fields.machine, contents.header.byteOrder);
  if (architecture.hasFdt) throw notLoaded(`one of ${architecture.name} that no device tree names`);
  if (contents.programHeaders[0]?.type !== PT_NOTE) throw notLoaded('no PT_NOTE in front');
  const crashKernel = reserved ?? crashKernelHole(contents, address, memory.ranges);
  if (crashKernel === null) throw notLoaded('one that lies in memory that it lists itself');
  const backup = backupOf(contents);
  if (backup !== undefined && !contains(crashKernel, backup))
    throw notLoaded(`one whose backup area ${formatRange(backup)} lies elsewhere`);
  const known: KnownSegment[] =
    backup === undefined ? [] : [{ address: backup.start, size: backup.end - backup.start, alwaysCovered: true }];
  const isNamed = bootParameters.some(({ elfcorehdr, shift }) => shift === 0n && elfcorehdr === address);
  if (!isNamed) refuseShifted(memory, contents, address, bootParameters, vmcoreinfos);
  const image = imageAround(search, architecture, crashKernel, { elfcorehdr: { address, contents }, fdt: null }, [], known);
  if (!isNamed && architecture.alwaysHasPurgatory === true && !image.segments.some(({ name }) => name === 'purgatory'))
    throw notLoaded(`one that no boot parameters name, without a purgatory in ${formatRange(crashKernel)}`);
  return image;
}

/** @throws KdumpError `input` when what the elfcorehdr and boot parameters point at is elsewhere in memory, as where addresses are off */
function refuseShifted(
  memory: PhysicalMemory,
  contents: Elfcorehdr,
  address: bigint,
  bootParameters: Candidates['bootParameters'],
  vmcoreinfos: Candidates['vmcoreinfos'],
): void {
  const shifted = bootParameters.find(({ elfcorehdr, shift }) => shift !== 0n && elfcorehdr + shift === address);
  if (shifted !== undefined) throw notLoaded(`one that belongs at ${hex(shifted.elfcorehdr)}, as its boot parameters say`);
  const stated = vmcoreinfoAddress(contents);
  if (stated === undefined || vmcoreinfos.length === 0 || vmcoreinfos.includes(stated)) return;
  if (memory.holds(rangeOfSize(stated, SMALLEST_PAGE)))
    throw notLoaded(`one whose vmcoreinfo ${hex(stated)} is not there, but at ${hex(vmcoreinfos[0] as bigint)}`);
}

function notLoaded(found: string): KdumpError {
  return new KdumpError('input', 'not the elfcorehdr of an image', { found });
}
