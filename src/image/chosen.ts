import type { Fdt } from '../fdt/fdt.js';
import { readAddressCells, readCells, textOf, u32At } from '../fdt/cells.js';
import { byStart, contains, containsAddress, rangeOfSize, type Range } from '../memory/range.js';
import { merged } from '../memory/range-set.js';
import { parseSize } from '../text/numbers.js';

/** What the FDT of a kdump image says about the other segments. */
export interface KdumpFdtFacts {
  readonly bootargs: string | null;
  /** From `linux,elfcorehdr`, else from `elfcorehdr=` in bootargs; size null where not told. */
  readonly elfcorehdr: { readonly address: bigint; readonly size: bigint | null; readonly source: string } | null;
  readonly initrd: Range | null;
  /** All memory that is reserved for the capture kernel, ascending, where one range of it holds the elfcorehdr; else empty. */
  readonly crashKernelRanges: readonly Range[];
  /** Those of them that come from `crashkernel=…,cma`, which /proc/iomem does not name. */
  readonly cmaRanges: readonly Range[];
  /** The one of them that holds the elfcorehdr. */
  readonly crashKernel: Range | null;
}

export function kdumpFdtFacts(fdt: Fdt): KdumpFdtFacts {
  const chosen = fdt.node('/chosen');
  const cells = readAddressCells(fdt.root);
  const bootargs = chosen?.property('bootargs');
  const text = bootargs === undefined ? null : textOf(bootargs);
  const elfcorehdr = elfcorehdrFromProperty(chosen?.property('linux,elfcorehdr'), cells) ?? elfcorehdrFromBootargs(text);
  return {
    bootargs: text,
    elfcorehdr,
    initrd: initrdRange(chosen?.property('linux,initrd-start'), chosen?.property('linux,initrd-end')),
    ...crashKernelFacts(fdt, cells, elfcorehdr?.address ?? null),
  };
}

interface AddressCells {
  address: number;
  size: number;
}

/** early_init_dt_check_for_elfcorehdr() in drivers/of/fdt.c. */
function elfcorehdrFromProperty(value: Uint8Array | undefined, cells: AddressCells): KdumpFdtFacts['elfcorehdr'] {
  if (value?.length !== 4 * (cells.address + cells.size)) return null;
  return {
    address: readCells(value, cells.address, 0),
    size: readCells(value, cells.size, cells.address),
    source: 'linux,elfcorehdr',
  };
}

/** `elfcorehdr=[size@]offset` with an optional K, M or G (setup_elfcorehdr in kernel/elfcorehdr.c). */
export function elfcorehdrFromBootargs(bootargs: string | null): KdumpFdtFacts['elfcorehdr'] {
  const match = /(?:^|\s)elfcorehdr=(?:([0-9a-fA-Fx]+[KMG]?)@)?([0-9a-fA-Fx]+[KMG]?)(?=\s|$)/.exec(bootargs ?? '');
  if (match?.[2] === undefined) return null;
  try {
    return {
      address: parseSize(match[2]),
      size: match[1] === undefined ? null : parseSize(match[1]),
      source: 'elfcorehdr= in bootargs',
    };
  } catch {
    return null;
  }
}

function initrdRange(start: Uint8Array | undefined, end: Uint8Array | undefined): Range | null {
  const [first, last] = [start, end].map((value) =>
    value?.length === 4 || value?.length === 8 ? readCells(value, value.length / 4, 0) : 0n,
  );
  return first !== undefined && last !== undefined && first < last ? { start: first, end: last } : null;
}

/** Pairs of linux,usable-memory-range that a kernel reads: 2, and 4 of CMA (MAX_USABLE_RANGES in drivers/of/fdt.c). */
const MAX_USABLE_RANGES = 6;
/** No low crashkernel range reaches beyond (CRASH_ADDR_LOW_MAX of the architectures). */
const FOUR_GIB = 1n << 32n;

