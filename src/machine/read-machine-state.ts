import { within } from '../errors.js';
import { LMB_NODE } from '../arch/lmb-table.js';
import { FDT_OLDEST_VERSION } from '../fdt/constants.js';
import { parseFdt, type Fdt } from '../fdt/fdt.js';
import type { FileSystem } from '../file/file-system.js';
import { readExpected } from '../file/known-files.js';
import type { NodeRange } from '../memory/node-ranges.js';
import { readCmaRanges } from './cma-ranges.js';
import { deviceTreeOfFdt } from './device-tree-blob.js';
import { readDeviceTreeDirectory, type DirectoryReader, type LiveDeviceTree } from './device-tree.js';
import { MAX_IOMEM_TEXT, parseIomem, type IomemEntry } from './iomem.js';
import { readMemoryNodes, readOfflineMemory } from './memory-blocks.js';
import { readMachineCpus } from './machine-cpus.js';
import type { MachineState } from './machine-state.js';

/** Where the state of a machine is to be read. Each may be a copy, made on the machine and brought here. */
export interface MachineStatePaths {
  /** `/proc/iomem`, read as root. */
  readonly iomem?: string | undefined;
  /** A directory such as `/proc/device-tree`, or a dtb. */
  readonly deviceTree?: string | undefined;
  /** `/sys/devices/system/memory`: which memory is offline, and of which NUMA node. */
  readonly memoryBlocks?: string | undefined;
  /** `/sys/kernel/kexec/crash_cma_ranges`: what `crashkernel=…,cma` reserved. */
  readonly cmaRanges?: string | undefined;
  /** `/sys/devices/system/cpu`, read as root: which CPUs there are, and where each keeps its crash notes. */
  readonly cpus?: string | undefined;
}

/** The largest dtb that is read, in bytes. */
const MAX_DEVICE_TREE = 64 << 20;
/** All that is looked at in a live tree: CPUs, the crashkernel range, and what tells the memory and its NUMA nodes. */
export const LOOKED_AT: readonly string[] = ['cpus', 'memory', LMB_NODE, 'rtas', 'ibm,opal', 'chosen'];

/**
 * The state of a machine, for {@link checkImage} and {@link changesToState}. What no path is given for is left out, and not compared.
 *
 * @throws KdumpError `input` when a file is not what it should be, or a memory map shows zeros only, as to readers without privilege; `io`
 */
export function readMachineState(fileSystem: FileSystem, paths: MachineStatePaths): MachineState {
  const { iomem, deviceTree, memoryBlocks, cmaRanges, cpus } = paths;
  return {
    iomem: iomem === undefined ? undefined : readIomem(fileSystem, iomem),
    deviceTree: deviceTree === undefined ? undefined : readDeviceTree(fileSystem, deviceTree),
    offlineMemory:
      memoryBlocks === undefined
        ? undefined
        : within({ file: memoryBlocks }, () => readOfflineMemory(directoryReader(fileSystem), memoryBlocks)),
    cmaRanges: cmaRanges === undefined ? undefined : readCmaRanges(directoryReader(fileSystem), cmaRanges),
    cpus: cpus === undefined ? undefined : within({ file: cpus }, () => readMachineCpus(directoryReader(fileSystem), cpus)),
    memoryNodes: memoryBlocks === undefined ? undefined : memoryNodesIn(fileSystem, memoryBlocks),
  };
}

/** The NUMA nodes of memory blocks, read when they are asked for. */
export function memoryNodesIn(fileSystem: FileSystem, memoryBlocks: string): () => NodeRange[] {
  return () => within({ file: memoryBlocks }, () => readMemoryNodes(directoryReader(fileSystem), memoryBlocks));
}

/** `/proc/iomem`, or a copy of it. @throws KdumpError as {@link parseIomem}; `io` */
export function readIomem(fileSystem: FileSystem, path: string): IomemEntry[] {
  return readExpected(fileSystem, path, MAX_IOMEM_TEXT, 'iomem', 'a memory map', (bytes) =>
    parseIomem(Buffer.from(bytes).toString('latin1')),
  );
}

/**
 * The live device tree at `path`, as far as it is looked at: a directory such as `/proc/device-tree`, or a dtb.
 *
 * @param only names of the root's children to read instead
 * @throws KdumpError `input` when it is neither; `io`
 */
export function readDeviceTree(fileSystem: FileSystem, path: string, only: readonly string[] = LOOKED_AT): LiveDeviceTree {
  return within({ file: path }, () =>
    fileSystem.kindOf(path) === 'directory'
      ? { root: readDeviceTreeDirectory(directoryReader(fileSystem), path, only), namesAreMadeUp: true, source: path }
      : {
          root: deviceTreeOfFdt(readExpected(fileSystem, path, MAX_DEVICE_TREE, 'device-tree', 'a device tree', parseLiveTree), only),
          namesAreMadeUp: false,
          source: path,
        },
  );
}

function parseLiveTree(bytes: Uint8Array): Fdt {
  return parseFdt(bytes, { oldest: FDT_OLDEST_VERSION });
}

/** What {@link readDeviceTreeDirectory} and {@link readOfflineMemory} read through. */
export function directoryReader(fileSystem: FileSystem): DirectoryReader {
  return {
    list: (path) => fileSystem.list(path),
    readFile: (path, limit) => fileSystem.readStart(path, limit),
  };
}
