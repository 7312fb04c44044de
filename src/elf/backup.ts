import { PT_LOAD } from './constants.js';
import type { Elfcorehdr } from './elfcorehdr.js';
import type { ProgramHeader } from './records.js';
import { rangeOfSize, type Range } from '../memory/range.js';

const FIRST_MIB = 0x100000n;

/**
 * Whether this PT_LOAD is the backup of low memory: its contents lie elsewhere, since the capture kernel overwrites that memory itself
 * (sync_backup_region_phdr in arch/powerpc/kexec/crash.c; crashdump-x86.c of kexec-tools).
 */
export function isBackup(programHeader: ProgramHeader): boolean {
  const { type, paddr, offset, memsz } = programHeader;
  return type === PT_LOAD && memsz > 0n && offset !== paddr && paddr + memsz <= FIRST_MIB;
}

/** Where the backup of low memory is kept: the backup segment. */
export function backupOf({ programHeaders }: Elfcorehdr): Range | undefined {
  const found = programHeaders.find(isBackup);
  return found === undefined ? undefined : rangeOfSize(found.offset, found.memsz);
}
