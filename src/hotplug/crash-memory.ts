import type { Architecture } from '../arch/architecture.js';
import { PF_RWX, PT_LOAD, PT_NOTE } from '../elf/constants.js';
import type { Elfcorehdr } from '../elf/elfcorehdr.js';
import type { ProgramHeader } from '../elf/records.js';
import { isBackup } from '../image/backup.js';
import type { KdumpImage } from '../image/image.js';
import { contains, overlaps, rangeOfSize, type Range } from '../memory/range.js';

export type CrashMemoryKind = 'ram' | 'backup' | 'firmware';

/** A PT_LOAD of the dump. */
export interface CrashMemoryRange {
  readonly kind: CrashMemoryKind;
  /** At its true size where the kernel wrote one byte too many, see {@link isOneByteTooLong}. */
  readonly range: Range;
  readonly programHeader: ProgramHeader;
}

/** What the program headers of an elfcorehdr stand for, in their order. */
export interface CrashMemory {
  /** The PT_NOTEs at the front: one a CPU, then vmcoreinfo. */
  readonly notes: readonly ProgramHeader[];
  readonly cpuNotes: readonly ProgramHeader[];
  readonly vmcoreinfo: ProgramHeader | null;
  readonly kernelText: ProgramHeader | null;
  readonly ranges: readonly CrashMemoryRange[];
  /** Program headers of no known meaning, PT_NOTEs behind a PT_LOAD among them. */
  readonly others: readonly ProgramHeader[];
  /** p_vaddr - p_paddr of the kernel's linear map, modulo 2^64; null where no PT_LOAD tells. */
  readonly linearOffset: bigint | null;
}

const PAGE_MASK = 0xfffn;
const U64_MASK = (1n << 64n) - 1n;

export function crashMemoryOf(
  image: Pick<KdumpImage, 'architecture' | 'crashKernel'> & { elfcorehdr: { contents: Elfcorehdr } },
): CrashMemory {
  const { programHeaders } = image.elfcorehdr.contents;
  const firstOther = programHeaders.findIndex((each) => each.type !== PT_NOTE);
  const notes = programHeaders.slice(0, firstOther < 0 ? programHeaders.length : firstOther);
  const rest = programHeaders.slice(notes.length);
  const loads = rest.filter((each) => each.type === PT_LOAD && each.memsz > 0n);
  const kernelText = findKernelText(image.architecture, loads);
  const vmcoreinfo = notes.length > 1 || image.architecture.name === 's390x' ? (notes.at(-1) ?? null) : null;
  const memory = loads.filter((each) => each !== kernelText);
  return {
    notes,
    cpuNotes: notes.filter((each) => each !== vmcoreinfo),
    vmcoreinfo,
    kernelText,
    ranges: memory.map((programHeader) => classify(programHeader, image.crashKernel)),
    others: rest.filter((each) => each.type !== PT_LOAD || each.memsz === 0n),
    linearOffset: commonOffset(memory),
  };
}

/**
 * Whether a range has the size that remove_mem_range() of arch/powerpc/kexec/ranges.c gives the right half of a range it splits: it computes
 * `end_of_range - end + 1` from two inclusive ends, one byte too many (Linux 6.12 to 7.2).
 */
export function isOneByteTooLong({ paddr, memsz }: ProgramHeader): boolean {
  return memsz > 1n && ((paddr + memsz) & PAGE_MASK) === 1n;
}

/** A PT_LOAD for `range` as crash_prepare_elf64_headers() of kernel/crash_core.c writes it. */
export function loadFor(range: Range, linearOffset: bigint): ProgramHeader {
  const size = range.end - range.start;
  return {
    type: PT_LOAD,
    flags: PF_RWX,
    offset: range.start,
    vaddr: (range.start + linearOffset) & U64_MASK,
    paddr: range.start,
    filesz: size,
    memsz: size,
    align: 0n,
  };
}

function classify(programHeader: ProgramHeader, crashKernel: Range | null): CrashMemoryRange {
  const listed = rangeOfSize(programHeader.paddr, programHeader.memsz);
  if (isBackup(programHeader)) return { kind: 'backup', range: listed, programHeader };
  // RTAS and OPAL are listed where they lie inside the crashkernel range, which is left out otherwise.
  if (crashKernel !== null && contains(crashKernel, listed)) return { kind: 'firmware', range: listed, programHeader };
  const range = isOneByteTooLong(programHeader) ? { start: listed.start, end: listed.end - 1n } : listed;
  return { kind: 'ram', range, programHeader };
}

/** The kernel text is the first PT_LOAD when it maps elsewhere than all others, or maps memory that another one maps too. */
function findKernelText({ kernelText }: Architecture, loads: readonly ProgramHeader[]): ProgramHeader | null {
  const [first, ...rest] = loads;
  if (!kernelText || first === undefined || rest.length === 0 || isBackup(first)) return null;
  const range = rangeOfSize(first.paddr, first.memsz);
  const mappedTwice = rest.some((each) => !isBackup(each) && overlaps(range, rangeOfSize(each.paddr, each.memsz)));
  return mappedTwice || offsetOf(first) !== commonOffset(rest) ? first : null;
}

function commonOffset(loads: readonly ProgramHeader[]): bigint | null {
  const counts = new Map<bigint, number>();
  for (const load of loads) {
    // kexec-tools writes -1 for memory that the linear map of its time did not reach.
    if (load.vaddr !== U64_MASK) counts.set(offsetOf(load), (counts.get(offsetOf(load)) ?? 0) + 1);
  }
  let best: bigint | null = null;
  for (const [offset, count] of counts) if (best === null || count > (counts.get(best) ?? 0)) best = offset;
  return best;
}

function offsetOf({ vaddr, paddr }: ProgramHeader): bigint {
  return (vaddr - paddr) & U64_MASK;
}
