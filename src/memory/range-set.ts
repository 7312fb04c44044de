import { firstWhere } from './first-where.js';
import { byStart, sameRange, sizeOf, type Range } from './range.js';

/** Disjoint ranges, ascending. Adjacent ones may stay apart: some architectures keep them so. */
export type RangeSet = readonly Range[];

/** The same addresses as `ranges`, ascending, with all that overlap or are adjacent joined. */
export function merged(ranges: readonly Range[]): RangeSet {
  const result: Range[] = [];
  for (const range of [...ranges].sort(byStart)) {
    const last = result.at(-1);
    if (last !== undefined && range.start <= last.end) {
      if (range.end > last.end) result[result.length - 1] = { start: last.start, end: range.end };
    } else result.push(range);
  }
  return result;
}

/** `ranges`, ascending, each once; those that differ stay apart even where they overlap. */
export function distinct(ranges: readonly Range[]): Range[] {
  const sorted = [...ranges].sort((a, b) => byStart(a, b) || (a.end < b.end ? -1 : a.end > b.end ? 1 : 0));
  return sorted.filter((range, index) => index === 0 || !sameRange(range, sorted[index - 1] as Range));
}

/** `ranges` without the addresses of `holes`; a range that a hole splits becomes two. Both may be in any order; the result keeps the order of `ranges`. */
export function subtract(ranges: readonly Range[], holes: readonly Range[]): Range[] {
  const gaps = merged(holes);
  const result: Range[] = [];
  for (const range of ranges) {
    let start = range.start;
    for (let i = firstEndingAfter(gaps, range.start); i < gaps.length; i += 1) {
      const gap = gaps[i] as Range;
      if (gap.start >= range.end) break;
      if (gap.start > start) result.push({ start, end: gap.start });
      start = gap.end;
    }
    if (start < range.end) result.push({ start, end: range.end });
  }
  return result;
}

/** The addresses that are in both, as {@link subtract} orders them. */
export function common(ranges: readonly Range[], others: readonly Range[]): Range[] {
  return subtract(ranges, subtract(ranges, others));
}

/** Index of the first of `ranges`, which are ascending and disjoint, that ends after `address`. */
export function firstEndingAfter(ranges: RangeSet, address: bigint): number {
  return firstWhere(0, ranges.length, (index) => (ranges[index] as Range).end > address);
}

export function totalSize(ranges: readonly Range[]): bigint {
  return ranges.reduce((sum, range) => sum + sizeOf(range), 0n);
}
