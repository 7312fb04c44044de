import { KdumpError } from '../errors.js';
import { baseName } from '../fdt/tree-node.js';
import { formatIomem } from '../kernel/resources.js';
import type { RunningKernel } from '../kernel/running-kernel.js';
import { parseIomem } from './iomem.js';
import type { MachineCpus } from './machine-cpus.js';
import type { MachineState } from './machine-state.js';
import { LOOKED_AT } from './read-machine-state.js';

/**
 * The state of the machine that a kernel runs on, as far as it is not `given`. What the kernel's memory does not tell, because part of it lies in
 * another file, say, is left out, and not compared.
 */
export function stateOfKernel(kernel: RunningKernel | null, given: MachineState = {}): MachineState {
  if (kernel === null) return given;
  return {
    ...given,
    iomem: given.iomem ?? readable(() => parseIomem(formatIomem(kernel.resources))),
    cpus: given.cpus ?? readable(() => cpusOf(kernel)),
    deviceTree: given.deviceTree ?? readable(() => treeOf(kernel)),
  };
}

function cpusOf(kernel: RunningKernel): MachineCpus | undefined {
  const { crashNotes, ...lists } = kernel.cpus;
  return crashNotes === null ? undefined : { ...lists, crashNotes };
}

function treeOf(kernel: RunningKernel): MachineState['deviceTree'] {
  const root = kernel.deviceTree((name) => LOOKED_AT.includes(name) || LOOKED_AT.includes(baseName(name)));
  return root === null ? undefined : { root, namesAreMadeUp: true, source: undefined };
}

function readable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof KdumpError && error.kind === 'input') return undefined;
    throw error;
  }
}
