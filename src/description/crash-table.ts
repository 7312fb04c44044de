import type { Architecture } from '../arch/architecture.js';
import { PT_LOAD, PT_NOTE } from '../elf/constants.js';
import { tableOf, type Elfcorehdr } from '../elf/elfcorehdr.js';
import { P_MEMSZ, P_PADDR, P_VADDR, type ProgramHeaderTable } from '../elf/program-header-table.js';
import type { ProgramHeader } from '../elf/records.js';
import { isBackup } from '../elf/backup.js';
import type { KdumpImage } from '../image/image.js';
import { SMALLEST_PAGE, contains, overlaps, rangeOfSize, type Range } from '../memory/range.js';
import { firstEndingAfter, merged, type RangeSet } from '../memory/range-set.js';

/** What a program header stands for. */
export const KIND = { other: 0, note: 1, kernelText: 2, ram: 3, backup: 4, firmware: 5 } as const;

const ALL_ONES = 0xffffffff;
const FIRST_MIB = 0x100000;

/** What the program headers of an elfcorehdr stand for, by their index. */
export interface CrashTable {
  readonly table: ProgramHeaderTable;
  /** PT_NOTEs at the front. */
  readonly noteCount: number;
  /** Those of CPUs: without the last one, which is vmcoreinfo's. */
  readonly cpuNoteCount: number;
  readonly kinds: Uint8Array;
  /** p_vaddr - p_paddr of the kernel's linear map, modulo 2^64; null where no PT_LOAD tells. */
  readonly linearOffset: bigint | null;
}

/** What of an image is needed to tell what its program headers describe. */
export type DescribedImage = Pick<KdumpImage, 'architecture' | 'crashKernelRanges'> & { elfcorehdr: { contents: Elfcorehdr } };

export function crashTableOf({ architecture, crashKernelRanges, elfcorehdr }: DescribedImage): CrashTable {
  const table = tableOf(elfcorehdr.contents);
  const kinds = new Uint8Array(table.length);
  let noteCount = 0;
  while (noteCount < table.length && table.type(noteCount) === PT_NOTE) noteCount += 1;
  kinds.fill(KIND.note, 0, noteCount);
  for (let index = noteCount; index < table.length; index += 1) {
    if (table.type(index) === PT_LOAD && (table.low(index, P_MEMSZ) !== 0 || table.high(index, P_MEMSZ) !== 0)) kinds[index] = KIND.ram;
  }
  const text = findKernelText(architecture, table, kinds);
  if (text >= 0) kinds[text] = KIND.kernelText;
  const linearOffset = commonOffset(table, kinds);
  // Nearly all of memory fails these comparisons of numbers, which are exact or too generous.
  // RTAS and OPAL are listed where they lie inside the crashkernel range, which is left out otherwise; other architectures have nothing like them.
  const crashKernels = architecture.firmware === undefined ? [] : merged(crashKernelRanges);
  const [crashStart, crashEnd] = [Number(crashKernels[0]?.start ?? Infinity), Number(crashKernels.at(-1)?.end ?? Infinity)];
  for (let index = noteCount; index < table.length; index += 1) {
    if (kinds[index] !== KIND.ram) continue;
    const start = approximate(table, index, P_PADDR);
    if (start < FIRST_MIB || (start >= crashStart && start <= crashEnd)) kinds[index] = kindOfMemory(table, index, crashKernels);
  }
  const hasVmcoreinfo = noteCount > 1 || (noteCount > 0 && architecture.name === 's390x');
  return { table, noteCount, cpuNoteCount: noteCount - (hasVmcoreinfo ? 1 : 0), kinds, linearOffset };
}

/** Indexes of the program headers of a kind, in their order. */
export function indexesOf({ kinds }: CrashTable, kind: number): number[] {
  const indexes: number[] = [];
  for (let index = kinds.indexOf(kind); index >= 0; index = kinds.indexOf(kind, index + 1)) indexes.push(index);
  return indexes;
}

/** The memory of a PT_LOAD, at its true size where the kernel wrote one byte too many. */
export function rangeAt({ table, kinds }: CrashTable, index: number): Range {
  const start = table.value(index, P_PADDR);
  const end = start + table.value(index, P_MEMSZ);
  return { start, end: kinds[index] === KIND.ram && isTooLongAt(table, index) ? end - 1n : end };
}

/**
 * Whether a range has the size that remove_mem_range() of arch/powerpc/kexec/ranges.c gives the right half of a range it splits: it computes
 * `end_of_range - end + 1` from two inclusive ends, one byte too many (Linux 6.12 to 7.2).
 */
