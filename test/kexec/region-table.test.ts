import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { REGION_TABLE_SIZE, findRegionTable, findRegionTableByShape } from '../../src/kexec/region-table.js';
import { rangeOfSize, type Range } from '../../src/memory/range.js';
import { thrown } from '../helpers/thrown.js';

const AT = 0x22a20000n;
const SEGMENTS = [rangeOfSize(0x20000000n, 0x2990000n), rangeOfSize(0x22990000n, 0x10000n), rangeOfSize(0x22a30000n, 0x130000n)] as const;
const CRASH_KERNEL = rangeOfSize(0x20000000n, 0x20000000n);
const ORDERS = ['lsb', 'msb'] as const;

/** A purgatory of `size` bytes, each `fill`, with a table of `regions` at `offset`. */
function purgatory(regions: readonly Range[], offset: number, order: (typeof ORDERS)[number], fill = 0, size = 0x4000): Uint8Array {
  const bytes = new Uint8Array(size).fill(fill);
  bytes.fill(0, offset, offset + REGION_TABLE_SIZE);
  const view = new DataView(bytes.buffer);
  regions.forEach(({ start, end }, index) => {
    view.setBigUint64(offset + 16 * index, start, order === 'lsb');
    view.setBigUint64(offset + 16 * index + 8, end - start, order === 'lsb');
  });
  return bytes;
}

describe.each(ORDERS)('%s', (order) => {
  const find = (bytes: Uint8Array): ReturnType<typeof findRegionTable> => findRegionTable(bytes, AT, SEGMENTS, order);

  test('golden bytes: one entry, then 15 that are zero', () => {
    const bytes = purgatory([SEGMENTS[1]], 0, order);
    // prettier-ignore
    const [little, big] = [[
      0x00, 0x00, 0x99, 0x22,  0x00, 0x00, 0x00, 0x00, // 0x00 start 0x22990000
      0x00, 0x00, 0x01, 0x00,  0x00, 0x00, 0x00, 0x00, // 0x08 length 0x10000
    ], [
      0x00, 0x00, 0x00, 0x00,  0x22, 0x99, 0x00, 0x00, // 0x00 start
      0x00, 0x00, 0x00, 0x00,  0x00, 0x01, 0x00, 0x00, // 0x08 length
    ]];
    expect([...bytes.subarray(0, 16)]).toEqual(order === 'lsb' ? little : big);
    expect(find(bytes)).toEqual({ address: AT, regions: [SEGMENTS[1]] });
    expect(findRegionTable(bytes, AT, SEGMENTS, order === 'lsb' ? 'msb' : 'lsb')).toBeUndefined();
  });

  test('is found at any multiple of 8, in any order of entries, up to the last byte', () => {
    const anyRegions = fc.shuffledSubarray([...SEGMENTS], { minLength: 1 });
    fc.assert(
      fc.property(anyRegions, fc.nat({ max: (0x4000 - REGION_TABLE_SIZE) / 8 }), fc.nat({ max: 255 }), (regions, eighth, fill) => {
        expect(find(purgatory(regions, 8 * eighth, order, fill))).toEqual({ address: AT + BigInt(8 * eighth), regions });
      }),
    );
  });

  test.each([
    ['an entry that is no segment', [SEGMENTS[0], rangeOfSize(0x30000000n, 0x1000n)]],
    ['an entry that is a segment in part', [SEGMENTS[0], rangeOfSize(0x22990000n, 0x8000n)]],
    ['no entry', []],
  ])('is not: %s', (_, regions) => {
    expect(find(purgatory(regions, 0x3710, order))).toBeUndefined();
  });

  test('is not: an entry behind the end', () => {
    const bytes = purgatory([SEGMENTS[0]], 0x3710, order);
    bytes[0x3710 + REGION_TABLE_SIZE - 1] = 1;
    expect(find(bytes)).toBeUndefined();
  });

  test('is not: a table that the bytes cut off', () => {
    expect(find(purgatory([SEGMENTS[0]], 0x3710, order).subarray(0, 0x3710 + REGION_TABLE_SIZE - 1))).toBeUndefined();
  });

  // the search goes on inside a table that it has just rejected, and takes the rest of it for a table. The digest then seems to cover
  // less than it does, and a change that the purgatory will reject is written as if the digest were unaffected.
  test('is not: the rest of a table whose first entry is no segment', () => {
    expect(find(purgatory([rangeOfSize(0x30000000n, 0x1000n), SEGMENTS[0], SEGMENTS[1]], 0x3710, order))).toBeUndefined();
  });

  test('is not: the rest of a table whose entries overlap, by its shape', () => {
    const bytes = purgatory([SEGMENTS[0], rangeOfSize(0x20001000n, 0x1000n)], 0x3710, order);
    expect(findRegionTableByShape(bytes, AT, CRASH_KERNEL, [], order)).toBeUndefined();
  });

  test('16 entries, none left to end it', () => {
    const sixteen = Array.from({ length: 16 }, (_, index) => rangeOfSize(0x20000000n + BigInt(index) * 0x2000n, 0x1000n));
    expect(findRegionTable(purgatory(sixteen, 8, order), AT, sixteen, order)?.regions).toEqual(sixteen);
  });

  describe('by its shape', () => {
    const findByShape = (bytes: Uint8Array, required: readonly Range[] = []): Range[] | undefined => {
      const expected = required.map((range) => ({ range, alwaysCovered: true }));
      const regions = findRegionTableByShape(bytes, AT, CRASH_KERNEL, expected, order)?.regions;
      return regions === undefined ? undefined : [...regions];
    };

    test('whole pages in the crashkernel range that do not overlap', () => {
      expect(findByShape(purgatory(SEGMENTS, 0x3710, order), [SEGMENTS[1]])).toEqual([...SEGMENTS]);
    });

    test.each([
      ['outside of the crashkernel range', [rangeOfSize(0x50000000n, 0x1000n)], []],
      ['across its end', [rangeOfSize(0x3ffff000n, 0x2000n)], []],
      ['parts of pages', [rangeOfSize(0x20000000n, 0x1800n)], []],
      ['over the table itself', [rangeOfSize(AT, 0x10000n)], []],
      ['without one that is always covered', [SEGMENTS[0]], [SEGMENTS[1]]],
      ['with one that is always covered in part only', [rangeOfSize(0x22990000n, 0x8000n)], [SEGMENTS[1]]],
    ])('not: %s', (_, regions, required) => {
      expect(findByShape(purgatory(regions, 0x3710, order), required)).toBeUndefined();
    });

    test('one that need not be covered is left out, or held whole', () => {
      const [kernel, backup, initrd] = SEGMENTS;
      const find = (...regions: Range[]): unknown =>
        findRegionTableByShape(purgatory(regions, 0x3710, order), AT, CRASH_KERNEL, [{ range: backup, alwaysCovered: false }], order);
      expect(find(kernel, initrd)).toBeDefined();
      expect(find(kernel, { start: backup.start, end: backup.end + 0x1000n })).toBeDefined();
      expect(find(kernel, { start: backup.start, end: backup.end - 0x1000n })).toBeUndefined();
    });
  });
});

