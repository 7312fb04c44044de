import { KdumpError, hex } from '../errors.js';
import { PT_NOTE } from '../elf/constants.js';
import { tableOf } from '../elf/elfcorehdr.js';
import type { ProgramHeaderTable } from '../elf/program-header-table.js';
import type { KdumpImage } from '../image/image.js';
import type { MemoryChange } from '../machine/change.js';
import type { LiveDeviceTree } from '../machine/device-tree.js';
import { treeNode } from '../machine/tree-node.js';
import { SMALLEST_PAGE, contains, formatRange, overlaps, type Range } from '../memory/range.js';
import { combined, type NodeRange } from '../memory/node-ranges.js';
import { RangeList, rangesOfPieces, type RangePiece } from '../memory/range-list.js';
import { KIND, crashTableOf, indexesOf, rangeAt, type CrashTable } from '../description/crash-table.js';
import { RamRanges } from '../description/crash-ram.js';
import { deviceMemoryOf } from '../description/device-memory.js';
import type { Finding } from '../check/finding.js';
import { firstOverlapping, withFirmware } from './firmware.js';
import { joinedByNode, type AddedRange, type KnownNodes } from './join-by-node.js';
import { rebuiltTable } from './rebuilt-table.js';

/** What becomes of one change: made, or nothing to do for the stated reason. */
export interface ChangeEffect {
  readonly made: boolean;
  readonly reason: string;
  /** It was to be made, and cannot be; a finding says more. */
  readonly isRefused?: boolean;
}

/** Why nothing is to be done for memory that is listed with the holes that a dump has anyway. */
export const LISTED_BUT_FOR_LEFT_OUT = 'it is listed already, but for what the dump leaves out';

export const MADE: ChangeEffect = { made: true, reason: '' };
const LISTED: ChangeEffect = { made: false, reason: 'it is listed already' };
const LISTED_BUT: ChangeEffect = { made: false, reason: LISTED_BUT_FOR_LEFT_OUT };
const STAYS: ChangeEffect = { made: false, reason: 'the kernel leaves removed memory listed' };

export interface MemoryPlan {
  readonly findings: readonly Finding[];
  /** The one of the image where nothing changes. */
  readonly table: ProgramHeaderTable;
  readonly effects: readonly ChangeEffect[];
}

/** How changes of memory are to be planned. */
export interface MemoryPlanOptions {
  /** `linux` for the kernel's bytes with its known defects. */
  readonly compat?: 'linux' | undefined;
  /** Takes ranges that are not whole pages, and memory of devices. */
  readonly force?: boolean | undefined;
  /** The live tree, which tells the NUMA nodes of memory. */
  readonly deviceTree?: LiveDeviceTree | undefined;
  /** NUMA nodes of memory as the kernel or the guest's monitor says; they count before those of a device tree. */
  readonly memoryNodes?: (() => readonly NodeRange[]) | undefined;
}

/**
 * The program headers of the elfcorehdr once memory was added or removed: notes and kernel text stay, the PT_LOADs are rebuilt as the kernel's
 * own handler does (get_crash_memory_ranges in arch/powerpc/kexec/ranges.c, crash_handle_hotplug_event in arch/x86/kernel/crash.c).
 *
 * @throws KdumpError `refused` when memory is added that overlaps what is listed or the crashkernel range, or is a device's, or removed that is
 *   not listed; `input` when a device tree's tables of memory are damaged
 */
