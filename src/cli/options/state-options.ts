import type { Command } from 'commander';
import { KdumpError } from '../../errors.js';
import type { FileSystem } from '../../file/file-system.js';
import type { MachineState } from '../../machine/machine-state.js';
import { readMachineState } from '../../machine/read-machine-state.js';

/** Values of the options that describe a machine's state. */
export interface StateOptions {
  iomem?: string;
  deviceTree?: string;
  memoryBlocks?: string;
  cmaRanges?: string;
  cpus?: string;
}

export function addStateOptions(command: Command): Command {
  return command
    .optionsGroup('The machine:')
    .option('--iomem <file>', 'the memory of the machine: /proc/iomem, read as root, or a copy of it')
    .option('--device-tree <path>', 'the live device tree: a dtb, or a directory such as /proc/device-tree')
    .option('--memory-blocks <dir>', 'which memory is offline: /sys/devices/system/memory or a copy of it')
    .option('--cma-ranges <file>', 'memory of crashkernel=…,cma: /sys/kernel/kexec/crash_cma_ranges or a copy of it')
    .option('--cpus <dir>', 'its CPUs and their crash notes: /sys/devices/system/cpu, read as root, or a copy of it');
}

export function stateFrom(options: StateOptions, fileSystem: FileSystem): MachineState {
  if (options.memoryBlocks !== undefined && options.iomem === undefined) {
    throw new KdumpError('usage', '--memory-blocks says which memory is offline, not which there is', { expected: '--iomem with it' });
  }
  if (options.cmaRanges !== undefined && options.iomem === undefined) {
    throw new KdumpError('usage', '--cma-ranges says which memory is reserved, not which there is', { expected: '--iomem with it' });
  }
  return readMachineState(fileSystem, options);
}
