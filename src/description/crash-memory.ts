import { PF_RWX, PT_LOAD } from '../elf/constants.js';
import type { ProgramHeader } from '../elf/records.js';
import type { Range } from '../memory/range.js';
import { KIND, crashTableOf, indexesOf, rangeAt, type DescribedImage } from './crash-table.js';

export { isOneByteTooLong } from './crash-table.js';

/** `backup`: low memory whose contents lie in the backup segment; `firmware`: RTAS or OPAL inside the crashkernel range. */
export type CrashMemoryKind = 'ram' | 'backup' | 'firmware';

/** A PT_LOAD of the dump. */
export interface CrashMemoryRange {
  readonly kind: CrashMemoryKind;
  /** At its true size where the kernel wrote one byte too many, see `isOneByteTooLong`. */
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

/** What a dump by this image would hold, told from the order, place and addresses of its program headers. */
export function crashMemoryOf(image: DescribedImage): CrashMemory {
  const { programHeaders } = image.elfcorehdr.contents;
  const crash = crashTableOf(image);
  const at = (index: number): ProgramHeader => programHeaders[index] as ProgramHeader;
  const notes = programHeaders.slice(0, crash.noteCount);
  const [text] = indexesOf(crash, KIND.kernelText);
  const ranges: CrashMemoryRange[] = [];
  crash.kinds.forEach((each, index) => {
    const kind = RANGE_KINDS[each];
    if (kind !== undefined) ranges.push({ kind, range: rangeAt(crash, index), programHeader: at(index) });
  });
  return {
    notes,
    cpuNotes: notes.slice(0, crash.cpuNoteCount),
    vmcoreinfo: notes[crash.cpuNoteCount] ?? null,
    kernelText: text === undefined ? null : at(text),
    ranges,
    others: indexesOf(crash, KIND.other).map(at),
    linearOffset: crash.linearOffset,
  };
}

const RANGE_KINDS: Partial<Record<number, CrashMemoryKind>> = {
  [KIND.ram]: 'ram',
  [KIND.backup]: 'backup',
  [KIND.firmware]: 'firmware',
};

/** A PT_LOAD for `range` as crash_prepare_elf64_headers() of kernel/crash_core.c writes it. */
export function loadFor(range: Range, linearOffset: bigint): ProgramHeader {
  const size = range.end - range.start;
  return {
    type: PT_LOAD,
    flags: PF_RWX,
    offset: range.start,
    vaddr: BigInt.asUintN(64, range.start + linearOffset),
    paddr: range.start,
    filesz: size,
    memsz: size,
    align: 0n,
  };
}
