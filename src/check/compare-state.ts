import { alignDown, alignUp } from '../bytes/align.js';
import type { KdumpImage } from '../image/image.js';
import { systemRam } from '../machine/iomem.js';
import type { CrashNotes } from '../machine/machine-cpus.js';
import type { MachineState } from '../machine/machine-state.js';
import { SMALLEST_PAGE, overlaps, rangeOfSize, type Range } from '../memory/range.js';
import { common, merged, subtract } from '../memory/range-set.js';
import { crashKernelOf } from './crash-kernel.js';
import { crashMemoryOf } from '../description/crash-memory.js';
import { deviceMemoryOf } from '../description/device-memory.js';
import { compareCpuNodes } from './compare-cpus.js';

/** What of an image was compared with a machine. Of what was not, nothing is known: its lists are null, never empty. */
export interface Compared {
  /** The memory that the elfcorehdr lists, with /proc/iomem. */
  readonly memory: boolean;
  /** The CPU nodes of the FDT with the live device tree; without an FDT, the CPU notes of the elfcorehdr with /sys/devices/system/cpu. */
  readonly cpus: boolean;
}

/** A CPU by the number that Linux gives it, and where it keeps its crash notes. */
export interface CpuNote extends CrashNotes {
  readonly cpu: number;
}

/** What differs between an image and a machine. Lists of what was not compared are null. */
export interface StateDifference {
  readonly compared: Compared;
  /** RAM that a dump would miss; adjacent ranges are one. Memory of devices, which it has to leave out, is not in it. */
  readonly missingMemory: readonly Range[] | null;
  /** Memory that the image lists and the machine does not have, or has taken offline. */
  readonly extraMemory: readonly Range[] | null;
  /**
   * CPUs that the image does not know: ids of the FDT, threads counted one by one, where a crash on one gives no dump; without an FDT the numbers
   * of CPUs without a note.
   */
  readonly missingCpus: readonly number[] | null;
  /** CPUs of the FDT that the machine does not have. */
  readonly extraCpus: readonly number[] | null;
  /** CPUs whose nodes are there and differ from the live ones. */
  readonly changedCpus: readonly number[] | null;
  /** Notes of present CPUs that the elfcorehdr does not list, or not whole: their registers would not be in the dump. */
  readonly missingNotes: readonly CpuNote[] | null;
  /** Notes of the elfcorehdr, where they are more than the CPUs that are possible and not present: they are no CPU's. */
  readonly unknownNotes: readonly Range[] | null;
}

/** What of an image a machine's state lets compare. */
export function comparedWith({ fdt }: Pick<KdumpImage, 'fdt'>, { iomem, deviceTree, cpus }: MachineState): Compared {
  return { memory: iomem !== undefined, cpus: (fdt === null ? cpus : deviceTree) !== undefined };
}

/** @throws KdumpError `input` when the device tree has no CPUs */
export function compareState(image: KdumpImage, state: MachineState): StateDifference {
  const notes = compareNotes(image, state);
  const cpus = image.fdt === null ? cpusOfNotes(notes) : compareCpus(image, state);
  return {
    compared: comparedWith(image, state),
    ...compareMemory(image, state),
    ...cpus,
    ...notes,
  };
}

function compareMemory(image: KdumpImage, state: MachineState): Pick<StateDifference, 'missingMemory' | 'extraMemory'> {
  if (state.iomem === undefined) return { missingMemory: null, extraMemory: null };
  const { ranges } = crashMemoryOf(image);
  // The backup of the first 64 KiB is listed whole, although not all of it need be a System RAM resource.
  const backups = ranges.filter(({ kind }) => kind === 'backup').map(({ range }) => range);
  // Firmware inside the crashkernel range is listed on purpose.
  const listed = merged(ranges.filter(({ kind }) => kind !== 'firmware').map(({ range }) => range));
  return {
    missingMemory: merged(missingResources(image, state)),
    extraMemory: subtract(listed, resourcesOf(image, state)).filter((range) => !backups.some((backup) => overlaps(backup, range))),
  };
}

/** RAM of the machine that a dump would miss, a range for each System RAM resource and gap: they stay apart where the kernel keeps them apart. */
export function missingResources(image: KdumpImage, state: MachineState): Range[] {
  return subtract(unlistedResources(image, state), deviceMemoryOf(image, state.deviceTree));
}

