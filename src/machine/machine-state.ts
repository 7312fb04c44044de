import type { NodeRange } from '../memory/node-ranges.js';
import type { Range } from '../memory/range.js';
import type { LiveDeviceTree } from './device-tree.js';
import type { IomemEntry } from './iomem.js';
import type { MachineCpus } from './machine-cpus.js';

/** A machine as it is now, as far as it was told. */
export interface MachineState {
  readonly iomem?: readonly IomemEntry[] | undefined;
  /** Memory blocks that are offline: /proc/iomem goes on listing them. */
  readonly offlineMemory?: readonly Range[] | undefined;
  /**
   * Memory of `crashkernel=…,cma`, which /proc/iomem does not name. The kernel's own elfcorehdr leaves it out, kexec-tools' lists it: neither is
   * missing nor gone.
   */
  readonly cmaRanges?: readonly Range[] | undefined;
  readonly deviceTree?: LiveDeviceTree | undefined;
  readonly cpus?: MachineCpus | undefined;
  /** The NUMA nodes of memory blocks; asked only where the order of an elfcorehdr depends on them. */
  readonly memoryNodes?: (() => readonly NodeRange[]) | undefined;
}
