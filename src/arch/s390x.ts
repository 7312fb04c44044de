import { EM_S390 } from '../elf/constants.js';
import type { Architecture } from './architecture.js';

/** IBM Z: arch/s390/kernel/crash_dump.c. */
export const s390x: Architecture = {
  name: 's390x',
  machine: EM_S390,
  byteOrder: 'msb',
  pageSizes: [0x1000n],
  kernelText: true,
  mergesAdjacent: true,
  hasFdt: false,
  refusesChanges: 'on s390x the capture kernel builds the elfcorehdr itself when it boots (elfcorehdr_alloc), so it is never out of date',
};
