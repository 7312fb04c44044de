import { EM_AARCH64 } from '../elf/constants.js';
import type { Architecture } from './architecture.js';

/** 64-bit Arm: arch/arm64/kernel/machine_kexec_file.c. Ranges come from memblock; the kernel has no hotplug handler of its own. */
export const aarch64: Architecture = {
  name: 'aarch64',
  machine: EM_AARCH64,
  byteOrder: 'lsb',
  pageSizes: [0x10000n, 0x4000n, 0x1000n],
  kernelText: true,
  mergesAdjacent: true,
  hasFdt: true,
};
