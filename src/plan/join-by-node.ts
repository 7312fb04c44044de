import { firstWhere } from '../memory/first-where.js';
import type { NodeRange } from '../memory/node-ranges.js';
import { isStretch, rangesOfPieces, storedEndingAfter, type RangePiece, type StoredRanges } from '../memory/range-list.js';
import type { Range } from '../memory/range.js';

/** Memory that a plan adds to what is listed. */
export interface AddedRange extends Range {
  readonly isAdded: true;
  /** The NUMA node it was given with. */
  readonly node: number | undefined;
}

/** What is known of the NUMA nodes of memory. */
export interface KnownNodes {
  /** Ascending and disjoint, neighbours of one node joined. */
  readonly ranges: readonly NodeRange[];
  /** The node of all memory that is not in `ranges`, where there is one node only. */
  readonly only: number | undefined;
}

export interface JoinedRanges {
  readonly pieces: readonly RangePiece[];
  /** Ranges with a place in them where it is not known whether the adjacent parts are of one node. */
  readonly assumed: readonly { readonly range: Range; readonly at: bigint }[];
}

/** Memory of one node, as far as that is known. */
interface Part extends Range {
  readonly node: number | undefined;
  readonly isAdded: boolean;
  /** A node that it is not of: it was listed apart from adjacent memory of that node. */
  readonly otherThan: number | undefined;
}

/**
 * `pieces` as memblock keeps them: what is adjacent is one range where it is of one NUMA node, and apart where it is not (memblock_merge_regions in
 * mm/memblock.c).
 *
 * Of memory whose node is not known: what was listed apart stays so, and what is added becomes one with what it is adjacent to.
 *
 * @param pieces ascending; added ranges are {@link AddedRange}s
 */
export function joinedByNode(pieces: readonly RangePiece[], stored: StoredRanges, nodes: KnownNodes): JoinedRanges {
  const result: RangePiece[] = [];
  const assumed: { range: Range; at: bigint }[] = [];
  let last: (Part & { assumedAt: bigint | undefined }) | undefined;
  const finish = (): void => {
    if (last === undefined) return;
    const range = { start: last.start, end: last.end };
    result.push(range);
    if (last.assumedAt !== undefined) assumed.push({ range, at: last.assumedAt });
    last = undefined;
  };
  // Where no two stored ranges are adjacent, nothing is adjacent to what is still in a stretch.
  for (const piece of stored.hasAdjacent || hasSplit(stored, nodes) ? rangesOfPieces(pieces, stored) : pieces) {
    if (isStretch(piece)) {
      finish();
      result.push(piece);
      continue;
    }
    for (const part of partsOf(piece, nodes)) {
      if (last?.end === part.start && isOneWith(last, part)) {
        const isAssumed = last.node === undefined || part.node === undefined;
        last = {
          start: last.start,
          end: part.end,
          node: last.node ?? part.node,
          isAdded: part.isAdded,
          otherThan: last.otherThan ?? part.otherThan,
          assumedAt: last.assumedAt ?? (isAssumed ? part.start : undefined),
        };
        continue;
      }
      const listedApartFrom: number | undefined = last?.end === part.start && !last.isAdded && !part.isAdded ? last.node : undefined;
      finish();
      last = { ...part, otherThan: part.node === undefined ? listedApartFrom : undefined, assumedAt: undefined };
    }
  }
  finish();
  return { pieces: result, assumed };
}

function isOneWith(last: Part, part: Part): boolean {
  if (last.node !== undefined && part.node !== undefined) return last.node === part.node;
  if (last.otherThan !== undefined && last.otherThan === part.node) return false;
  return last.isAdded || part.isAdded;
}

/** A range in parts of one node each. What was listed as one is of one node, but for what is known to be of another. */
function partsOf(range: Range | AddedRange, { ranges, only }: KnownNodes): Part[] {
  const isAdded = 'isAdded' in range;
  const parts: Part[] = [];
  const add = (start: bigint, end: bigint, node: number | undefined): void => {
    if (start < end) parts.push({ start, end, node, isAdded, otherThan: undefined });
  };
  if (isAdded && range.node !== undefined) {
    add(range.start, range.end, range.node);
    return parts;
  }
  let { start } = range;
  for (let at = firstEndingAfter(ranges, start); at < ranges.length; at += 1) {
    const known = ranges[at] as NodeRange;
    if (known.range.start >= range.end) break;
    const from = known.range.start > start ? known.range.start : start;
    add(start, from, only);
    start = known.range.end < range.end ? known.range.end : range.end;
    add(from, start, known.node);
  }
  add(start, range.end, only);
  if (isAdded) return parts;
  const first = parts.find(({ node }) => node !== undefined)?.node;
  let before = first;
  return parts.map((part) => ({ ...part, node: (before = part.node ?? before) }));
}

/** Whether a stored range has memory of several nodes in it, as kexec-tools lists adjacent LMBs. */
function hasSplit(stored: StoredRanges, { ranges }: KnownNodes): boolean {
  const all = { from: 0, to: stored.length };
  return ranges.some(({ range, node }, at) => {
    const next = ranges[at + 1];
    if (next === undefined || next.node === node) return false;
    const index = storedEndingAfter(stored, all, range.end - 1n);
    return index < stored.length && stored.at(index).start < range.end && next.range.start < stored.at(index).end;
  });
}

function firstEndingAfter(ranges: readonly NodeRange[], address: bigint): number {
  return firstWhere(0, ranges.length, (at) => (ranges[at] as NodeRange).range.end > address);
}