function crashKernelFacts(
  fdt: Fdt,
  cells: AddressCells,
  elfcorehdr: bigint | null,
): Pick<KdumpFdtFacts, 'crashKernelRanges' | 'cmaRanges' | 'crashKernel'> {
  const holdsIt = (range: Range): boolean => elfcorehdr !== null && containsAddress(range, elfcorehdr);
  const usable = rangePairs(fdt.node('/chosen')?.property('linux,usable-memory-range'), cells, 0, MAX_USABLE_RANGES);
  const main = usable.find(holdsIt);
  if (main !== undefined) {
    return {
      crashKernelRanges: [...usable].sort(byStart),
      cmaRanges: usable.filter((_, index) => isCma(usable, index)),
      crashKernel: main,
    };
  }
  const crashKernel = ppc64CrashKernel(fdt, cells, holdsIt);
  return { crashKernelRanges: crashKernel === null ? [] : [crashKernel], cmaRanges: [], crashKernel };
}

/**
 * First comes the range that holds the segments, then a low one where that lies above 4 GiB, then those of CMA
 * (of_kexec_alloc_and_setup_fdt() in drivers/of/kexec.c).
 */
function isCma(pairs: readonly Range[], index: number): boolean {
  const [main, second] = pairs;
  const hasLow = main !== undefined && second !== undefined && main.start >= FOUR_GIB && second.end <= FOUR_GIB;
  return index >= (hasLow ? 2 : 1);
}

/**
 * On ppc64 the memory below the reservation is a memory reservation block entry from 64 KiB on, and the usable memory of the capture kernel
 * runs from 0 to the reservation's end (update_usable_mem_fdt and setup_new_fdt_ppc64 in arch/powerpc/kexec/file_load_64.c; kexec-ppc64.c of
 * kexec-tools).
 */
function ppc64CrashKernel(fdt: Fdt, cells: AddressCells, holdsIt: (range: Range) => boolean): Range | null {
  const below = fdt.reservations.find(({ address }) => address === 0x10000n);
  if (below === undefined || below.size === 0n) return null;
  const start = below.address + below.size;
  const end = merged(usableMemory(fdt, cells)).find((range) => contains(range, { start, end: start + 1n }))?.end;
  const range = end === undefined ? null : { start, end };
  return range !== null && holdsIt(range) ? range : null;
}

function usableMemory(fdt: Fdt, cells: AddressCells): Range[] {
  const ranges = fdt.root
    .children()
    .filter((node) => node.name === 'memory' || node.name.startsWith('memory@'))
    .flatMap((node) => rangePairs(node.property('linux,usable-memory'), cells));
  const drconf = fdt.node('/ibm,dynamic-reconfiguration-memory')?.property('linux,drconf-usable-memory');
  return drconf === undefined ? ranges : [...ranges, ...drconfRanges(drconf, cells)];
}

function rangePairs(value: Uint8Array | undefined, cells: AddressCells, from = 0, count = Infinity): Range[] {
  const step = cells.address + cells.size;
  const ranges: Range[] = [];
  for (let i = 0; i < count && 4 * (from + (i + 1) * step) <= (value?.length ?? 0); i += 1) {
    const at = from + i * step;
    const size = readCells(value as Uint8Array, cells.size, at + cells.address);
    if (size > 0n) ranges.push(rangeOfSize(readCells(value as Uint8Array, cells.address, at), size));
  }
  return ranges;
}

/** For each LMB or set of LMBs a count, of #size-cells cells, and so many pairs (numa_setup_drmem_lmb in arch/powerpc/mm/numa.c). */
function drconfRanges(value: Uint8Array, cells: AddressCells): Range[] {
  const ranges: Range[] = [];
  const total = value.length / 4;
  for (let at = 0; at + cells.size <= total;) {
    const count = u32At(value, at + cells.size - 1);
    const next = at + cells.size + count * (cells.address + cells.size);
    if (next > total) break;
    for (const range of rangePairs(value, cells, at + cells.size, count)) ranges.push(range);
    at = next;
  }
  return ranges;
}