describe('memory that is full of what a table is made of', () => {
  const needed = [{ range: SEGMENTS[1], alwaysCovered: true }];
  const filledWith = (words: readonly bigint[], size = 1 << 20): Uint8Array => {
    const view = new DataView(new ArrayBuffer(size));
    for (let at = 0; at < size; at += 8) view.setBigUint64(at, words[(at / 8) % words.length] ?? 0n, true);
    return new Uint8Array(view.buffer);
  };

  test.each([
    ['entries without an end', [SEGMENTS[1].start, 0x1000n]],
    ['entries at both places in 16 bytes', [SEGMENTS[1].start]],
    ['one entry, then something else', [SEGMENTS[1].start, 0x10000n, 1n]],
    ['entries and zeros', [SEGMENTS[1].start, 0x10000n, 0n, 0n]],
  ])('%s: no table', (_, words) => {
    for (const expected of [needed, []])
      expect(findRegionTableByShape(filledWith(words), AT, CRASH_KERNEL, expected, 'lsb')).toBeUndefined();
  });

  test('a table behind more entries than it could have is found, where its own first one follows none', () => {
    const bytes = filledWith([SEGMENTS[1].start, 0x1000n]);
    bytes.fill(0, 0x8000);
    bytes.set(purgatory([SEGMENTS[1]], 0, 'lsb', 0, REGION_TABLE_SIZE), 0x8010);
    expect(findRegionTableByShape(bytes, AT, CRASH_KERNEL, needed, 'lsb')?.regions).toEqual([SEGMENTS[1]]);
  });

  test('whole tables that something contradicts: given up after some thousands, in how many pieces of the memory they ever lie', () => {
    const table = filledWith([SEGMENTS[1].start, 0x1000n, ...Array<bigint>(31).fill(0n)]);
    const contradicted = { count: 0 };
    const look = (): unknown => findRegionTableByShape(table, AT, CRASH_KERNEL, needed, 'lsb', contradicted);
    for (let piece = 0; piece < 4; piece += 1) expect(look()).toBeUndefined();
    expect(thrown(look)).toMatchObject({
      kind: 'input',
      problem: 'too much of this memory looks like the region table of a purgatory',
    });
  });
});

test('the table is 16 entries of 16 bytes', () => {
  expect(REGION_TABLE_SIZE).toBe(256);
});
