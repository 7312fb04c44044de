import { KdumpError, hex } from '../../errors.js';
import { sizeOf } from '../../memory/range.js';
import { PT_LOAD } from '../../elf/constants.js';
import { kdumpFdtFacts } from '../chosen.js';
import { MovedMemory } from '../../memory-source/moved-memory.js';
import type { PhysicalMemory } from '../../memory-source/physical-memory.js';
import type { FoundImage } from './found-image.js';
import type { Candidates } from './scan.js';
import { Search } from './search.js';
import { vmcoreinfoAddress } from './vmcoreinfo.js';

/** A candidate that would be one of an image if all addresses were less by `shift`. */
export interface Guess {
  readonly shift: bigint;
  readonly kind: 'fdt' | 'elfcorehdr';
  /** Where it is now. */
  readonly at: bigint;
}

/** Where QEMU's files with mapped-ram have the pages of the first RAM block (MAPPED_RAM_FILE_OFFSET_ALIGNMENT in migration/ram.c). */
const MAPPED_RAM_START = 0x100000n;
/** Each may search a crashkernel range, which is too much work for many of them. */
const MAX_GUESSES = 16;
/** Of each kind of candidate, so many are compared with each other. */
const MAX_COMPARED = 32;

/**
 * The error for memory that holds an image at other addresses than the image says. By how much they are off, candidates say of each other;
 * whether that is so, a search at the right addresses.
 *
 * @param look looks at one candidate, which may be anything
 * @returns undefined when nothing tells, or what is found does not agree
 */
export function shiftedImageError(
  search: Search,
  candidates: Candidates,
  look: (search: Search, guess: Guess) => FoundImage,
): KdumpError | undefined {
  const { memory } = search;
  const found = guesses(search, candidates).flatMap((guess) => {
    const image = attempt(() => {
      const right = new Search(new MovedMemory(memory, -guess.shift), undefined, search);
      return look(right, { ...guess, at: guess.at - guess.shift });
    });
    return image === undefined ? [] : [{ shift: guess.shift, image }];
  });
  const [only] = found;
  return only === undefined || found.some(({ shift }) => shift !== only.shift) ? undefined : errorOf(memory, only.shift, only.image);
}

function guesses(search: Search, candidates: Candidates): Guess[] {
  const elfcorehdrs = candidates.elfcorehdrs.slice(0, MAX_COMPARED);
  const guessed = new Map<string, Guess>();
  const add = (kind: Guess['kind'], at: bigint, shift: bigint): void => {
    if (shift !== 0n && at >= shift && guessed.size < MAX_GUESSES) guessed.set(`${kind} ${at} ${shift}`, { kind, at, shift });
  };
  for (const { elfcorehdr, shift } of candidates.bootParameters) {
    if (candidates.elfcorehdrs.includes(elfcorehdr + shift)) add('elfcorehdr', elfcorehdr + shift, shift);
  }
  for (const at of candidates.fdts.slice(0, MAX_COMPARED)) {
    const named = attempt(() => kdumpFdtFacts(search.fdtAt(at)).elfcorehdr)?.address;
    if (named !== undefined) for (const elfcorehdr of elfcorehdrs) add('fdt', at, elfcorehdr - named);
  }
  for (const at of elfcorehdrs) {
    const stated = attempt(() => vmcoreinfoAddress(search.elfcorehdrAt(at)));
    if (stated !== undefined) for (const place of candidates.vmcoreinfos.slice(0, MAX_COMPARED)) add('elfcorehdr', at, place - stated);
  }
  for (const at of elfcorehdrs) add('elfcorehdr', at, MAPPED_RAM_START);
  return [...guessed.values()];
}

function errorOf(memory: PhysicalMemory, shift: bigint, image: FoundImage): KdumpError {
  const { address } = image.description.elfcorehdr;
  const by = hex(shift < 0n ? -shift : shift);
  return new KdumpError('input', `kdump image found, but addresses are off by ${by}`, {
    file: memory.path,
    found: `its elfcorehdr at ${hex(address + shift)}`,
    expected: `${hex(address)}, where the image has it`,
    remedy: `use ${placeOptions(memory, shift, image) ?? `--map with addresses that are ${shift < 0n ? 'more' : 'less'} by ${by}`}`,
  });
}

/** The options that say where the file lies in memory; undefined where several pieces had been told, of which each may be wrong. */
function placeOptions(memory: PhysicalMemory, shift: bigint, image: FoundImage): string | undefined {
  const [whole, ...more] = memory.ranges;
  const place = whole === undefined ? null : memory.placeOf(whole.start);
  if (whole === undefined || place === null || more.length > 0) return undefined;
  const start = whole.start - shift;
  if (start >= 0n && place === 0n) return `--base ${hex(start)}`;
  const skip = start < 0n ? -start : 0n;
  const size = ramSize(image, start + skip, sizeOf(whole) - skip);
  return `--format raw --map ${hex(place + skip)}:${hex(start + skip)}:${hex(size)}`;
}

const FOUR_GIB = 1n << 32n;

/** How much of `size` bytes from `start` on is memory of the image's machine without a hole: RAM that does not fit goes on above 4 GiB (x86). */
function ramSize({ description, crashKernel }: FoundImage, start: bigint, size: bigint): bigint {
  const ends = description.elfcorehdr.contents.programHeaders
    .filter(({ type, memsz }) => type === PT_LOAD && memsz > 0n)
    .map(({ paddr, memsz }) => paddr + memsz)
    .concat(crashKernel === null ? [] : [crashKernel.end]);
  const last = (limit: bigint): bigint => ends.reduce((most, end) => (end > most && end <= limit ? end : most), start);
  const all = last(1n << 64n);
  const fitting = all <= start + size ? all : last(start + size < FOUR_GIB ? start + size : FOUR_GIB);
  return fitting - start;
}

function attempt<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch (error) {
    if (error instanceof KdumpError && error.kind === 'input') return undefined;
    throw error;
  }
}
