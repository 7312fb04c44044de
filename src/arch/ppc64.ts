import { alignUp } from '../bytes/align.js';
import { EM_PPC64 } from '../elf/constants.js';
import { elfcorehdrSize } from '../elf/elfcorehdr.js';
import { readCells, readU32 } from '../fdt/cells.js';
import type { Fdt } from '../fdt/fdt.js';
import { rangeOfSize, type Range } from '../memory/range.js';
import type { Architecture } from './architecture.js';
import { SERVERS, ppc64Cpus } from './ppc64-cpu.js';
import { coherentDeviceMemory, memoryNodes } from './ppc64-memory.js';

/** 64-bit PowerPC: arch/powerpc/kexec. Ranges come from memblock, which joins neighbours (get_crash_memory_ranges in ranges.c). */
const common = {
  machine: EM_PPC64,
  pageSizes: [0x10000n, 0x1000n],
  kernelText: false,
  mergesAdjacent: true,
  memoryNodes,
  deviceMemory: coherentDeviceMemory,
  hasFdt: true,
  alwaysHasPurgatory: true,
  // All possible CPUs have a crash_notes file in sysfs, which is what kexec-tools goes by.
  listsPossibleCpus: true,
  // arch/powerpc/purgatory/trampoline_64.S jumps to the kernel without calling a check.
  filePurgatoryIgnoresDigest: true,
  hotplugReservation,
  firmware,
  cpuThreadsProperty: SERVERS,
  cpuCloning: ppc64Cpus,
  kernelSplitsOneByteTooLong: true,
} as const;

export const ppc64le: Architecture = { ...common, name: 'ppc64le', byteOrder: 'lsb' };
export const ppc64: Architecture = { ...common, name: 'ppc64', byteOrder: 'msb' };

/** RTAS and OPAL, unrounded (add_rtas_mem_range and add_opal_mem_range in arch/powerpc/kexec/ranges.c). */
function firmware(fdt: Fdt): Range[] {
  const rtas = fdt.node('/rtas');
  const rtasBase = rtas?.property('linux,rtas-base');
  const rtasSize = rtas?.property('rtas-size');
  const opal = fdt.node('/ibm,opal');
  const opalBase = opal?.property('opal-base-address');
  const opalSize = opal?.property('opal-runtime-size');
  const ranges: Range[] = [];
  if (rtasBase !== undefined && rtasSize !== undefined && readU32(rtasSize) > 0) {
    ranges.push(rangeOfSize(BigInt(readU32(rtasBase)), BigInt(readU32(rtasSize))));
  }
  if (opalBase !== undefined && opalSize !== undefined && readCells(opalSize, 2, 0) > 0n) {
    ranges.push(rangeOfSize(readCells(opalBase, 2, 0), readCells(opalSize, 2, 0)));
  }
  return ranges;
}

/**
 * arch_crash_get_elfcorehdr_size() in arch/powerpc/kexec/crash.c with the default CONFIG_CRASH_MAX_MEMORY_RANGES, and the alignment that
 * kexec-tools gives it (crashdump-ppc64.c).
 */
function hotplugReservation(possibleCpus: number): bigint {
  return alignUp(BigInt(elfcorehdrSize(possibleCpus + 1 + 8192)), 1024n);
}
