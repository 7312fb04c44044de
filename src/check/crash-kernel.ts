import type { KdumpImage } from '../image/image.js';
import { systemRam, type IomemEntry } from '../machine/iomem.js';
import { isOfSameBoot, statedResources } from '../image/same-boot.js';
import { machineCrashKernel } from '../machine/crash-kernel.js';
import type { MachineState } from '../machine/machine-state.js';
import { formatRange, type Range } from '../memory/range.js';
import { distinct, subtract } from '../memory/range-set.js';

/** The crashkernel ranges: those that the machine names and those that the image states; what it only shows counts where no machine is known. */
export function crashKernelOf(image: KdumpImage, state: MachineState): Range[] {
  const machine = machineCrashKernel(state);
  if (machine === null) return [...image.crashKernelRanges];
  return distinct([...machine.ranges, ...(image.fdt?.facts.crashKernelRanges ?? [])]);
}

/** What of a machine a dump should have: its System RAM, without what is offline, the crashkernel ranges, and what the architecture never dumps. */
export function memoryWanted(image: KdumpImage, state: MachineState & { readonly iomem: readonly IomemEntry[] }): Range[] {
  const { excluded } = image.architecture;
  const { offlineMemory = [], cmaRanges = [] } = state;
  const leftOut = [...crashKernelOf(image, state), ...offlineMemory, ...cmaRanges, ...(excluded === undefined ? [] : [excluded])];
  return subtract(systemRam(state.iomem), leftOut);
}

/**
 * Why the image cannot be of this boot of this machine: its elfcorehdr lies in none of the machine's crashkernel ranges, or the FDT states one that
 * the machine does not have just there.
 *
 * @returns null where nothing tells that it is not
 * @throws KdumpError as {@link machineCrashKernel} does
 */
export function otherBoot(image: KdumpImage, state: MachineState): string | null {
  const machine = machineCrashKernel(state);
  if (machine === null) return null;
  const facts = image.fdt?.facts;
  if (isOfSameBoot(machine.ranges, image.elfcorehdr.segment.address, facts)) return null;
  const has = machine.ranges.map(formatRange).join(', ');
  const stated = facts === undefined ? [] : statedResources(facts);
  const made = stated.length > 0 ? stated : image.crashKernel === null ? [] : [image.crashKernel];
  const madeFor = made.length > 0 ? made.map(formatRange).join(', ') : 'the memory around its elfcorehdr';
  return `the machine has its crashkernel ${machine.ranges.length > 1 ? 'ranges' : 'range'} at ${has}, the image is made for ${madeFor}`;
}
