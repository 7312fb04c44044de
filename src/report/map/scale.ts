import { byStart, sizeOf, type Range } from '../../memory/range.js';
import { merged, totalSize } from '../../memory/range-set.js';

/** A stretch of the axis: memory to scale, or a long hole that is cut short. */
export interface ScalePiece {
  readonly range: Range;
  /** Places on the axis, in percent of its length. */
  readonly from: number;
  readonly to: number;
  readonly isCut: boolean;
}

/**
 * Where addresses lie on the axis of a map, from 0 to 100. Everything has the same scale but for long holes: a machine may have its memory in
 * pieces that are terabytes apart, and none of it could be seen beside them.
 */
export interface Scale {
  readonly range: Range;
  readonly pieces: readonly ScalePiece[];
  /** Bytes of one percent, where it is to scale. */
  readonly bytesPerPercent: number;
}

/** A hole is cut where it is longer than this percentage of all that is drawn. */
const LONGEST_HOLE = 40n;
/** Percent that a cut hole gets, and that all of them together get at most. */
const CUT_WIDTH = 3;
const MOST_CUT = 40;

/** The axis for `ranges`, at least one, which are all that is to be drawn on it. */
export function scaleFor(ranges: readonly Range[]): Scale {
  const drawn = merged(ranges);
  const [first, last] = [drawn[0], drawn.at(-1)];
  if (first === undefined || last === undefined) throw new RangeError('nothing to draw');
  const range = { start: first.start, end: last.end };
  const longest = (totalSize(drawn) * LONGEST_HOLE) / 100n;
  const stretches: (Range & { isCut: boolean })[] = [];
  drawn.forEach((each, index) => {
    const before = drawn[index - 1];
    const open = stretches.at(-1);
    if (before !== undefined && open !== undefined && each.start - before.end <= longest) {
      stretches[stretches.length - 1] = { start: open.start, end: each.end, isCut: false };
      return;
    }
    if (before !== undefined) stretches.push({ start: before.end, end: each.start, isCut: true });
    stretches.push({ ...each, isCut: false });
  });
  const cuts = stretches.filter(({ isCut }) => isCut).length;
  const cutWidth = cuts === 0 ? 0 : Math.min(CUT_WIDTH, MOST_CUT / cuts);
  const toScale = totalSize(stretches.filter(({ isCut }) => !isCut));
  const forScale = 100 - cuts * cutWidth;
  let from = 0;
  const pieces = stretches.map(({ isCut, start, end }, index): ScalePiece => {
    const to = index === stretches.length - 1 ? 100 : from + (isCut ? cutWidth : forScale * ratio(end - start, toScale));
    const piece = { range: { start, end }, from, to, isCut };
    from = to;
    return piece;
  });
  return { range, pieces, bytesPerPercent: Number(toScale) / forScale };
}

/** Where `address` lies on the axis, in percent; what is outside lies at its end. */
export function placeOf({ pieces, range }: Scale, address: bigint): number {
  if (address <= range.start) return 0;
  if (address >= range.end) return 100;
  let low = 0;
  let high = pieces.length - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((pieces[middle] as ScalePiece).range.end >= address) high = middle;
    else low = middle + 1;
  }
  const piece = pieces[low] as ScalePiece;
  return piece.from + (piece.to - piece.from) * ratio(address - piece.range.start, sizeOf(piece.range));
}

/** Round addresses for the axis, about `wanted` of them, none inside a cut hole. */
export function roundAddresses(scale: Scale, wanted: number): bigint[] {
  const step = powerOfTwoNear((scale.bytesPerPercent * 100) / wanted);
  return scale.pieces.flatMap(({ range, isCut }) => {
    if (isCut) return [];
    const addresses: bigint[] = [];
    for (let address = ((range.start + step - 1n) / step) * step; address < range.end; address += step) addresses.push(address);
    return addresses;
  });
}

export function sortedByStart<T extends { readonly range: Range }>(items: readonly T[]): T[] {
  return [...items].sort((a, b) => byStart(a.range, b.range));
}

/** The quotient to about 15 digits, although both may be far above 2^53. */
export function ratio(part: bigint, whole: bigint): number {
  return Number((part * 1_000_000_000_000n) / whole) / 1e12;
}

function powerOfTwoNear(value: number): bigint {
  return 1n << BigInt(Math.max(0, Math.round(Math.log2(Math.max(1, value)))));
}
