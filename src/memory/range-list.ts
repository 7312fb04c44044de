import { firstEndingAfter } from './range-set.js';
import { byStart, contains, overlaps, type Range } from './range.js';

/**
 * Disjoint ranges that change, ascending. With `mergesAdjacent`, ranges that touch become one, as memblock keeps them; without, each stays as
 * it was added, as the resource tree keeps them.
 */
export class RangeList {
  private readonly ranges: Range[];
  private readonly mergesAdjacent: boolean;

  /**
   * Neighbours among `ranges` that touch stay apart, and then added ones do too: memblock keeps the memory of different nodes apart.
   *
   * @param ranges in any order; the caller has made sure that none overlaps another
   */
  constructor(ranges: readonly Range[], mergesAdjacent: boolean) {
    this.ranges = [...ranges].sort(byStart);
    this.mergesAdjacent = mergesAdjacent && !this.ranges.some((range, index) => range.end === this.ranges[index + 1]?.start);
  }

  toArray(): Range[] {
    return [...this.ranges];
  }

  /** Any range that shares an address with `range`. */
  overlapping(range: Range): Range | undefined {
    const found = this.ranges[firstEndingAfter(this.ranges, range.start)];
    return found !== undefined && overlaps(found, range) ? found : undefined;
  }

  /** Whether every address of `range` is in the list, in one range or in several that touch. */
  covers(range: Range): boolean {
    let { start } = range;
    for (let i = firstEndingAfter(this.ranges, start); start < range.end; i += 1) {
      const found = this.ranges[i];
      if (found === undefined || found.start > start) return false;
      start = found.end;
    }
    return true;
  }

  /** Adds `range`, which overlaps none in the list. */
  add(range: Range): void {
    const at = firstEndingAfter(this.ranges, range.start);
    const before = this.ranges[at - 1];
    const after = this.ranges[at];
    const joinsBefore = this.mergesAdjacent && before?.end === range.start;
    const joinsAfter = this.mergesAdjacent && after?.start === range.end;
    const joined = { start: joinsBefore ? before.start : range.start, end: joinsAfter ? after.end : range.end };
    this.ranges.splice(joinsBefore ? at - 1 : at, Number(joinsBefore) + Number(joinsAfter), joined);
  }

  /** Takes out every address of `range`; a range that this splits becomes two. */
  remove(range: Range): void {
    const first = firstEndingAfter(this.ranges, range.start);
    let count = 0;
    const rest: Range[] = [];
    for (let found = this.ranges[first]; found !== undefined && found.start < range.end; found = this.ranges[first + count]) {
      if (found.start < range.start) rest.push({ start: found.start, end: range.start });
      if (found.end > range.end) rest.push({ start: range.end, end: found.end });
      count += 1;
    }
    this.ranges.splice(first, count, ...rest);
  }

  /** The range that holds all of `range`, if a single one does. */
  holding(range: Range): Range | undefined {
    const found = this.ranges[firstEndingAfter(this.ranges, range.start)];
    return found !== undefined && contains(found, range) ? found : undefined;
  }
}
