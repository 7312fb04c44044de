import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Range } from '../../../src/memory/range.js';
import { placeOf, ratio, roundAddresses, scaleFor } from '../../../src/report/map/scale.js';

const GIB = 1n << 30n;
const TIB = 1n << 40n;

const range = (start: bigint, end: bigint): Range => ({ start, end });

test('without long holes, places are proportional to addresses', () => {
  const scale = scaleFor([range(0n, 4n * GIB), range(5n * GIB, 8n * GIB)]);
  expect(scale.pieces).toEqual([{ range: range(0n, 8n * GIB), from: 0, to: 100, isCut: false }]);
  expect([0n, 2n * GIB, 5n * GIB, 8n * GIB].map((address) => placeOf(scale, address))).toEqual([0, 25, 62.5, 100]);
  expect(scale.bytesPerPercent).toBe(Number(8n * GIB) / 100);
});

test('a hole of terabytes is cut short, and both sides keep one scale', () => {
  const scale = scaleFor([range(0n, GIB), range(8n * TIB, 8n * TIB + 3n * GIB)]);
  expect(scale.pieces.map(({ isCut }) => isCut)).toEqual([false, true, false]);
  const [low, cut, high] = scale.pieces.map(({ from, to }) => to - from);
  expect(cut).toBe(3);
  expect(high).toBeCloseTo(3 * (low ?? 0), 9);
});

test('the highest addresses are exact', () => {
  const top = (1n << 64n) - 0x1000n;
  const scale = scaleFor([range(top, 1n << 64n)]);
  expect(placeOf(scale, top + 0x800n)).toBe(50);
  expect(roundAddresses(scale, 8)).toContain(top + 0x800n);
});

test('what is outside lies at the ends', () => {
  const scale = scaleFor([range(GIB, 2n * GIB)]);
  expect([placeOf(scale, 0n), placeOf(scale, TIB)]).toEqual([0, 100]);
});

test('round addresses are none of a cut hole', () => {
  const scale = scaleFor([range(0n, GIB), range(8n * TIB, 8n * TIB + GIB)]);
  const addresses = roundAddresses(scale, 8);
  expect(addresses.every((address) => address < GIB || address >= 8n * TIB)).toBe(true);
  expect(addresses.length).toBeGreaterThan(4);
  expect(addresses.length).toBeLessThan(20);
});

test('a ratio of numbers far above 2^53 is exact enough', () => {
  expect(ratio((1n << 63n) + 1n, 1n << 64n)).toBe(0.5);
});

describe('any ranges', () => {
  const anyRanges = fc.array(
    fc
      .tuple(fc.bigInt(0n, (1n << 64n) - 2n), fc.bigInt(1n, 1n << 50n))
      .map(([start, size]) => range(start, start + size > 1n << 64n ? 1n << 64n : start + size)),
    { minLength: 1, maxLength: 40 },
  );

  test('pieces follow one another from 0 to 100', () => {
    fc.assert(
      fc.property(anyRanges, (ranges) => {
        const { pieces } = scaleFor(ranges);
        expect(pieces[0]?.from).toBe(0);
        expect(pieces.at(-1)?.to).toBe(100);
        pieces.forEach((piece, index) => {
          const next = pieces[index + 1];
          expect(piece.to).toBeGreaterThanOrEqual(piece.from);
          if (next !== undefined) expect([next.from, next.range.start]).toEqual([piece.to, piece.range.end]);
        });
      }),
    );
  });

  test('a higher address never lies further left', () => {
    fc.assert(
      fc.property(anyRanges, fc.bigInt(0n, 1n << 64n), fc.bigInt(0n, 1n << 64n), (ranges, one, other) => {
        const scale = scaleFor(ranges);
        const [low, high] = one < other ? [one, other] : [other, one];
        expect(placeOf(scale, high)).toBeGreaterThanOrEqual(placeOf(scale, low));
      }),
    );
  });
});
