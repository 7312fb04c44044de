import type { KdumpImage } from '../image/image.js';
import { machineCrashKernel } from '../machine/crash-kernel.js';
import type { MachineState } from '../machine/machine-state.js';
import { containsAddress, formatRange, sameRange, type Range } from '../memory/range.js';
import { distinct } from '../memory/range-set.js';

/** The crashkernel ranges: those that the machine names and those that the image states; what it only shows counts where no machine is known. */
export function crashKernelOf(image: KdumpImage, state: MachineState): Range[] {
  const machine = machineCrashKernel(state);
  if (machine === null) return [...image.crashKernelRanges];
  return distinct([...machine.ranges, ...(image.fdt?.facts.crashKernelRanges ?? [])]);
}

/**
 * Why the image cannot be of this boot of this machine: its elfcorehdr lies in none of the machine's crashkernel ranges, or the FDT states one that
 * the machine does not have just there. Those of `crashkernel=…,cma` are in no resource.
 *
 * @returns null where nothing tells that it is not
 * @throws KdumpError as {@link machineCrashKernel} does
 */
export function otherBoot(image: KdumpImage, state: MachineState): string | null {
  const machine = machineCrashKernel(state);
  if (machine === null) return null;
  const { segment } = image.elfcorehdr;
  const { crashKernelRanges = [], cmaRanges = [] } = image.fdt?.facts ?? {};
  const stated = crashKernelRanges.filter((range) => !cmaRanges.includes(range));
  const isThere = machine.ranges.some((range) => containsAddress(range, segment.address));
  if (isThere && stated.every((range) => machine.ranges.some((other) => sameRange(other, range)))) return null;
  const has = machine.ranges.map(formatRange).join(', ');
  const made = stated.length > 0 ? stated : image.crashKernel === null ? [] : [image.crashKernel];
  const madeFor = made.length > 0 ? made.map(formatRange).join(', ') : 'the memory around its elfcorehdr';
  return `the machine has its crashkernel ${machine.ranges.length > 1 ? 'ranges' : 'range'} at ${has}, the image is made for ${madeFor}`;
}
