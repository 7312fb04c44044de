import { describe, expect, test } from 'vitest';
import { formatRange, rangeOfSize, type Range } from '../../src/memory/range.js';
import { rangesOfPieces, type RangePiece, type StoredRanges } from '../../src/memory/range-list.js';
import { firstOverlapping, withFirmware } from '../../src/plan/firmware.js';

/** Ranges of 16 bytes at 0x100, 0x200 and so on, kept elsewhere. */
function storedRanges(length: number): StoredRanges {
  return { length, hasAdjacent: false, at: (index) => rangeOfSize(0x100n * BigInt(index + 1), 0x10n) };
}

const stored = storedRanges(3);
const whole: RangePiece[] = [{ from: 0, to: 3 }];
const at = (start: bigint, end: bigint): Range => ({ start, end });
const shown = (pieces: readonly RangePiece[]): string => rangesOfPieces(pieces, stored).map(formatRange).join(' ');
const with_ = (stated: Range[], listed: Range[] = [], pieces: readonly RangePiece[] = whole): string =>
  shown(withFirmware(pieces, stored, stated, listed));

const FIRST = '0x100-0x10f';
const SECOND = '0x200-0x20f';
const THIRD = '0x300-0x30f';

describe('withFirmware', () => {
  test('none: the pieces stay as they are', () => {
    expect(withFirmware(whole, stored, [], [])).toEqual(whole);
  });

  test.each([
    ['in front of all', at(0x50n, 0x60n), `0x50-0x5f ${FIRST} ${SECOND} ${THIRD}`],
    ['between two', at(0x150n, 0x160n), `${FIRST} 0x150-0x15f ${SECOND} ${THIRD}`],
    ['behind all', at(0x350n, 0x360n), `${FIRST} ${SECOND} ${THIRD} 0x350-0x35f`],
    ['that touches a range on both sides, and stays apart', at(0x110n, 0x200n), `${FIRST} 0x110-0x1ff ${SECOND} ${THIRD}`],
  ])('%s: it is put there', (_, range, result) => {
    expect(with_([range])).toBe(result);
  });

  test.each([
    ['the first', at(0xf0n, 0x101n), `0xf0-0x10f ${SECOND} ${THIRD}`],
    ['the one in the middle', at(0x20fn, 0x280n), `${FIRST} 0x200-0x27f ${THIRD}`],
    ['the last', at(0x2f0n, 0x320n), `${FIRST} ${SECOND} 0x2f0-0x31f`],
    ['one that holds it', at(0x204n, 0x208n), `${FIRST} ${SECOND} ${THIRD}`],
  ])('that shares an address with %s: that one grows', (_, range, result) => {
    expect(with_([range])).toBe(result);
  });

  test('where two overlap it, only the first grows, as in the kernel', () => {
    expect(with_([at(0x108n, 0x208n)])).toBe(`0x100-0x207 ${SECOND} ${THIRD}`);
  });

  test('two that overlap each other become one, two that do not stay two, ascending', () => {
    expect(with_([at(0x150n, 0x160n), at(0x158n, 0x170n)])).toBe(`${FIRST} 0x150-0x16f ${SECOND} ${THIRD}`);
    expect(with_([at(0x350n, 0x360n), at(0x150n, 0x160n)])).toBe(`${FIRST} 0x150-0x15f ${SECOND} ${THIRD} 0x350-0x35f`);
  });

  test('among single ranges, where changes left them', () => {
    const pieces: RangePiece[] = [{ from: 0, to: 1 }, at(0x180n, 0x190n), { from: 2, to: 3 }];
    expect(with_([at(0x150n, 0x160n)], [], pieces)).toBe(`${FIRST} 0x150-0x15f 0x180-0x18f ${THIRD}`);
    expect(with_([at(0x188n, 0x1a0n)], [], pieces)).toBe(`${FIRST} 0x180-0x19f ${THIRD}`);
    expect(with_([at(0x1a0n, 0x1b0n)], [], pieces)).toBe(`${FIRST} 0x180-0x18f 0x1a0-0x1af ${THIRD}`);
    expect(with_([at(0x50n, 0x60n)], [], [at(0x180n, 0x190n)])).toBe('0x50-0x5f 0x180-0x18f');
  });

  test('what is listed stays where the FDT does not describe it', () => {
    expect(with_([at(0x150n, 0x160n)], [at(0x158n, 0x170n), at(0x250n, 0x260n)])).toBe(
      `${FIRST} 0x150-0x15f ${SECOND} 0x250-0x25f ${THIRD}`,
    );
  });
});

describe('firstOverlapping', () => {
  const pieces: RangePiece[] = [{ from: 0, to: 2 }, at(0x280n, 0x290n), { from: 2, to: 3 }];
  test.each([
    ['inside a stretch', at(0x208n, 0x300n), at(0x200n, 0x210n)],
    ['a single range', at(0x28fn, 0x308n), at(0x280n, 0x290n)],
    ['a later stretch', at(0x2f0n, 0x301n), at(0x300n, 0x310n)],
    ['a gap', at(0x210n, 0x280n), undefined],
    ['behind all', at(0x310n, 0x400n), undefined],
  ])('%s', (_, range, found) => {
    expect(firstOverlapping(pieces, stored, range)).toEqual(found);
  });
});