export function planMemory(image: KdumpImage, changes: readonly MemoryChange[], options: MemoryPlanOptions): MemoryPlan {
  const { compat, force = false } = options;
  const { contents } = image.elfcorehdr;
  const unchanged = (effects: readonly ChangeEffect[]): MemoryPlan => ({
    table: tableOf(contents),
    effects,
    findings: [],
  });
  if (changes.length === 0) return unchanged([]);
  const crash = crashTableOf(image);
  refuseMisplacedNote(crash);
  const listed = new RamRanges(crash);
  listed.refuseUnclear();
  const { architecture } = image;
  const ram = new RangeList(listed);
  const listedElsewhere = [...rangesOf(crash, KIND.backup), ...rangesOf(crash, KIND.firmware)];
  const device = force ? [] : deviceMemoryOf(image, options.deviceTree);
  const leftOut = leftOutOf(image);
  const effects: ChangeEffect[] = [];
  const reproducesSplit = compat === 'linux' && architecture.kernelSplitsOneByteTooLong === true;
  let rebuilt = false;
  /** The last change, if it removed memory, and the RAM before it. */
  let last: { removed: Range; ram: readonly RangePiece[] } | undefined;
  for (const [index, { action, memory, node }] of changes.entries()) {
    refuseUnaligned(action, memory, force);
    if (action === 'add') {
      const isWhole = ram.covers(memory) || listedElsewhere.some((range) => contains(range, memory));
      const isListed = isWhole || (ram.overlapping(memory) !== undefined && ram.covers(memory, [...listedElsewhere, ...leftOut]));
      if (!isListed) {
        refuseAddition(ram, memory, image, listedElsewhere);
        refuseDeviceMemory(memory, device);
        // A spread object takes many times as much memory, and there may be 100,000.
        const added: AddedRange = { start: memory.start, end: memory.end, isAdded: true, node };
        ram.add(added);
      }
      effects.push(isWhole ? LISTED : isListed ? LISTED_BUT : MADE);
      rebuilt ||= !isListed || compat === 'linux';
    } else {
      refuseRemoval(ram, memory, image, listedElsewhere);
      const stays = compat === 'linux' && architecture.kernelKeepsRemovedMemory === true;
      if (!stays) {
        if (reproducesSplit && index === changes.length - 1) last = { removed: memory, ram: ram.pieces() };
        ram.remove(memory);
        rebuilt = true;
      }
      effects.push(stays ? STAYS : MADE);
    }
  }
  if (!rebuilt) return unchanged(effects);
  const stated = image.fdt === null ? [] : (architecture.firmware?.(image.fdt.tree) ?? []);
  const firmware = rangesOf(crash, KIND.firmware);
  const { pieces: joined, assumed } = architecture.mergesAdjacent
    ? joinedByNode(last?.ram ?? ram.pieces(), listed, knownNodes(image, options))
    : { pieces: last?.ram ?? ram.pieces(), assumed: [] };
  const full = withFirmware(joined, listed, stated, firmware);
  const pieces = last === undefined ? full : removedAsLinuxDoes(rangesOfPieces(full, listed), last.removed);
  const keepsBackup = !(compat === 'linux' && architecture.kernelDropsBackup === true);
  const table = rebuiltTable(crash, listed, pieces, keepsBackup);
  return {
    table,
    effects,
    findings: [
      ...firmwareFindings(firmware, (range) => firstOverlapping(pieces, listed, range)),
      ...(architecture.memoryNodes === undefined ? [] : assumed.map(nodeAssumed)),
    ],
  };
}

/**
 * Memory comes and goes in whole pages; anything else is a mistyped number, such as a hexadecimal one without 0x. One byte more than whole pages is
 * an END that was meant to be exclusive: nothing to force.
 */
function refuseUnaligned(action: string, memory: Range, force: boolean): void {
  if (memory.start % SMALLEST_PAGE === 0n && memory.end % SMALLEST_PAGE === 1n) {
    const meant = memory.end - 1n > memory.start ? { start: memory.start, end: memory.end - 1n } : undefined;
    throw new KdumpError('refused', `cannot ${action} memory ${formatRange(memory)}`, {
      segment: 'elfcorehdr',
      found: 'one byte more than whole pages',
      expected: 'an END inclusive, as in /proc/iomem',
      ...(meant === undefined ? {} : { remedy: `did you mean ${formatRange(meant)}?` }),
    });
  }
  if (force || (memory.start % SMALLEST_PAGE === 0n && memory.end % SMALLEST_PAGE === 0n)) return;
  throw new KdumpError('refused', `cannot ${action} memory ${formatRange(memory)}`, {
    segment: 'elfcorehdr',
    found: 'a range that is not whole pages',
    expected: 'multiples of 4 KiB',
    remedy: 'write hexadecimal numbers with 0x in front',
    forcible: true,
  });
}

function refuseMisplacedNote(crash: CrashTable): void {
  if (indexesOf(crash, KIND.other).some((index) => crash.table.type(index) === PT_NOTE)) {
    throw new KdumpError('refused', 'a PT_NOTE lies behind a PT_LOAD', { segment: 'elfcorehdr', remedy: 'reload the kdump image' });
  }
}

function rangesOf(crash: CrashTable, kind: number): Range[] {
  return indexesOf(crash, kind).map((index) => rangeAt(crash, index));
}

/** What no dump of the machine holds: the crashkernel ranges, and what the architecture leaves out. */
export function leftOutOf({
  crashKernelRanges,
  architecture: { excluded },
}: Pick<KdumpImage, 'crashKernelRanges' | 'architecture'>): readonly Range[] {
  return excluded === undefined ? crashKernelRanges : [...crashKernelRanges, excluded];
}

