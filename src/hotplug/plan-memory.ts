import { KdumpError } from '../errors.js';
import { PT_NOTE } from '../elf/constants.js';
import type { ProgramHeader } from '../elf/records.js';
import type { KdumpImage } from '../image/image.js';
import type { MemoryChange } from '../machine/change.js';
import { byStart, contains, formatRange, overlaps, type Range } from '../memory/range.js';
import { RangeList } from '../memory/range-list.js';
import type { Finding } from './finding.js';
import { crashMemoryOf, loadFor, type CrashMemory, type CrashMemoryRange } from './crash-memory.js';

/** kexec-tools' p_vaddr of memory that the linear map of its time did not reach. */
const NO_ADDRESS = (1n << 64n) - 1n;
const SMALLEST_PAGE = 0x1000n;

/** What becomes of one change: made, or nothing to do for the stated reason. */
export interface ChangeEffect {
  readonly made: boolean;
  readonly reason: string;
}

export const MADE: ChangeEffect = { made: true, reason: '' };
const LISTED: ChangeEffect = { made: false, reason: 'it is listed already' };
const STAYS: ChangeEffect = { made: false, reason: 'the kernel leaves removed memory listed' };

export interface MemoryPlan {
  readonly findings: readonly Finding[];
  readonly programHeaders: readonly ProgramHeader[];
  readonly effects: readonly ChangeEffect[];
}

/**
 * The program headers of the elfcorehdr once memory was added or removed: notes and kernel text stay, the PT_LOADs are rebuilt as the kernel's
 * own handler does (get_crash_memory_ranges in arch/powerpc/kexec/ranges.c, crash_handle_hotplug_event in arch/x86/kernel/crash.c).
 *
 * @param options `compat`: `linux` for the kernel's bytes with its known defects; `force`: takes ranges that are not whole pages
 * @throws KdumpError `refused` when memory is added that overlaps what is listed or the crashkernel range, or removed that is not listed
 */
export function planMemory(
  image: KdumpImage,
  changes: readonly MemoryChange[],
  { compat, force = false }: { compat?: 'linux' | undefined; force?: boolean | undefined },
): MemoryPlan {
  const unchanged = image.elfcorehdr.contents.programHeaders;
  if (changes.length === 0) return { programHeaders: unchanged, effects: [], findings: [] };
  const crash = crashMemoryOf(image);
  refuseUnclear(crash);
  const { architecture } = image;
  const ram = new RangeList(rangesOf(crash, 'ram'), architecture.mergesAdjacent);
  const listedElsewhere = [...rangesOf(crash, 'backup'), ...rangesOf(crash, 'firmware')];
  const effects: ChangeEffect[] = [];
  const reproducesSplit = compat === 'linux' && architecture.kernelSplitsOneByteTooLong === true;
  let rebuilt = false;
  /** The last change, if it removed memory, and the RAM before it. */
  let last: { removed: Range; ram: readonly Range[] } | undefined;
  for (const [index, { action, memory }] of changes.entries()) {
    if (!force) refuseUnaligned(action, memory);
    if (action === 'add') {
      const listed = ram.covers(memory) || listedElsewhere.some((range) => contains(range, memory));
      if (!listed) addTo(ram, memory, image, listedElsewhere);
      effects.push(listed ? LISTED : MADE);
      rebuilt ||= !listed || compat === 'linux';
    } else {
      refuseRemoval(ram, memory, image, listedElsewhere);
      const stays = compat === 'linux' && architecture.kernelKeepsRemovedMemory === true;
      if (!stays) {
        if (reproducesSplit && index === changes.length - 1) last = { removed: memory, ram: ram.toArray() };
        ram.remove(memory);
        rebuilt = true;
      }
      effects.push(stays ? STAYS : MADE);
    }
  }
  if (!rebuilt) return { programHeaders: unchanged, effects, findings: [] };
  const ranges =
    last === undefined ? withFirmware(ram.toArray(), crash, image) : removedAsLinuxDoes(withFirmware(last.ram, crash, image), last.removed);
  const keepsBackup = !(compat === 'linux' && architecture.kernelDropsBackup === true);
  return { programHeaders: assemble(crash, ranges, keepsBackup), effects, findings: firmwareFindings(crash, ranges) };
}

/** Memory comes and goes in whole pages; anything else is a mistyped number, such as a hexadecimal one without 0x. */
function refuseUnaligned(action: string, memory: Range): void {
  if (memory.start % SMALLEST_PAGE === 0n && memory.end % SMALLEST_PAGE === 0n) return;
  throw new KdumpError('refused', `cannot ${action} memory ${formatRange(memory)}`, {
    segment: 'elfcorehdr',
    found: 'a range that is not whole pages',
    expected: 'multiples of 4 KiB',
    remedy: 'write hexadecimal numbers with 0x in front',
    forcible: true,
  });
}

function refuseUnclear(crash: CrashMemory): void {
  const misplacedNote = crash.others.find((each) => each.type === PT_NOTE);
  if (misplacedNote !== undefined) {
    throw new KdumpError('refused', 'a PT_NOTE lies behind a PT_LOAD', { segment: 'elfcorehdr', remedy: 'reload the kdump image' });
  }
  const ram = [...crash.ranges].filter(({ kind }) => kind === 'ram').sort((a, b) => byStart(a.range, b.range));
  ram.forEach(({ range, programHeader }, index) => {
    const next = ram[index + 1];
    if (next !== undefined && overlaps(range, next.range)) {
      throw new KdumpError('refused', 'two PT_LOADs overlap', {
        segment: 'elfcorehdr',
        found: `${formatRange(range)} and ${formatRange(next.range)}`,
        remedy: 'reload the kdump image',
      });
    }
    if (programHeader.offset !== programHeader.paddr) {
      throw new KdumpError('refused', 'a PT_LOAD keeps its contents at another address, and is not the backup of low memory', {
        segment: 'elfcorehdr',
        found: formatRange(range),
        remedy: 'reload the kdump image',
      });
    }
  });
}

