import type { Cpu } from '../arch/cpu-cloning.js';
import type { LiveDeviceTree } from '../machine/device-tree.js';
import type { KdumpImage } from '../image/image.js';
import type { FdtProperty } from '../fdt/fdt.js';
import { knownCpus } from '../description/capacity.js';
import { liveCpusOf, type LiveCpu } from '../description/live-cpus.js';
import { sameProperties } from '../description/properties.js';

/** A core of which threads are on one side only. */
export interface CoreDifference {
  /** As in `reg`. */
  readonly id: number;
  /** Those threads, ascending. */
  readonly threads: readonly number[];
  /** Whether they are all that it has. */
  readonly isWhole: boolean;
}

/** What differs between the CPUs of an image's FDT and those of a machine. */
export interface CpuComparison {
  /** Cores of the machine with threads that the FDT does not know, by id. */
  readonly missingCores: readonly CoreDifference[];
  /** Cores of the FDT with threads that the machine has not, by id. */
  readonly extraCores: readonly CoreDifference[];
  /** Ids of the cores of the machine that the FDT knows and describes otherwise. */
  readonly changedCpus: readonly number[];
}

/** Where nothing differs, or nothing was compared. */
export const NO_CORES: Pick<CpuComparison, 'missingCores' | 'extraCores'> = { missingCores: [], extraCores: [] };

/** @throws KdumpError `input` when the device tree has no CPUs, or a CPU node is damaged */
export function compareCpuNodes(image: KdumpImage, deviceTree: LiveDeviceTree): CpuComparison {
  const live = liveCpusOf(deviceTree, image.architecture, false);
  const known = knownCpus(image);
  return { missingCores: coresOutside(live, known), extraCores: coresOutside(known, live), changedCpus: changedCpus(known, live) };
}

type Core = Pick<LiveCpu, 'id' | 'threads'>;

function coresOutside(cores: readonly Core[], others: readonly Core[]): CoreDifference[] {
  const there = new Set(others.flatMap(({ threads }) => threads));
  const told = new Set<number>();
  return cores
    .map(({ id, threads }) => {
      // A thread that damage has given to two cores is one CPU.
      const outside = threads.filter((thread) => !there.has(thread) && !told.has(thread));
      for (const thread of outside) told.add(thread);
      return { id, threads: outside.sort((a, b) => a - b), isWhole: outside.length === threads.length };
    })
    .filter(({ threads }) => threads.length > 0)
    .sort((a, b) => a.id - b.id);
}

/** A core of which the FDT knows threads, below a node of another name or with other properties. */
function changedCpus(known: readonly Cpu[], live: readonly LiveCpu[]): number[] {
  const threads = new Set(known.flatMap((cpu) => cpu.threads));
  const byName = new Map(known.map(({ node }) => [node.name, node]));
  const withoutName = (properties: readonly FdtProperty[]): FdtProperty[] => properties.filter(({ name }) => name !== 'name');
  return live
    .filter((cpu) => cpu.threads.some((thread) => threads.has(thread)))
    .filter(({ node, properties }) => {
      const own = byName.get(node.name);
      return own === undefined || !sameProperties(withoutName(own.properties()), withoutName(properties));
    })
    .map(({ id }) => id);
}
