import { EM_RISCV } from '../elf/constants.js';
import type { Architecture } from './architecture.js';

/** 64-bit RISC-V: arch/riscv/kernel/machine_kexec_file.c. Ranges are System RAM resources; the kernel has no hotplug handler of its own. */
export const riscv64: Architecture = {
  name: 'riscv64',
  machine: EM_RISCV,
  byteOrder: 'lsb',
  pageSizes: [0x1000n],
  kernelText: true,
  mergesAdjacent: false,
  hasFdt: true,
};
