import { firstWhere } from './first-where.js';
import { byStart, containsAddress, overlaps, type Range } from './range.js';

/** Ranges that are kept elsewhere, ascending and disjoint, each made when it is looked at. */
export interface StoredRanges {
  readonly length: number;
  /** Whether one ends where the next one starts. */
  readonly hasAdjacent: boolean;
  at(index: number): Range;
}

/** Stored ranges from index `from` up to `to`. */
export interface Stretch {
  readonly from: number;
  readonly to: number;
}

export type RangePiece = Range | Stretch;

const NONE: StoredRanges = {
  length: 0,
  hasAdjacent: false,
  at() {
    throw new RangeError('no stored ranges');
  },
};

/**
 * Disjoint ranges that change, ascending. Each stays as it was added, also where it is adjacent to others, and keeps what else its object says.
 *
 * A machine has thousands of ranges, of which a change concerns one or two: those that are stored elsewhere are looked at where a change needs
 * it, and stay stretches of indexes otherwise.
 */
export class RangeList {
  private readonly stored: StoredRanges;
  private readonly list: RangePiece[];

  /** @param ranges an array in any order, of which the caller has made sure that none overlaps another; or stored ranges */
  constructor(ranges: readonly Range[] | StoredRanges) {
    if ('at' in ranges && !Array.isArray(ranges)) {
      this.stored = ranges as StoredRanges;
      this.list = ranges.length > 0 ? [{ from: 0, to: ranges.length }] : [];
    } else {
      this.stored = NONE;
      this.list = [...(ranges as readonly Range[])].sort(byStart);
    }
  }

  toArray(): Range[] {
    return rangesOfPieces(this.list, this.stored);
  }

  /** The list as stretches of the stored ranges and others. */
  pieces(): RangePiece[] {
    return [...this.list];
  }

  /** Any range that shares an address with `range`. */
  overlapping(range: Range): Range | undefined {
    const found = this.endingAfter(range.start);
    return found !== undefined && overlaps(found, range) ? found : undefined;
  }

  /**
   * Whether every address of `range` is in the list, in one range or in several adjacent ones.
   *
   * @param others count as well
   */
  covers(range: Range, others: readonly Range[] = []): boolean {
    for (let { start } = range; start < range.end;) {
      const listed = this.endingAfter(start);
      const found = listed !== undefined && listed.start <= start ? listed : others.find((other) => containsAddress(other, start));
      if (found === undefined) return false;
      start = found.end;
    }
    return true;
  }

  /** Adds `range`, which overlaps none in the list. */
  add(range: Range): void {
    this.list.splice(this.open(range.start), 0, range);
  }

  /** Takes out every address of `range`; a range that this splits becomes two. */
  remove(range: Range): void {
    const first = this.open(range.start);
    let count = 0;
    const rest: Range[] = [];
    for (let found = this.single(first); found !== undefined && found.start < range.end; found = this.single(first + count)) {
      if (found.start < range.start) rest.push({ ...found, end: range.start });
      if (found.end > range.end) rest.push({ ...found, start: range.end });
      count += 1;
    }
    this.list.splice(first, count, ...rest);
  }

  /** The first range that ends after `address`. */
  private endingAfter(address: bigint): Range | undefined {
    const piece = this.list[this.pieceEndingAfter(address)];
    if (piece === undefined || !isStretch(piece)) return piece;
    return this.stored.at(storedEndingAfter(this.stored, piece, address));
  }

  /**
   * Makes a piece of its own of the first range that ends after `address`, and of the one before it.
   *
   * @returns where the first is in the list; its length where there is none
   */
  private open(address: bigint): number {
    const at = this.pieceEndingAfter(address);
    const piece = this.list[at];
    if (piece === undefined || !isStretch(piece)) return at + this.separateLast(at - 1);
    const index = storedEndingAfter(this.stored, piece, address);
    const pieces: RangePiece[] = [];
    if (index - 1 > piece.from) pieces.push({ from: piece.from, to: index - 1 });
    if (index > piece.from) pieces.push(this.stored.at(index - 1));
    const own = pieces.length;
    pieces.push(this.stored.at(index));
    if (index + 1 < piece.to) pieces.push({ from: index + 1, to: piece.to });
    this.list.splice(at, 1, ...pieces);
    // The piece before a stretch is a range already: a stretch was split to get there.
    return at + own;
  }

  /** Makes a piece of its own of the last range of the piece at `at`. @returns how many pieces more there are */
  private separateLast(at: number): number {
    const piece = this.list[at];
    if (piece === undefined || !isStretch(piece)) return 0;
    const last = this.stored.at(piece.to - 1);
    const rest = piece.to - 1 > piece.from ? [{ from: piece.from, to: piece.to - 1 }] : [];
    this.list.splice(at, 1, ...rest, last);
    return rest.length;
  }

  /** The piece at `at` as a range; of a stretch its first range, which becomes a piece of its own. */
  private single(at: number): Range | undefined {
    const piece = this.list[at];
    if (piece === undefined || !isStretch(piece)) return piece;
    const first = this.stored.at(piece.from);
    this.list.splice(at, 1, first, ...(piece.from + 1 < piece.to ? [{ from: piece.from + 1, to: piece.to }] : []));
    return first;
  }

  private pieceEndingAfter(address: bigint): number {
    return firstWhere(0, this.list.length, (middle) => {
      const piece = this.list[middle] as RangePiece;
      return (isStretch(piece) ? this.stored.at(piece.to - 1) : piece).end > address;
    });
  }
}

export function isStretch(piece: RangePiece): piece is Stretch {
  return 'from' in piece;
}

/** Every range of `pieces`, one by one. */
export function rangesOfPieces(pieces: readonly RangePiece[], stored: StoredRanges): Range[] {
  return pieces.flatMap((piece) =>
    isStretch(piece) ? Array.from({ length: piece.to - piece.from }, (_, index) => stored.at(piece.from + index)) : [piece],
  );
}

/** Index of the first range of `stretch` that ends after `address`; `to` where there is none. */
export function storedEndingAfter(stored: StoredRanges, { from, to }: Stretch, address: bigint): number {
  return firstWhere(from, to, (index) => stored.at(index).end > address);
}