function rangesOf(crash: CrashMemory, kind: CrashMemoryRange['kind']): Range[] {
  return crash.ranges.filter((each) => each.kind === kind).map(({ range }) => range);
}

function addTo(ram: RangeList, memory: Range, image: KdumpImage, listedElsewhere: readonly Range[]): void {
  const listed = ram.overlapping(memory) ?? listedElsewhere.find((range) => overlaps(range, memory));
  if (listed !== undefined) {
    throw new KdumpError('refused', `cannot add memory ${formatRange(memory)}`, {
      segment: 'elfcorehdr',
      found: `${formatRange(listed)}, which is listed already`,
      expected: 'memory that is not listed, or all of it listed',
    });
  }
  if (image.crashKernel !== null && overlaps(image.crashKernel, memory)) {
    throw new KdumpError('refused', `cannot add memory ${formatRange(memory)}`, {
      segment: 'elfcorehdr',
      found: `the crashkernel range ${formatRange(image.crashKernel)} in it`,
      expected: 'memory outside of it',
    });
  }
  ram.add(memory);
}

function refuseRemoval(ram: RangeList, memory: Range, image: KdumpImage, listedElsewhere: readonly Range[]): void {
  if (ram.covers(memory)) return;
  const needed = [...(image.crashKernel === null ? [] : [image.crashKernel]), ...listedElsewhere].find((range) => overlaps(range, memory));
  throw new KdumpError('refused', `cannot remove memory ${formatRange(memory)}`, {
    segment: 'elfcorehdr',
    found: needed === undefined ? 'memory that is not listed, or only in part' : `${formatRange(needed)} in it, which the kdump image uses`,
    expected: 'memory that is listed as RAM',
  });
}

/**
 * Adds the firmware's memory as add_mem_range() of arch/powerpc/kexec/ranges.c does: a range that overlaps one in the list extends that one,
 * without joining it to its neighbours; else it is appended. Then ascending, unmerged.
 */
function withFirmware(ram: readonly Range[], crash: CrashMemory, image: KdumpImage): Range[] {
  const ranges = [...ram];
  const stated = image.fdt === null ? [] : (image.architecture.firmware?.(image.fdt.tree) ?? []);
  // What is listed of a firmware that the FDT does not describe stays.
  const kept = rangesOf(crash, 'firmware').filter((range) => !stated.some((each) => overlaps(each, range)));
  for (const firmware of [...stated, ...kept]) {
    const index = ranges.findIndex((range) => overlaps(range, firmware));
    const hit = ranges[index];
    if (hit === undefined) ranges.push(firmware);
    else {
      ranges[index] = {
        start: firmware.start < hit.start ? firmware.start : hit.start,
        end: firmware.end > hit.end ? firmware.end : hit.end,
      };
    }
  }
  return ranges.sort(byStart);
}

/** kexec-tools lists firmware in whole pages, a rebuild lists what the FDT says: a range that changes without being asked for is worth a word. */
function firmwareFindings(crash: CrashMemory, ranges: readonly Range[]): Finding[] {
  return rangesOf(crash, 'firmware').flatMap((listed): Finding[] => {
    const now = ranges.find((range) => overlaps(range, listed));
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

/** remove_mem_range() of arch/powerpc/kexec/ranges.c: the right half of a split goes to the end of the list, one byte too long. */
function removedAsLinuxDoes(ranges: readonly Range[], removed: Range): Range[] {
  const index = ranges.findIndex((range) => contains(range, removed));
  const hit = ranges[index];
  if (hit === undefined) return [...ranges];
  const left = hit.start < removed.start ? [{ start: hit.start, end: removed.start }] : [];
  const right = removed.end < hit.end ? { start: removed.end, end: hit.end } : undefined;
  const others = [ranges.slice(0, index), ranges.slice(index + 1)] as const;
  if (right === undefined) return [...others[0], ...left, ...others[1]];
  if (left.length === 0) return [...others[0], right, ...others[1]];
  return [...others[0], ...left, ...others[1], { start: right.start, end: right.end + 1n }];
}

function assemble(crash: CrashMemory, ranges: readonly Range[], keepsBackup: boolean): ProgramHeader[] {
  const unchanged = new Map(
    crash.ranges.filter(({ kind }) => kind !== 'backup').map(({ programHeader }) => [programHeader.paddr, programHeader]),
  );
  const { linearOffset } = crash;
  const loads = ranges.map((range) => {
    const same = unchanged.get(range.start);
    if (same?.memsz === range.end - range.start && same.vaddr !== NO_ADDRESS) return same;
    if (linearOffset === null) {
      throw new KdumpError('refused', 'no PT_LOAD tells where the kernel maps memory', {
        segment: 'elfcorehdr',
        remedy: 'reload the kdump image',
      });
    }
    return loadFor(range, linearOffset);
  });
  const backup = crash.ranges.filter(({ kind }) => kind === 'backup').map(({ programHeader }) => programHeader);
  return [
    ...crash.notes,
    ...(crash.kernelText === null ? [] : [crash.kernelText]),
    ...(keepsBackup ? backup : []),
    ...loads,
    ...crash.others,
  ];
}
