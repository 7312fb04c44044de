import { dataView } from '../../bytes/byte-order.js';
import { PT_NOTE } from '../../elf/constants.js';
import type { Elfcorehdr } from '../../elf/elfcorehdr.js';
import { SMALLEST_PAGE } from '../../memory/range.js';

/** Size of the note's name with its NUL: the first word of the note, in either byte order. */
const NAME_SIZE = 11;
const NAME = 'VMCOREINFO\0';
const NAME_AT = 12;

/** Whether a vmcoreinfo note begins at `at`. A kernel has one from boot on (crash_save_vmcoreinfo_init in kernel/vmcore_info.c). */
export function isVmcoreinfo(bytes: Uint8Array, at: number): boolean {
  const view = dataView(bytes);
  if (at + NAME_AT + NAME_SIZE > bytes.length) return false;
  if (view.getUint32(at) !== NAME_SIZE && view.getUint32(at, true) !== NAME_SIZE) return false;
  return Buffer.from(bytes.buffer, bytes.byteOffset + at + NAME_AT, NAME_SIZE).toString('latin1') === NAME;
}

/** Where the elfcorehdr says that vmcoreinfo is: the last of its leading notes. Undefined where that is no page of its own, as before Linux 4.13. */
export function vmcoreinfoAddress({ programHeaders }: Elfcorehdr): bigint | undefined {
  const count = programHeaders.findIndex(({ type }) => type !== PT_NOTE);
  const address = programHeaders[(count < 0 ? programHeaders.length : count) - 1]?.paddr;
  return address !== undefined && address % SMALLEST_PAGE === 0n ? address : undefined;
}
