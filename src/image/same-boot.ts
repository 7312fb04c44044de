import { containsAddress, sameRange, type Range } from '../memory/range.js';
import type { KdumpFdtFacts } from './chosen.js';

/** The crashkernel ranges of a machine that the FDT states: those of `crashkernel=…,cma` are in no resource. */
export function statedResources({ crashKernelRanges, cmaRanges }: Pick<KdumpFdtFacts, 'crashKernelRanges' | 'cmaRanges'>): Range[] {
  return crashKernelRanges.filter((range) => !cmaRanges.includes(range));
}

/**
 * Whether an image can be of the boot in which a machine has these crashkernel ranges: its elfcorehdr lies in one, and each that its FDT states is
 * among them.
 */
export function isOfSameBoot(machine: readonly Range[], elfcorehdr: bigint, facts: KdumpFdtFacts | undefined): boolean {
  if (!machine.some((range) => containsAddress(range, elfcorehdr))) return false;
  return facts === undefined || statedResources(facts).every((range) => machine.some((other) => sameRange(other, range)));
}
