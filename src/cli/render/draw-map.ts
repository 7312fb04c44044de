import { hex } from '../../errors.js';
import { containsAddress, intersection, sizeOf, type Range } from '../../memory/range.js';
import { firstEndingAfter, merged, subtract, totalSize, type RangeSet } from '../../memory/range-set.js';
import { formatSize } from '../../text/numbers.js';
import type { Theme } from './theme.js';

const BLOCKS = { dump: '█', crashKernel: '▒', hole: '·', small: '▏' };
const ASCII: typeof BLOCKS = { dump: '#', crashKernel: '=', hole: '.', small: '|' };

/** Cells for a hole that is cut out, since all else would be too small to see beside it. */
const CUT = '//';

/** A part of the map that is to scale in itself and with the other parts; null for a hole that is cut out. */
interface Part {
  readonly range: Range;
  readonly cells: string;
}

/**
 * A map of physical memory, drawn to scale from the first address that a dump holds to the last: addresses, a bar, and what its characters mean.
 *
 * @param width characters of each line
 */
export function drawMap(dumped: readonly Range[], crashKernelRanges: readonly Range[], width: number, theme: Theme): string[] {
  const glyphs = theme.hasBlocks ? BLOCKS : ASCII;
  const crashKernels = merged(crashKernelRanges);
  const dump = merged(subtract(dumped, crashKernels));
  const all = merged([...dump, ...crashKernels]);
  const stretches = stretchesOf(all);
  const first = stretches[0];
  if (first === undefined) return [];
  const total = totalSize(stretches);
  const room = width - CUT.length * (stretches.length - 1);
  const parts = stretches.map((range): Part => {
    const count = Math.max(1, Math.floor((Number(sizeOf(range)) / Number(total)) * room));
    return { range, cells: cellsOf(range, count, dump, crashKernels, glyphs) };
  });
  const bar = parts.map(({ cells }) => cells).join(CUT);
  const legend = [
    [glyphs.dump, 'in the dump'],
    [glyphs.crashKernel, 'crashkernel'],
    [glyphs.hole, 'hole'],
    [CUT, 'hole, not to scale'],
  ].filter(([glyph = '']) => bar.includes(glyph));
  const painted = (text: string): string =>
    text
      .replaceAll(new RegExp(`${glyphs.crashKernel}+`, 'g'), theme.crashKernel)
      .replaceAll(new RegExp(`${glyphs.dump}+`, 'g'), theme.added);
  return [
    labels(parts, [...crashKernels, ...dump]),
    painted(bar),
    legend.map(([glyph = '', meaning = '']) => `${painted(glyph)} ${meaning}`).join('   '),
  ];
}

/** Where `range` lies inside `whole`, as a bar of `width` characters, to scale; a mark where it is less than half a character wide. */
export function drawPlace(range: Range, whole: Range, width: number, theme: Theme): string {
  const glyphs = theme.hasBlocks ? BLOCKS : ASCII;
  const inside = intersection(range, whole);
  if (inside === undefined) return '';
  const place = (address: bigint): number => (Number(address - whole.start) / Number(sizeOf(whole))) * width;
  const [from, to] = [place(inside.start), place(inside.end)];
  const [first, end] = [Math.round(from), Math.round(to)];
  const isSmall = first === end || to - from < 0.5;
  const before = isSmall ? Math.min(Math.floor(from), width - 1) : first;
  const own = isSmall ? glyphs.small : glyphs.dump.repeat(end - first);
  return `${theme.faint(glyphs.hole.repeat(before))}${theme.crashKernel(own)}${theme.faint(glyphs.hole.repeat(width - before - own.length))}`;
}

/** The memory from the first range to the last, cut at each hole that is larger than all of `ranges` together. */
function stretchesOf(ranges: RangeSet): Range[] {
  const size = totalSize(ranges);
  const stretches: Range[] = [];
  for (const { start, end } of ranges) {
    const last = stretches.at(-1);
    if (last === undefined || start - last.end > size) stretches.push({ start, end });
    else stretches[stretches.length - 1] = { start: last.start, end };
  }
  return stretches;
}

/** Each cell shows what most of its memory is; a crashkernel range that is smaller than a cell has one all the same. */
function cellsOf(whole: Range, count: number, dump: RangeSet, crashKernels: RangeSet, glyphs: typeof BLOCKS): string {
  const boundary = (index: number): bigint => whole.start + (sizeOf(whole) * BigInt(index)) / BigInt(count);
  let cells = '';
  for (let index = 0; index < count; index += 1) {
    const cell = { start: boundary(index), end: boundary(index + 1) };
    if (cell.end === cell.start) cells += cells.at(-1) ?? glyphs.dump;
    else cells += glyphs[kindOf(cell, dump, crashKernels)];
  }
  return cells;
}

function kindOf(cell: Range, dump: RangeSet, crashKernels: RangeSet): 'dump' | 'crashKernel' | 'hole' {
  const size = sizeOf(cell);
  const crashKernel = crashKernels[firstEndingAfter(crashKernels, cell.start)];
  if (crashKernel !== undefined && containsAddress(cell, crashKernel.start) && sizeOf(crashKernel) < size) return 'crashKernel';
  const reservedSize = coveredSize(crashKernels, cell);
  const dumpSize = coveredSize(dump, cell);
  const holeSize = size - reservedSize - dumpSize;
  if (reservedSize >= dumpSize && reservedSize >= holeSize) return 'crashKernel';
  return dumpSize >= holeSize ? 'dump' : 'hole';
}

function coveredSize(ranges: RangeSet, cell: Range): bigint {
  let size = 0n;
  for (let i = firstEndingAfter(ranges, cell.start); i < ranges.length; i += 1) {
    const shared = intersection(ranges[i] as Range, cell);
    if (shared === undefined) break;
    size += sizeOf(shared);
  }
  return size;
}

/** Addresses above the bar, each over its cell: first and last, then as many others as there is room for. */
function labels(parts: readonly Part[], ranges: readonly Range[]): string {
  const placed: { at: number; text: string }[] = [];
  const width = parts.reduce((sum, { cells }) => sum + cells.length, CUT.length * (parts.length - 1));
  const place = (address: bigint, cell: number, endsThere = false): void => {
    const text = label(address);
    const at = endsThere ? Math.max(0, cell - text.length) : cell;
    const isFree = placed.every((other) => at + text.length + 1 < other.at || at > other.at + other.text.length + 1);
    if (isFree && at + text.length <= width) placed.push({ at, text });
  };
  const cellOf = (address: bigint): number | undefined => {
    let before = 0;
    for (const { range, cells } of parts) {
      if (address >= range.start && address <= range.end)
        return before + Math.round((Number(address - range.start) / Number(sizeOf(range))) * cells.length);
      before += cells.length + CUT.length;
    }
    return undefined;
  };
  const first = parts[0] as Part;
  const last = parts.at(-1) as Part;
  place(first.range.start, 0);
  place(last.range.end, width, true);
  for (const { start, end } of ranges.slice(0, width)) {
    const [from, to] = [cellOf(start), cellOf(end)];
    if (from !== undefined) place(start, from);
    if (to !== undefined) place(end, to);
  }
  placed.sort((a, b) => a.at - b.at);
  return placed.reduce((line, { at, text }) => line.padEnd(at) + text, '');
}

/** An address in a unit that people read, which tells nearly where it is. */
function label(address: bigint): string {
  const text = formatSize(address);
  return address === 0n ? '0' : text.endsWith('bytes') ? hex(address) : text;
}