/** Memory of devices that the machine has as System RAM and a dump leaves out, as it has to. */
export function leftOutDeviceMemory(image: KdumpImage, state: MachineState): Range[] {
  const device = deviceMemoryOf(image, state.deviceTree);
  return device.length === 0 || state.iomem === undefined ? [] : common(unlistedResources(image, state), device);
}

function unlistedResources(image: KdumpImage, state: MachineState): Range[] {
  const { ranges, kernelText } = crashMemoryOf(image);
  const listed = ranges.map(({ range }) => toPages(range));
  if (kernelText !== null) listed.push(toPages(rangeOfSize(kernelText.paddr, kernelText.memsz)));
  const { excluded } = image.architecture;
  return subtract(resourcesOf(image, state), [...listed, ...(state.cmaRanges ?? []), ...(excluded === undefined ? [] : [excluded])]);
}

/** The System RAM that a dump may hold. */
function resourcesOf(image: KdumpImage, state: MachineState): Range[] {
  const { iomem = [], offlineMemory = [] } = state;
  return subtract(systemRam(iomem), [...crashKernelOf(image, state), ...offlineMemory]);
}

/** The vmcore reader rounds outwards to pages (process_ptload_program_headers_elf64 in fs/proc/vmcore.c). */
function toPages({ start, end }: Range): Range {
  return { start: alignDown(start, SMALLEST_PAGE), end: alignUp(end, SMALLEST_PAGE) };
}

type CpuDifference = Pick<StateDifference, 'missingCpus' | 'extraCpus' | 'changedCpus'>;
type NoteDifference = Pick<StateDifference, 'missingNotes' | 'unknownNotes'>;

function compareCpus(image: KdumpImage, { deviceTree }: MachineState): CpuDifference {
  if (deviceTree === undefined) return { missingCpus: null, extraCpus: null, changedCpus: null };
  const { missingCores, extraCores, changedCpus } = compareCpuNodes(image, deviceTree);
  const threads = (cores: typeof missingCores): number[] => cores.flatMap((core) => core.threads).sort((a, b) => a - b);
  return { missingCpus: threads(missingCores), extraCpus: threads(extraCores), changedCpus };
}

/**
 * CPU notes are known by their addresses. The kernel lists those of all possible CPUs, kexec-tools of those that were present: what is listed
 * for a CPU that is possible and not present is as it should be, and where Linux does not say its address, only their number tells.
 */
function compareNotes(image: KdumpImage, { cpus }: MachineState): NoteDifference {
  if (cpus === undefined) return { missingNotes: null, unknownNotes: null };
  const { notes, cpuNotes } = crashMemoryOf(image);
  const sizes = new Map(notes.map(({ paddr, memsz }) => [paddr, memsz]));
  const missingNotes = cpus.present.flatMap((cpu): CpuNote[] => {
    const note = cpus.crashNotes.get(cpu);
    return note === undefined || (sizes.get(note.address) ?? -1n) >= note.size ? [] : [{ cpu, ...note }];
  });
  const known = new Set([...cpus.crashNotes.values()].map(({ address }) => address));
  const unknown = cpuNotes.filter(({ paddr }) => !known.has(paddr)).map(({ paddr, memsz }) => rangeOfSize(paddr, memsz));
  return { missingNotes, unknownNotes: unknown.length > cpus.possible.length - cpus.crashNotes.size ? unknown : [] };
}

function cpusOfNotes({ missingNotes }: NoteDifference): CpuDifference {
  if (missingNotes === null) return { missingCpus: null, extraCpus: null, changedCpus: null };
  return { missingCpus: missingNotes.map(({ cpu }) => cpu), extraCpus: [], changedCpus: [] };
}

/**
 * Whether an image is that of the machine: false where something differs, true where all that the image describes was compared, else null.
 *
 * CPUs that differ only in properties do not count: a node made after another CPU's boots as well.
 */
export function isCurrent(difference: StateDifference): boolean | null {
  const { compared, missingMemory, extraMemory, missingCpus, extraCpus, missingNotes, unknownNotes } = difference;
  const lists = [missingMemory, extraMemory, missingCpus, extraCpus, missingNotes, unknownNotes];
  if (lists.some((list) => list !== null && list.length > 0)) return false;
  return compared.memory && compared.cpus ? true : null;
}