export function isOneByteTooLong({ paddr, memsz }: Pick<ProgramHeader, 'paddr' | 'memsz'>): boolean {
  return memsz > 1n && (paddr + memsz) % SMALLEST_PAGE === 1n;
}

/** {@link isOneByteTooLong} of the program header at `index`. */
export function isTooLongAt(table: ProgramHeaderTable, index: number): boolean {
  if (((table.low(index, P_PADDR) + table.low(index, P_MEMSZ)) & 0xfff) !== 1) return false;
  return isOneByteTooLong({ paddr: table.value(index, P_PADDR), memsz: table.value(index, P_MEMSZ) });
}

/** Whether p_vaddr is -1, which kexec-tools writes for memory that the linear map of its time did not reach. */
export function hasNoAddress(table: ProgramHeaderTable, index: number): boolean {
  return table.low(index, P_VADDR) === ALL_ONES && table.high(index, P_VADDR) === ALL_ONES;
}

function kindOfMemory(table: ProgramHeaderTable, index: number, crashKernels: RangeSet): number {
  if (isBackup(table.at(index))) return KIND.backup;
  const range = listedAt(table, index);
  const crashKernel = crashKernels[firstEndingAfter(crashKernels, range.start)];
  return crashKernel !== undefined && contains(crashKernel, range) ? KIND.firmware : KIND.ram;
}

/** The nearest number, so that of two values the larger never has the smaller number. */
function approximate(table: ProgramHeaderTable, index: number, field: number): number {
  return table.high(index, field) * 0x100000000 + table.low(index, field);
}

function listedAt(table: ProgramHeaderTable, index: number): Range {
  return rangeOfSize(table.value(index, P_PADDR), table.value(index, P_MEMSZ));
}

/** The kernel text is the first PT_LOAD when it maps elsewhere than all others, or maps memory that another one maps too; -1 without one. */
function findKernelText({ kernelText }: Architecture, table: ProgramHeaderTable, kinds: Uint8Array): number {
  const first = kinds.indexOf(KIND.ram);
  if (!kernelText || first < 0 || !kinds.includes(KIND.ram, first + 1) || isBackup(table.at(first))) return -1;
  const range = listedAt(table, first);
  const end = Number(range.end);
  for (let index = first + 1; index < table.length; index += 1) {
    if (kinds[index] !== KIND.ram || approximate(table, index, P_PADDR) > end) continue;
    if (overlaps(range, listedAt(table, index)) && !isBackup(table.at(index))) return first;
  }
  return offsetAt(table, first) === commonOffset(table, kinds, first) ? -1 : first;
}

/** What most PT_LOADs have as p_vaddr - p_paddr, those of `left` and before it not counted. */
function commonOffset(table: ProgramHeaderTable, kinds: Uint8Array, left = -1): bigint | null {
  const counts = new Map<bigint, number>();
  // Nearly all have the same, so a bigint is made only where one differs from the one before.
  let run = 0;
  let first = -1;
  for (let index = left + 1; index < table.length; index += 1) {
    if (kinds[index] !== KIND.ram) continue;
    if (hasNoAddress(table, index)) continue;
    if (run > 0 && hasSameOffset(table, first, index)) run += 1;
    else {
      if (run > 0) addTo(counts, offsetAt(table, first), run);
      first = index;
      run = 1;
    }
  }
  if (run > 0) addTo(counts, offsetAt(table, first), run);
  let [best, most]: [bigint | null, number] = [null, 0];
  for (const [offset, count] of counts) if (count > most) [best, most] = [offset, count];
  return best;
}

function addTo(counts: Map<bigint, number>, offset: bigint, count: number): void {
  counts.set(offset, (counts.get(offset) ?? 0) + count);
}

function hasSameOffset(table: ProgramHeaderTable, a: number, b: number): boolean {
  const lowA = table.low(a, P_VADDR) - table.low(a, P_PADDR);
  const lowB = table.low(b, P_VADDR) - table.low(b, P_PADDR);
  const highA = table.high(a, P_VADDR) - table.high(a, P_PADDR) - (lowA < 0 ? 1 : 0);
  const highB = table.high(b, P_VADDR) - table.high(b, P_PADDR) - (lowB < 0 ? 1 : 0);
  return lowA >>> 0 === lowB >>> 0 && highA >>> 0 === highB >>> 0;
}

function offsetAt(table: ProgramHeaderTable, index: number): bigint {
  return BigInt.asUintN(64, table.value(index, P_VADDR) - table.value(index, P_PADDR));
}
