import { EM_X86_64 } from '../elf/constants.js';
import type { Architecture } from './architecture.js';

/** x86_64: arch/x86/kernel/crash.c. Ranges are System RAM resources, each of which stays; there is no FDT. */
export const x86_64: Architecture = {
  name: 'x86_64',
  machine: EM_X86_64,
  byteOrder: 'lsb',
  pageSizes: [0x1000n],
  kernelText: true,
  mergesAdjacent: false,
  hasFdt: false,
  alwaysHasPurgatory: true,
  // The kernel leaves the first MiB out (crash_exclude_mem_range in elf_header_exclude_ranges); kexec-tools lists it as backup.
  excluded: { start: 0n, end: 0x100000n },
  kernelKeepsRemovedMemory: true,
  kernelDropsBackup: true,
};
