import { KdumpError, hex } from '../../errors.js';
import { architectureOf } from '../../arch/registry.js';
import { PT_LOAD } from '../../elf/constants.js';
import type { Elfcorehdr } from '../../elf/elfcorehdr.js';
import { containsAddress, formatRange, rangeOfSize } from '../../memory/range.js';
import { backupOf } from '../../elf/backup.js';
import { kdumpFdtFacts } from '../chosen.js';
import type { FoundImage } from './found-image.js';
import { imageAround, type KnownSegment } from './image-around.js';
import type { Search } from './search.js';

/**
 * The kdump image that the device tree at `fdtAddress` belongs to. Everything that it claims about the other segments is looked up there.
 *
 * @throws KdumpError `input` that tells why this device tree is not one of a kdump image: that of the running kernel, a FIT image, a stale copy
 */
export function imageOfFdt(search: Search, fdtAddress: bigint): FoundImage {
  const fdt = search.fdtAt(fdtAddress);
  if (fdt.root.child('images') !== undefined) throw notKdump('a FIT image');
  if (fdt.node('/cpus') === undefined) throw notKdump('no /cpus node');
  const facts = kdumpFdtFacts(fdt);
  if (facts.elfcorehdr === null)
    throw notKdump('neither linux,elfcorehdr nor elfcorehdr= in bootargs, as in the device tree of a running kernel');
  const { crashKernel } = facts;
  if (crashKernel !== null && !containsAddress(crashKernel, fdtAddress))
    throw notKdump(`it is outside the crashkernel range ${formatRange(crashKernel)}`);

  const { address, source } = facts.elfcorehdr;
  const contents = search.elfcorehdrAt(address);
  const architecture = architectureOf(contents.header.fields.machine, contents.header.byteOrder);
  if (listsAddress(contents, address)) throw notKdump('its elfcorehdr lies in memory that it lists itself');
  const backup = backupOf(contents);
  if (backup !== undefined && !fdt.reservations.some((each) => each.address === backup.start && each.size >= backup.end - backup.start)) {
    throw notKdump(`its elfcorehdr has a backup area at ${hex(backup.start)} that the memory reservation block does not name`);
  }

  const known: KnownSegment[] = [{ address: fdtAddress, size: BigInt(fdt.header.totalSize), alwaysCovered: false }];
  if (backup !== undefined) known.push({ address: backup.start, size: backup.end - backup.start, alwaysCovered: true });
  if (facts.initrd !== null) known.push({ address: facts.initrd.start, size: facts.initrd.end - facts.initrd.start, alwaysCovered: true });
  const reserved = fdt.reservations.find((each) => each.address === address)?.size ?? null;
  const description = { elfcorehdr: { address, contents }, fdt: { address: fdtAddress, tree: fdt } };
  const statedSizes = [facts.elfcorehdr.size, reserved].filter((size) => size !== null);
  const found = imageAround(search, architecture, crashKernel, description, statedSizes, known);
  return { ...found, provenance: [`elfcorehdr address from ${source}`, ...found.provenance] };
}

/** Whether the elfcorehdr lists `address` as memory of the dump; a kdump image lies in memory that it leaves out. */
function listsAddress({ programHeaders }: Elfcorehdr, address: bigint): boolean {
  return programHeaders.some(
    (each) => each.type === PT_LOAD && each.memsz > 0n && containsAddress(rangeOfSize(each.paddr, each.memsz), address),
  );
}

function notKdump(found: string): KdumpError {
  return new KdumpError('input', 'not the device tree of a kdump image', { found });
}
