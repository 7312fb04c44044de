import type { FdtNode, FdtProperty } from '../fdt/fdt.js';

/** A CPU node of the FDT: a core with its threads. */
export interface Cpu {
  readonly node: FdtNode;
  /** From `reg`. */
  readonly id: number;
  /** Thread ids; the id alone where the architecture does not list them. */
  readonly threads: readonly number[];
}

/** How the node of a new CPU is made from that of another. */
export interface CpuCloning {
  /** Whether an id names the core that the first of its threads is in, so that ids are multiples of the number of threads. */
  readonly coresByFirstThread: boolean;
  /**
   * What becomes of each property of the template, but for `reg`, phandles and `name`, which are common to all architectures.
   *
   * @returns undefined for a property that stays as it is
   * @throws KdumpError `refused` when a value that has to differ cannot be derived
   */
  derive(property: FdtProperty, template: Cpu, id: number, cpus: FdtNode): { value: Uint8Array; derived: string } | undefined;
}
