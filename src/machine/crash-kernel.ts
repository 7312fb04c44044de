import { KdumpError, within } from '../errors.js';
import { readCells } from '../fdt/cells.js';
import { rangeOfSize, type Range } from '../memory/range.js';
import { distinct } from '../memory/range-set.js';
import type { LiveDeviceTree } from './device-tree.js';
import { crashKernelRanges } from './iomem.js';
import type { MachineState } from './machine-state.js';

/** Most that a kernel has: one for the segments, one below 4 GiB. */
const MOST = 2;

/** The memory that a machine has reserved with crashkernel=, and what names it. */
export interface MachineCrashKernel {
  /** Ascending, at least one; the last one holds the segments (reserve_crashkernel_generic() in kernel/crash_reserve.c). */
  readonly ranges: readonly Range[];
  readonly source: 'iomem' | 'device tree';
}

/**
 * The crashkernel ranges that /proc/iomem names, else those of the live device tree: ppc64 has them in `/chosen` alone.
 *
 * @returns null where neither names any, which is no proof that there is none
 * @throws KdumpError `input` when /proc/iomem names more than a kernel reserves, or the device tree an impossible range
 */
export function machineCrashKernel({ iomem = [], deviceTree }: MachineState): MachineCrashKernel | null {
  const ranges = distinct(crashKernelRanges(iomem));
  if (ranges.length > MOST) {
    throw new KdumpError('input', 'too many "Crash kernel" lines in the memory map', {
      found: `${ranges.length} ranges`,
      expected: `at most ${MOST}`,
    });
  }
  if (ranges.length > 0) return { ranges, source: 'iomem' };
  const range = deviceTree === undefined ? undefined : chosenRange(deviceTree);
  return range === undefined ? null : { ranges: [range], source: 'device tree' };
}

/** Big-endian numbers of a long each, written by export_crashk_values() in arch/powerpc/kexec/core.c where a range is reserved. */
function chosenRange({ root, source }: LiveDeviceTree): Range | undefined {
  const chosen = root.children.find(({ name }) => name === 'chosen')?.properties;
  const [start, size] = ['linux,crashkernel-base', 'linux,crashkernel-size'].map((name) => {
    const value = chosen?.get(name);
    return value?.length === 4 || value?.length === 8 ? readCells(value, value.length / 4, 0) : undefined;
  });
  if (start === undefined || size === undefined || size === 0n) return undefined;
  return within({ ...(source === undefined ? {} : { file: source }), segment: '/chosen' }, () => rangeOfSize(start, size));
}
