import { describe, expect, test } from 'vitest';
import { byAddress, byStart, containsAddress, intersection, rangeInclusive, rangeOfSize, type Range } from '../../src/memory/range.js';
import { merged, subtract } from '../../src/memory/range-set.js';

const range = (start: number, end: number): Range => ({ start: BigInt(start), end: BigInt(end) });

test('an empty range is refused, and named with both ends', () => {
  expect(() => rangeOfSize(2n, 0n)).toThrow(/range is empty.*0x2 to 0x2/);
  expect(() => rangeInclusive(5n, 3n)).toThrow(/range is empty.*0x5 to 0x4/);
});

test('a range may end at 2^64 and not behind', () => {
  expect(rangeInclusive(2n ** 64n - 1n, 2n ** 64n - 1n).end).toBe(2n ** 64n);
  expect(() => rangeOfSize(2n ** 64n - 1n, 2n)).toThrow(/64-bit address space.*0xffffffffffffffff to 0x10000000000000001/);
});

test.each([
  [1, false],
  [2, true],
  [3, true],
  [4, false],
])('address %i is in 2 up to 4: %s', (address, is) => {
  expect(containsAddress(range(2, 4), BigInt(address))).toBe(is);
});

describe.each([
  [range(0, 4), range(2, 6), range(2, 4)],
  [range(0, 9), range(2, 6), range(2, 6)],
  [range(2, 6), range(2, 6), range(2, 6)],
  [range(0, 2), range(2, 6), undefined],
  [range(0, 1), range(2, 6), undefined],
] as const)('what two ranges share', (a, b, shared) => {
  test('is the same either way round', () => {
    expect(intersection(a, b)).toEqual(shared);
    expect(intersection(b, a)).toEqual(shared);
  });
});

test('order by start or address: less, more, or none where they are equal', () => {
  const numbers = [
    [1, 2, -1],
    [2, 1, 1],
    [2, 2, 0],
  ] as const;
  for (const [a, b, order] of numbers) {
    expect(byStart(range(a, 9), range(b, 9))).toBe(order);
    expect(byAddress({ address: BigInt(a) }, { address: BigInt(b) })).toBe(order);
  }
});

test('a hole that is as long as the range, or begins or ends with it, leaves nothing empty', () => {
  expect(subtract([range(2, 6)], merged([range(2, 6)]))).toEqual([]);
  expect(subtract([range(2, 6)], merged([range(2, 3)]))).toEqual([range(3, 6)]);
  expect(subtract([range(2, 6)], merged([range(5, 6)]))).toEqual([range(2, 5)]);
});
