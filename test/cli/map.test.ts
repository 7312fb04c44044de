import { describe, expect, test } from 'vitest';
import { drawMap, drawPlace } from '../../src/cli/render/draw-map.js';
import { themeFor } from '../../src/cli/render/theme.js';
import type { Range } from '../../src/memory/range.js';
import { processorTime } from '../helpers/processor-time.js';

const ascii = themeFor('never', { environment: {}, isTerminal: false });
const range = (start: bigint, end: bigint): Range => ({ start, end });
const MiB = 1n << 20n;

describe('a memory map', () => {
  test.each<[string, () => { dumped: Range[]; crashKernels: Range[] }, string, string]>([
    ['one range', () => ({ dumped: [range(0n, 4n * MiB)], crashKernels: [] }), `0${' '.repeat(34)}4 MiB`, '#'.repeat(40)],
    [
      'a hole',
      () => ({ dumped: [range(0n, MiB), range(3n * MiB, 4n * MiB)], crashKernels: [] }),
      '0         1 MiB                    4 MiB',
      '##########....................##########',
    ],
    [
      'does not begin at 0',
      () => ({ dumped: [range(0x80000000n, 0x80000000n + 4n * MiB)], crashKernels: [] }),
      `2 GiB${' '.repeat(30)}2 GiB`,
      '#'.repeat(40),
    ],
    [
      'the crashkernel range, listed or not, is no part of the dump',
      () => ({ dumped: [range(0n, 4n * MiB)], crashKernels: [range(2n * MiB, 3n * MiB)] }),
      '0                   2 MiB          4 MiB',
      '####################==========##########',
    ],
    [
      'a crashkernel range too small to see is seen',
      () => ({ dumped: [range(0n, 64n * MiB)], crashKernels: [range(32n * MiB, 32n * MiB + 65536n)] }),
      '0                   32 MiB        64 MiB',
      `${'#'.repeat(20)}=${'#'.repeat(19)}`,
    ],
    [
      'two crashkernel ranges are seen, and two in one cell',
      () => ({
        dumped: [range(0n, 40n * MiB)],
        crashKernels: [range(4n * MiB, 8n * MiB), range(30n * MiB, 30n * MiB + 65536n), range(30n * MiB + 131072n, 30n * MiB + 196608n)],
      }),
      '0   4 MiB                         40 MiB',
      '####====######################=#########',
    ],
    [
      'far memory',
      () => ({ dumped: [range(0n, MiB), range(1n << 40n, (1n << 40n) + MiB)], crashKernels: [] }),
      '0                  1 MiB           1 TiB',
      `${'#'.repeat(19)}//${'#'.repeat(19)}`,
    ],
  ])('%s', (_, memory, addresses, bar) => {
    const { dumped, crashKernels } = memory();
    const map = drawMap(dumped, crashKernels, 40, ascii);
    expect(map[1]).toBe(bar);
    expect(map[0]).toBe(addresses);
  });

  test('nothing to draw', () => {
    expect(drawMap([], [], 20, ascii)).toEqual([]);
  });

  test('ranges at the ends of the address space, and of a byte', () => {
    const end = 1n << 64n;
    for (const dumped of [[range(end - 1n, end)], [range(0n, 1n), range(end - 1n, end)], [range(0n, end)]]) {
      for (const crashKernels of [[], [range(5n, 6n)], [range(end - 2n, end)], [range(5n, 6n), range(end - 2n, end)]]) {
        const map = drawMap(dumped, crashKernels, 76, ascii);
        expect(Math.max(...map.slice(0, 2).map((line) => line.length))).toBeLessThanOrEqual(76);
      }
    }
  });

  test('ten thousand ranges take no time', () => {
    const dumped = Array.from({ length: 10_000 }, (_, index) => range(BigInt(2 * index) * MiB, BigInt(2 * index + 1) * MiB));
    const began = processorTime();
    expect(drawMap(dumped, [], 200, ascii)[1]).toHaveLength(200);
    expect(processorTime() - began).toBeLessThan(1000);
  });
});

test.each([
  [0n, 10n, '##########'],
  [0n, 5n, '#####.....'],
  [9n, 10n, '.........#'],
  [20n, 30n, ''],
  [8n, 30n, '........##'],
])('the place of %s to %s in ten', (start, end, bar) => {
  expect(drawPlace(range(start, end), range(0n, 10n), 10, ascii)).toBe(bar);
});

test('the place of a range too small to see is seen', () => {
  expect(drawPlace(range(0n, 1n), range(0n, 1000n), 10, ascii)).toBe('|.........');
  expect(drawPlace(range(999n, 1000n), range(0n, 1000n), 10, ascii)).toBe('.........|');
});
