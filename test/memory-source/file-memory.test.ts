import { describe, expect, test } from 'vitest';
import type { Extent } from '../../src/memory-source/file-memory.js';
import { rangeOfSize } from '../../src/memory/range.js';
import { memoryOf } from '../helpers/memory-of.js';
import { thrown } from '../helpers/thrown.js';

const FILE = Uint8Array.from({ length: 100 }, (_, index) => index);
const extent = (address: bigint, size: bigint, fileOffset: number, fileSize = size): Extent => ({
  address,
  size,
  fileOffset: BigInt(fileOffset),
  fileSize,
});

// 0x1000: 20 bytes, of which the file has 10. 0x1014: the next 10, from elsewhere. 0x2000: 10 more.
const memory = memoryOf(FILE, [extent(0x2000n, 10n, 0), extent(0x1000n, 20n, 50, 10n), extent(0x1014n, 10n, 30)]);

describe('physical memory', () => {
  test('is read across pieces that touch, zero where the file has none', () => {
    expect([...memory.read(0x1008n, 16)]).toEqual([58, 59, ...Array<number>(10).fill(0), 30, 31, 32, 33]);
    expect([...memory.read(0x2003n, 2)]).toEqual([3, 4]);
    expect(memory.read(0x9000n, 0)).toEqual(new Uint8Array());
  });

  test('is held from the first address of a piece to the last', () => {
    expect(memory.holds(rangeOfSize(0x1000n, 30n))).toBe(true);
    expect(memory.holds(rangeOfSize(0x1000n, 31n))).toBe(false);
    expect(memory.holds(rangeOfSize(0xfffn, 2n))).toBe(false);
    expect(memory.holds(rangeOfSize(0x2009n, 1n))).toBe(true);
  });

  test('that is not held is an error, which lists what is', () => {
    expect(thrown(() => memory.read(0x1010n, 20))).toMatchObject({
      kind: 'input',
      problem: 'the file does not hold this physical memory',
      details: { file: 'memory', found: '0x1010-0x1023', expected: 'addresses inside 0x1000-0x1013, 0x1014-0x101d, 0x2000-0x2009' },
    });
    const many = memoryOf(
      FILE,
      Array.from({ length: 5 }, (_, index) => extent(BigInt(0x1000 * (index + 1)), 1n, index)),
    );
    expect(thrown(() => many.read(0n, 1)).details.expected).toBe(
      'addresses inside 0x1000-0x1000, 0x2000-0x2000, 0x3000-0x3000, 0x4000-0x4000, …',
    );
  });

  test('has a place in the file where all of it is stored in one piece', () => {
    expect(memory.fileOffset(0x1002n, 8)).toBe(52);
    expect(memory.fileOffset(0x2009n, 1)).toBe(9);
    for (const [address, length] of [
      [0x1002n, 9],
      [0x1012n, 4],
    ] as const) {
      expect(thrown(() => memory.fileOffset(address, length))).toMatchObject({
        kind: 'input',
        problem: `the file does not store the ${length} bytes at physical address 0x${address.toString(16)} in one place`,
      });
    }
    expect([memory.placeOf(0x1002n), memory.placeOf(0x3000n)]).toEqual([52n, null]);
  });

  test('comes in chunks of 1 MiB', () => {
    const large = memoryOf(new Uint8Array((2 << 20) + 5).fill(7));
    const sizes = [...large.chunks({ start: 1n, end: BigInt((2 << 20) + 5) })].map(({ address, bytes }) => [Number(address), bytes.length]);
    expect(sizes).toEqual([
      [1, 1 << 20],
      [1 + (1 << 20), 1 << 20],
      [1 + (2 << 20), 4],
    ]);
  });
});

describe('pieces that cannot be', () => {
  test('two of the same memory', () => {
    expect(thrown(() => memoryOf(FILE, [extent(0x1000n, 10n, 0), extent(0x1009n, 10n, 20)]))).toMatchObject({
      kind: 'input',
      problem: 'two pieces of the file claim the same physical memory',
      details: { file: 'memory', found: '0x1009-0x1012' },
    });
  });

  test.each([
    ['more in the file than in memory', extent(0x1000n, 10n, 0, 11n)],
    ['behind the end of the file', extent(0x1000n, 10n, 91)],
  ])('%s', (_, piece) => {
    expect(thrown(() => memoryOf(FILE, [piece]))).toMatchObject({
      kind: 'input',
      problem: 'memory at 0x1000 lies outside the file',
      details: { file: 'memory', found: `${piece.fileSize} bytes in a file of 100` },
    });
  });
});
