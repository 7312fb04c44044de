import { PT_LOAD } from '../elf/constants.js';
import type { Elfcorehdr } from '../elf/elfcorehdr.js';
import { containsAddress, rangeOfSize, type Range } from '../memory/range.js';
import { merged } from '../memory/range-set.js';
import { isBackup } from '../elf/backup.js';

/**
 * The crashkernel range as the elfcorehdr shows it: it lists RAM without that range, so it lies itself in a gap of what it lists, which is that
 * range and any reserved memory beside it. At either end of RAM what is `held` bounds it.
 *
 * @returns null when the elfcorehdr lies in memory that it lists
 */
export function crashKernelHole({ programHeaders }: Elfcorehdr, address: bigint, held: readonly Range[]): Range | null {
  const listed = merged(
    programHeaders
      .filter((each) => each.type === PT_LOAD && each.memsz > 0n && !isBackup(each))
      .map((each) => rangeOfSize(each.paddr, each.memsz)),
  );
  if (listed.some((range) => containsAddress(range, address))) return null;
  const around = held.find((range) => containsAddress(range, address));
  const below = listed.filter((range) => range.end <= address).at(-1)?.end ?? around?.start;
  const above = listed.find((range) => range.start > address)?.start ?? around?.end;
  return below === undefined || above === undefined ? null : { start: below, end: above };
}