function refuseAddition(ram: RangeList, memory: Range, image: KdumpImage, listedElsewhere: readonly Range[]): void {
  const listed = ram.overlapping(memory) ?? listedElsewhere.find((range) => overlaps(range, memory));
  if (listed !== undefined) {
    throw new KdumpError('refused', `cannot add memory ${formatRange(memory)}`, {
      segment: 'elfcorehdr',
      found: `${formatRange(listed)}, which is listed already`,
      expected: 'memory that is not listed, or all of it listed',
    });
  }
  const crashKernel = image.crashKernelRanges.find((range) => overlaps(range, memory));
  if (crashKernel !== undefined) {
    throw new KdumpError('refused', `cannot add memory ${formatRange(memory)}`, {
      segment: 'elfcorehdr',
      found: `the crashkernel range ${formatRange(crashKernel)} in it`,
      expected: 'memory outside of it',
    });
  }
}

function refuseDeviceMemory(memory: Range, device: readonly Range[]): void {
  const hit = device.find((range) => overlaps(range, memory));
  if (hit === undefined) return;
  throw new KdumpError('refused', `cannot add memory ${formatRange(memory)}`, {
    segment: 'elfcorehdr',
    found: `coherent device memory ${formatRange(hit)} in it: the machine stops when the capture kernel reads it`,
    expected: 'memory that a dump can read',
    forcible: true,
  });
}

/** What the live tree does not tell of the NUMA nodes of memory, the FDT of the image does. */
function knownNodes({ architecture, fdt }: KdumpImage, { deviceTree, memoryNodes }: MemoryPlanOptions): KnownNodes {
  if (architecture.memoryNodes === undefined) return { ranges: [], only: undefined };
  const own = fdt === null ? undefined : architecture.memoryNodes(fdt.tree.root, 'image');
  const live = deviceTree === undefined ? undefined : architecture.memoryNodes(treeNode(deviceTree.root), 'machine');
  return { ranges: combined([memoryNodes?.() ?? [], live?.ranges ?? [], own?.ranges ?? []]), only: (live ?? own)?.only };
}

function nodeAssumed({ range, at }: { range: Range; at: bigint }): Finding {
  return {
    severity: 'info',
    code: 'node-assumed',
    message: `memory ${formatRange(range)} is listed as one, as the kernel does within a NUMA node: whether the parts adjacent at ${hex(at)} are of one node, nothing tells (--device-tree with the live tree does)`,
  };
}

function refuseRemoval(ram: RangeList, memory: Range, image: KdumpImage, listedElsewhere: readonly Range[]): void {
  if (ram.covers(memory)) return;
  const needed = [...image.crashKernelRanges, ...listedElsewhere].find((range) => overlaps(range, memory));
  throw new KdumpError('refused', `cannot remove memory ${formatRange(memory)}`, {
    segment: 'elfcorehdr',
    found: needed === undefined ? 'memory that is not listed, or only in part' : `${formatRange(needed)} in it, which the kdump image uses`,
    expected: 'memory that is listed as RAM',
  });
}

/** kexec-tools lists firmware in whole pages, a rebuild lists what the FDT says: a range that changes without being asked for is worth a word. */
function firmwareFindings(firmware: readonly Range[], rangeNow: (range: Range) => Range | undefined): Finding[] {
  return firmware.flatMap((listed): Finding[] => {
    const now = rangeNow(listed);
    if (now === undefined || (now.start === listed.start && now.end === listed.end)) return [];
    return [
      {
        severity: 'info',
        code: 'firmware-exact',
        message: `firmware memory ${formatRange(listed)} becomes ${formatRange(now)}, its exact size by the FDT, as at every rebuild by the kernel`,
      },
    ];
  });
}

/**
 * remove_mem_range() of arch/powerpc/kexec/ranges.c: the right half of a split goes to the end of the list, one byte too long. It looks for one
 * range that holds `removed`; the lists that it works on have joined adjacent ones.
 *
 * @throws KdumpError `refused` when `removed` lies in more than one
 */
function removedAsLinuxDoes(ranges: readonly Range[], removed: Range): Range[] {
  const index = ranges.findIndex((range) => contains(range, removed));
  const hit = ranges[index];
  if (hit === undefined) {
    throw new KdumpError('refused', `cannot remove memory ${formatRange(removed)} as Linux does`, {
      segment: 'elfcorehdr',
      found: 'memory in more than one PT_LOAD',
      expected: 'all of it in one, as the kernel lists it',
      remedy: 'leave out --compat linux',
    });
  }
  const left = hit.start < removed.start ? [{ start: hit.start, end: removed.start }] : [];
  const right = removed.end < hit.end ? { start: removed.end, end: hit.end } : undefined;
  const others = [ranges.slice(0, index), ranges.slice(index + 1)] as const;
  if (right === undefined) return [...others[0], ...left, ...others[1]];
  if (left.length === 0) return [...others[0], right, ...others[1]];
  return [...others[0], ...left, ...others[1], { start: right.start, end: right.end + 1n }];
}
