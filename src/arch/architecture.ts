import type { ByteOrder } from '../bytes/byte-order.js';
import type { Fdt } from '../fdt/fdt.js';
import type { TreeNode } from '../fdt/tree-node.js';
import type { NodeRange } from '../memory/node-ranges.js';
import type { Range } from '../memory/range.js';
import type { CpuCloning } from './cpu-cloning.js';

/** As the kernel and Debian name them; `ppc64` is big endian. */
export type ArchitectureName = 'ppc64le' | 'ppc64' | 'x86_64' | 'aarch64' | 'riscv64' | 'loongarch64' | 's390x';

/** What a device tree says of the NUMA nodes of memory. */
export interface MemoryNodes {
  /** Ascending and disjoint; memory whose node is not told is not in it. */
  readonly ranges: readonly NodeRange[];
  /** The node of all memory, where the tree has one only. */
  readonly only: number | undefined;
}

/** What differs between architectures in a kdump image. One file an architecture gives one of these; everything else is common code. */
export interface Architecture {
  readonly name: ArchitectureName;
  /** e_machine. */
  readonly machine: number;
  readonly byteOrder: ByteOrder;
  /** Page sizes that its kernels are built with, largest first. */
  readonly pageSizes: readonly bigint[];
  /** Whether the first PT_LOAD may map the kernel text (need_kernel_map of crash_prepare_elf64_headers). */
  readonly kernelText: boolean;
  /** Whether adjacent RAM ranges become one PT_LOAD: yes where they come from memblock, no where each System RAM resource stays. */
  readonly mergesAdjacent: boolean;
  /** NUMA nodes by a device tree, where its kernel joins ranges within a node only; undefined where the tree does not show memory. */
  readonly memoryNodes?: (root: TreeNode, of: 'machine' | 'image') => MemoryNodes | undefined;
  /** Memory on devices that a dump has to leave out, by a device tree. */
  readonly deviceMemory?: (root: TreeNode) => Range[];
  /** Whether its kdump images have an FDT that describes the CPUs. */
  readonly hasFdt: boolean;
  /** Memory that the kernel leaves out of the dump, wherever it is RAM. */
  readonly excluded?: Range;
  /** Why images of this architecture are not changed. */
  readonly refusesChanges?: string;
  /** Whether loaders always list the notes of all possible CPUs. */
  readonly listsPossibleCpus?: boolean;
  /** Whether every loaded image has a purgatory with a digest, so that not finding it means that it was overlooked. */
  readonly alwaysHasPurgatory?: boolean;
  /** Whether the purgatory of kexec_file_load never looks at its digest. */
  readonly filePurgatoryIgnoresDigest?: boolean;
  /** Bytes that the kernel asks kexec-tools to reserve for the elfcorehdr with --hotplug, given the CPU notes that it has. */
  readonly hotplugReservation?: (cpuNotes: number) => bigint;
  /** Firmware memory that the FDT describes and the dump lists whole. */
  readonly firmware?: (fdt: Fdt) => Range[];
  /** Property of a CPU node that lists the ids of its threads; without one a node is one CPU. */
  readonly cpuThreadsProperty?: string;
  /** What more has to differ between CPU nodes than unit address and `reg`. @internal */
  readonly cpuCloning?: CpuCloning;

  /** Defects of the kernel's own handler, which `--compat linux` reproduces. */
  readonly kernelSplitsOneByteTooLong?: boolean;
  readonly kernelKeepsRemovedMemory?: boolean;
  readonly kernelDropsBackup?: boolean;
}
