import { alignDown, alignUp } from '../bytes/align.js';
import type { FdtProperty } from '../fdt/fdt.js';
import type { KdumpImage } from '../image/image.js';
import { systemRam } from '../machine/iomem.js';
import type { MachineState } from '../machine/machine-state.js';
import { SMALLEST_PAGE, overlaps, rangeOfSize, type Range } from '../memory/range.js';
import { merged, subtract } from '../memory/range-set.js';
import { crashKernelOf } from './crash-kernel.js';
import { crashMemoryOf } from '../description/crash-memory.js';
import { liveCpusOf, type LiveCpu } from '../description/live-cpus.js';
import { sameProperties } from '../description/properties.js';
import { knownCpus } from '../description/capacity.js';

/** What differs between an image and a machine. */
export interface StateDifference {
  /** RAM that a dump would miss: one range a System RAM resource and gap. */
  readonly missingMemory: readonly Range[];
  /** Memory that the image lists and the machine has no more, or has taken offline. */
  readonly extraMemory: readonly Range[];
  /** Ids of CPUs, threads counted one by one, that the image's FDT does not know: a crash on one gives no dump. */
  readonly missingCpus: readonly number[];
  readonly extraCpus: readonly number[];
  /** CPUs whose nodes are there and differ from the live ones. */
  readonly changedCpus: readonly number[];
}

/** @throws KdumpError `input` when the device tree has no CPUs */
export function compareState(image: KdumpImage, state: MachineState): StateDifference {
  return { ...compareMemory(image, state), ...compareCpus(image, state) };
}

function compareMemory(image: KdumpImage, state: MachineState): Pick<StateDifference, 'missingMemory' | 'extraMemory'> {
  const { iomem, offlineMemory = [] } = state;
  if (iomem === undefined) return { missingMemory: [], extraMemory: [] };
  const { ranges, kernelText } = crashMemoryOf(image);
  const resources = subtract(systemRam(iomem), [...crashKernelOf(image, state), ...offlineMemory]);
  const listed = ranges.map(({ range }) => toPages(range));
  if (kernelText !== null) listed.push(toPages(rangeOfSize(kernelText.paddr, kernelText.memsz)));
  // The backup of the first 64 KiB is listed whole, although not all of it need be a System RAM resource.
  const backups = ranges.filter(({ kind }) => kind === 'backup').map(({ range }) => range);
  const { unlisted } = image.architecture;
  return {
    missingMemory: subtract(resources, unlisted === undefined ? listed : [...listed, unlisted]),
    // Firmware inside the crashkernel range is listed on purpose.
    extraMemory: subtract(merged(ranges.filter(({ kind }) => kind !== 'firmware').map(({ range }) => range)), resources).filter(
      (range) => !backups.some((backup) => overlaps(backup, range)),
    ),
  };
}

/** The vmcore reader rounds outwards to pages (process_ptload_program_headers_elf64 in fs/proc/vmcore.c). */
function toPages({ start, end }: Range): Range {
  return { start: alignDown(start, SMALLEST_PAGE), end: alignUp(end, SMALLEST_PAGE) };
}

function compareCpus(image: KdumpImage, { deviceTree }: MachineState): Pick<StateDifference, 'missingCpus' | 'extraCpus' | 'changedCpus'> {
  if (deviceTree === undefined || image.fdt === null) return { missingCpus: [], extraCpus: [], changedCpus: [] };
  const live = liveCpusOf(deviceTree, image.architecture, false);
  const known = new Set(knownCpus(image).flatMap(({ threads }) => threads));
  const present = new Set(live.flatMap(({ threads }) => threads));
  return {
    missingCpus: [...present].filter((id) => !known.has(id)).sort((a, b) => a - b),
    extraCpus: [...known].filter((id) => !present.has(id)).sort((a, b) => a - b),
    changedCpus: changedCpus(image, live),
  };
}

function changedCpus(image: KdumpImage, live: readonly LiveCpu[]): number[] {
  const byName = new Map(live.map((cpu) => [cpu.node.name, cpu]));
  const withoutName = (properties: readonly FdtProperty[]): FdtProperty[] => properties.filter(({ name }) => name !== 'name');
  return knownCpus(image).flatMap(({ id, node }) => {
    const now = byName.get(node.name);
    return now === undefined || sameProperties(withoutName(node.properties()), withoutName(now.properties)) ? [] : [id];
  });
}

/** CPUs that differ only in properties do not count: a node made after another CPU's boots as well. */
export function isCurrent({ missingMemory, extraMemory, missingCpus, extraCpus }: StateDifference): boolean {
  return [missingMemory, extraMemory, missingCpus, extraCpus].every((list) => list.length === 0);
}
