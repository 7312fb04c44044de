import { EM_LOONGARCH } from '../elf/constants.js';
import type { Architecture } from './architecture.js';

/** LoongArch: arch/loongarch/kernel/machine_kexec_file.c. Ranges come from memblock; the kernel has no hotplug handler of its own. */
export const loongarch64: Architecture = {
  name: 'loongarch64',
  machine: EM_LOONGARCH,
  byteOrder: 'lsb',
  pageSizes: [0x10000n, 0x4000n, 0x1000n],
  kernelText: true,
  mergesAdjacent: true,
  hasFdt: true,
};
