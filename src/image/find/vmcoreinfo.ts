import { PT_NOTE } from '../../elf/constants.js';
import type { Elfcorehdr } from '../../elf/elfcorehdr.js';
import { SMALLEST_PAGE } from '../../memory/range.js';

/** Where the elfcorehdr says that vmcoreinfo is: the last of its leading notes. Undefined where that is no page of its own, as before Linux 4.13. */
export function vmcoreinfoAddress({ programHeaders }: Elfcorehdr): bigint | undefined {
  const count = programHeaders.findIndex(({ type }) => type !== PT_NOTE);
  const address = programHeaders[(count < 0 ? programHeaders.length : count) - 1]?.paddr;
  return address !== undefined && address % SMALLEST_PAGE === 0n ? address : undefined;
}
