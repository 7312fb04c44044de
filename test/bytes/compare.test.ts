import fc from 'fast-check';
import { expect, test } from 'vitest';
import { countDifferences, differences, firstNonZero } from '../../src/bytes/compare.js';

/** Two arrays of one length that differ in a few places, longer than the blocks that are compared at once. */
const pair = fc
  .tuple(fc.integer({ min: 0, max: 10_000 }), fc.array(fc.tuple(fc.nat(9_999), fc.integer({ min: 1, max: 255 })), { maxLength: 30 }))
  .map(([length, places]): [Uint8Array, Uint8Array] => {
    const after = new Uint8Array(length);
    for (const [at, byte] of places) if (at < length) after[at] = byte;
    return [new Uint8Array(length), after];
  });

function runs(before: Uint8Array, after: Uint8Array, gap: number): { start: number; end: number }[] {
  const found: { start: number; end: number }[] = [];
  after.forEach((byte, at) => {
    if (byte === before[at]) return;
    const last = found.at(-1);
    if (last !== undefined && at - last.end < gap) last.end = at + 1;
    else found.push({ start: at, end: at + 1 });
  });
  return found;
}

test('differences are the places of a comparison byte by byte', () => {
  fc.assert(
    fc.property(pair, fc.integer({ min: 1, max: 100 }), ([before, after], gap) => {
      const found = differences(before, after, gap);
      expect(found.map(({ offset, after: bytes }) => ({ start: offset, end: offset + bytes.length }))).toEqual(runs(before, after, gap));
      for (const { offset, ...bytes } of found) {
        expect(bytes.after).toEqual(after.subarray(offset, offset + bytes.after.length));
        expect(bytes.before).toEqual(before.subarray(offset, offset + bytes.after.length));
      }
      expect(countDifferences(before, after)).toBe(after.filter((byte, at) => byte !== before[at]).length);
    }),
  );
});

test('firstNonZero is the first byte that is not zero', () => {
  fc.assert(
    fc.property(pair, ([zeros, bytes]) => {
      expect(firstNonZero(zeros)).toBe(-1);
      expect(firstNonZero(bytes)).toBe(bytes.findIndex((byte) => byte !== 0));
    }),
  );
});
