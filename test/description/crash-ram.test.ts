import { describe, expect, test } from 'vitest';
import { ppc64le } from '../../src/arch/ppc64.js';
import { RamRanges } from '../../src/description/crash-ram.js';
import { crashTableOf } from '../../src/description/crash-table.js';
import type { ProgramHeader } from '../../src/elf/records.js';
import { formatRange } from '../../src/memory/range.js';
import { elfcorehdr, load, note } from '../helpers/elfcorehdr.js';
import { thrown } from '../helpers/thrown.js';

const MIB = 1n << 20n;

function ramOf(...loads: ProgramHeader[]): RamRanges {
  const contents = elfcorehdr([note(0x1000n), note(0x2000n), ...loads]);
  return new RamRanges(crashTableOf({ architecture: ppc64le, crashKernelRanges: [], elfcorehdr: { contents } }));
}

const shown = (ram: RamRanges): string[] => Array.from({ length: ram.length }, (_, index) => formatRange(ram.at(index)));

describe('the RAM of an elfcorehdr', () => {
  test('is ascending, whatever the order of the PT_LOADs, and knows their places', () => {
    const ram = ramOf(load(0x100000000n, 0x100100000n), load(4n * MIB, 5n * MIB), load(MIB, 2n * MIB));
    expect(shown(ram)).toEqual(['0x100000-0x1fffff', '0x400000-0x4fffff', '0x100000000-0x1000fffff']);
    expect([0, 1, 2].map((index) => ram.indexAt(index))).toEqual([4, 3, 2]);
  });

  test('of two at one address, the first comes first', () => {
    const ram = ramOf(load(4n * MIB, 5n * MIB), load(MIB, 2n * MIB), load(MIB, 3n * MIB));
    expect([0, 1, 2].map((index) => ram.indexAt(index))).toEqual([3, 4, 2]);
  });

  test('is looked up by address', () => {
    const ram = ramOf(load(MIB, 2n * MIB), load(4n * MIB, 5n * MIB));
    expect([0n, MIB - 1n, MIB, 3n * MIB, 4n * MIB, 1n << 60n].map((address) => ram.lastStartingAtOrBefore(address))).toEqual([
      -1, -1, 0, 0, 1, 1,
    ]);
  });

  test.each<[string, ProgramHeader[], boolean]>([
    ['one range', [load(0n, MIB)], false],
    ['a gap', [load(MIB, 2n * MIB), load(2n * MIB + 0x1000n, 3n * MIB)], false],
    ['ranges that touch', [load(MIB, 2n * MIB), load(2n * MIB, 3n * MIB)], true],
    ['ranges that touch at 4 GiB', [load(MIB, 0x100000000n), load(0x100000000n, 0x200000000n)], true],
    ['a range of 8 GiB and one behind it', [load(MIB, 0x200000000n), load(0x200000000n, 0x300000000n)], true],
    ['the same low bits, 4 GiB apart', [load(MIB, 2n * MIB), load(0x100200000n, 0x100300000n)], false],
    // The kernel's byte too many: the true end touches.
    ['one that is a byte too long, and the next', [load(MIB, 2n * MIB + 1n), load(2n * MIB, 3n * MIB)], true],
  ])('%s: touches %s', (_, loads, touches) => {
    expect(ramOf(...loads).hasAdjacent).toBe(touches);
    ramOf(...loads).refuseUnclear();
  });
});

describe('RAM that is not clear', () => {
  test.each<[string, ProgramHeader[], string, string]>([
    [
      'ranges that overlap',
      [load(MIB, 3n * MIB), load(2n * MIB, 4n * MIB)],
      'two PT_LOADs overlap',
      '0x100000-0x2fffff and 0x200000-0x3fffff',
    ],
    [
      'contents at another address',
      [load(MIB, 2n * MIB, 7n * MIB)],
      'a PT_LOAD keeps its contents at another address',
      '0x100000-0x1fffff',
    ],
    ['both, the overlap first', [load(MIB, 3n * MIB), load(2n * MIB, 4n * MIB, 9n * MIB)], 'two PT_LOADs overlap', '0x100000-0x2fffff'],
    [
      'both, the other first',
      [load(MIB, 2n * MIB, 9n * MIB), load(3n * MIB, 5n * MIB), load(4n * MIB, 6n * MIB)],
      'a PT_LOAD keeps',
      '0x100000-0x1fffff',
    ],
  ])('%s', (_, loads, problem, found) => {
    expect(
      thrown(() => {
        ramOf(...loads).refuseUnclear();
      }),
    ).toMatchObject({
      kind: 'refused',
      problem: expect.stringContaining(problem) as string,
      details: { segment: 'elfcorehdr', found: expect.stringContaining(found) as string, remedy: 'reload the kdump image' },
    });
  });

  test('an overlap of two bytes is not the kernel’s one', () => {
    expect(
      thrown(() => {
        ramOf(load(MIB, 2n * MIB + 2n), load(2n * MIB, 3n * MIB)).refuseUnclear();
      }),
    ).toMatchObject({ problem: 'two PT_LOADs overlap' });
  });
});
