import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RangeList, type StoredRanges } from '../../src/memory/range-list.js';
import { firstEndingAfter, merged, subtract, totalSize } from '../../src/memory/range-set.js';
import { ADDRESS_SPACE_END, formatRange, overlaps, rangeInclusive, rangeOfSize, type Range } from '../../src/memory/range.js';
import { thrown } from '../helpers/thrown.js';

// The model: a set of the addresses below 64, one by one.

const SPACE = 64;
const anyRange = fc
  .tuple(fc.integer({ min: 0, max: SPACE - 1 }), fc.integer({ min: 1, max: 16 }))
  .map(([start, size]): Range => ({ start: BigInt(start), end: BigInt(Math.min(SPACE, start + size)) }));
const anyRanges = fc.array(anyRange, { maxLength: 8 });

const addresses = (ranges: readonly Range[]): number[] =>
  [...new Set(ranges.flatMap(({ start, end }) => Array.from({ length: Number(end - start) }, (_, index) => Number(start) + index)))].sort(
    (a, b) => a - b,
  );

function expectAscendingAndDisjoint(ranges: readonly Range[], apart: boolean): void {
  ranges.forEach((range, index) => {
    expect(range.start < range.end).toBe(true);
    const next = ranges[index + 1];
    if (next !== undefined) expect(apart ? range.end < next.start : range.end <= next.start).toBe(true);
  });
}

describe('range-set', () => {
  test('merged: the same addresses, ascending, nothing touches', () => {
    fc.assert(
      fc.property(anyRanges, (ranges) => {
        expect(addresses(merged(ranges))).toEqual(addresses(ranges));
        expectAscendingAndDisjoint(merged(ranges), true);
      }),
    );
  });

  test('subtract: the addresses of one and not of the other, in the order of the first', () => {
    fc.assert(
      fc.property(anyRanges, anyRanges, (ranges, holes) => {
        const gone = addresses(holes);
        expect(addresses(subtract(ranges, holes))).toEqual(addresses(ranges).filter((address) => !gone.includes(address)));
        expect(subtract(ranges, holes)).toEqual(ranges.flatMap((range) => subtract([range], holes)));
      }),
    );
  });

  test('totalSize and firstEndingAfter', () => {
    fc.assert(
      fc.property(anyRanges, fc.integer({ min: 0, max: SPACE }), (ranges, address) => {
        const set = merged(ranges);
        expect(totalSize(set)).toBe(BigInt(addresses(ranges).length));
        expect(set.slice(firstEndingAfter(set, BigInt(address)))).toEqual(set.filter(({ end }) => end > BigInt(address)));
      }),
    );
  });
});

const stored = (ranges: readonly Range[], hasAdjacent = false): StoredRanges => ({
  length: ranges.length,
  hasAdjacent,
  at: (index) => ranges[index] as Range,
});

describe.each(['an array', 'stored ranges'])('RangeList, begun with %s', (begun) => {
  const list = (ranges: readonly Range[]): RangeList => new RangeList(begun === 'an array' ? merged(ranges) : stored(merged(ranges)));

  test('any sequence of adds and removals keeps the addresses of the model, ascending', () => {
    fc.assert(
      fc.property(anyRanges, fc.array(fc.tuple(fc.boolean(), anyRange)), (start, steps) => {
        const ranges = list(start);
        const model = new Set(addresses(start));
        for (const [adds, range] of steps) {
          const here = addresses([range]);
          expect(ranges.overlapping(range) !== undefined).toBe(here.some((address) => model.has(address)));
          expect(ranges.covers(range)).toBe(here.every((address) => model.has(address)));
          if (!adds) {
            ranges.remove(range);
            for (const address of here) model.delete(address);
          } else if (ranges.overlapping(range) === undefined) {
            ranges.add(range);
            for (const address of here) model.add(address);
          }
          expect(addresses(ranges.toArray())).toEqual([...model].sort((a, b) => a - b));
          expectAscendingAndDisjoint(ranges.toArray(), false);
        }
      }),
    );
  });

  test('removing what was just added gives the list before', () => {
    fc.assert(
      fc.property(anyRanges, anyRange, (start, range) => {
        const ranges = list(start);
        const before = ranges.toArray();
        fc.pre(ranges.overlapping(range) === undefined);
        ranges.add(range);
        ranges.remove(range);
        expect(ranges.toArray()).toEqual(before);
      }),
    );
  });

  test('the order of adds does not matter', () => {
    fc.assert(
      fc.property(anyRanges, fc.infiniteStream(fc.nat()), (start, order) => {
        const disjoint = merged(start);
        const shuffled = disjoint
          .map((range) => [order.next().value, range] as const)
          .sort(([a], [b]) => a - b)
          .map(([, range]) => range);
        const ranges = new RangeList([]);
        for (const range of shuffled) ranges.add(range);
        expect(ranges.toArray()).toEqual(disjoint);
      }),
    );
  });
});

describe('RangeList and ranges that touch', () => {
  const [a, b, c] = [
    { start: 0n, end: 4n },
    { start: 4n, end: 8n },
    { start: 8n, end: 12n },
  ] as const;

  test.each([
    ['an array', [c, a]],
    ['stored ranges', stored([a, c])],
  ])('stay apart, begun with %s', (_, start) => {
    const ranges = new RangeList(start);
    ranges.add(b);
    expect(ranges.toArray()).toEqual([a, b, c]);
  });

  test('what else a range says is kept by what is left of it', () => {
    const ranges = new RangeList([]);
    ranges.add({ start: 0n, end: 12n, node: 3 } as Range);
    ranges.remove(b);
    expect(ranges.toArray()).toEqual([
      { ...a, node: 3 },
      { ...c, node: 3 },
    ]);
  });
});

describe('range', () => {
  test('ends at 2^64 and not behind it', () => {
    expect(rangeOfSize(ADDRESS_SPACE_END - 1n, 1n).end).toBe(ADDRESS_SPACE_END);
    expect(rangeInclusive(0n, ADDRESS_SPACE_END - 1n).end).toBe(ADDRESS_SPACE_END);
    expect(thrown(() => rangeOfSize(ADDRESS_SPACE_END - 1n, 2n)).kind).toBe('input');
    expect(thrown(() => rangeOfSize(5n, 0n)).problem).toBe('range is empty');
    expect(thrown(() => rangeInclusive(5n, 4n)).problem).toBe('range is empty');
    expect(thrown(() => rangeOfSize(-1n, 2n)).kind).toBe('input');
  });

  test('touching is not overlapping; formatRange has the last address in it', () => {
    expect(overlaps({ start: 0n, end: 4n }, { start: 4n, end: 8n })).toBe(false);
    expect(overlaps({ start: 0n, end: 5n }, { start: 4n, end: 8n })).toBe(true);
    expect(formatRange({ start: 0x1000n, end: 0x2000n })).toBe('0x1000-0x1fff');
  });
});
