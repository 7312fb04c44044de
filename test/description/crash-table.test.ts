import { describe, expect, test } from 'vitest';
import type { ArchitectureName } from '../../src/arch/architecture.js';
import { architectureNamed } from '../../src/arch/registry.js';
import { crashTableOf, isOneByteTooLong, KIND, type CrashTable } from '../../src/description/crash-table.js';
import type { ProgramHeader } from '../../src/elf/records.js';
import { rangeOfSize, type Range } from '../../src/memory/range.js';
import { elfcorehdr, LINEAR_MAP, load, note } from '../helpers/elfcorehdr.js';

const MIB = 1n << 20n;
const CRASH_KERNEL = rangeOfSize(512n * MIB, 256n * MIB);

function tableOf(
  programHeaders: ProgramHeader[],
  name: ArchitectureName = 'ppc64le',
  crashKernel: Range | null = CRASH_KERNEL,
): CrashTable {
  return crashTableOf({
    architecture: architectureNamed(name),
    crashKernelRanges: crashKernel === null ? [] : [crashKernel],
    elfcorehdr: { contents: elfcorehdr(programHeaders) },
  });
}

/** The name of each program header's kind. */
function kinds(...args: Parameters<typeof tableOf>): string[] {
  const names = Object.fromEntries(Object.entries(KIND).map(([name, kind]) => [kind, name]));
  return [...tableOf(...args).kinds].map((kind) => names[kind] ?? '?');
}

const RAM = load(MIB, 512n * MIB);
const text = (start: bigint, end: bigint): ProgramHeader => ({ ...load(start, end), vaddr: 0xffffffff81000000n });

describe('what a program header stands for', () => {
  test('notes in front, RAM, backup of low memory, firmware inside the crashkernel range', () => {
    expect(
      kinds([
        note(0x1000n),
        note(0x2000n),
        load(0n, 0x10000n, 600n * MIB),
        RAM,
        load(700n * MIB, 701n * MIB),
        load(768n * MIB, 900n * MIB),
      ]),
    ).toEqual(['note', 'note', 'backup', 'ram', 'firmware', 'ram']);
  });

  test('memory at the edges of the crashkernel range, or across one, is RAM', () => {
    expect(kinds([load(512n * MIB - 0x1000n, 512n * MIB), load(768n * MIB, 769n * MIB), load(767n * MIB, 769n * MIB)])).toEqual([
      'ram',
      'ram',
      'ram',
    ]);
    expect(kinds([load(512n * MIB, 768n * MIB)])).toEqual(['firmware']);
    expect(kinds([load(512n * MIB, 768n * MIB)], 'ppc64le', null)).toEqual(['ram']);
  });

  test('a note behind a PT_LOAD, an empty PT_LOAD and other types are none of them', () => {
    expect(kinds([note(0x1000n), RAM, note(0x2000n), { ...RAM, filesz: 0n, memsz: 0n }, { ...RAM, type: 0x6fffffff }])).toEqual([
      'note',
      'ram',
      'other',
      'other',
      'other',
    ]);
  });

  test('memory whose size has only upper bits', () => {
    expect(kinds([load(0x100000000n, 0x200000000n)])).toEqual(['ram']);
  });
});

describe('the kernel text of x86_64', () => {
  const other = load(600n * MIB, 700n * MIB);

  test('is the first PT_LOAD that maps memory which another one maps too', () => {
    expect(kinds([text(16n * MIB, 32n * MIB), RAM, other], 'x86_64', null)).toEqual(['kernelText', 'ram', 'ram']);
    // Even at the same place of the linear map.
    expect(kinds([load(16n * MIB, 32n * MIB), RAM, other], 'x86_64', null)).toEqual(['kernelText', 'ram', 'ram']);
  });

  test('or that maps elsewhere than most', () => {
    expect(kinds([text(16n * MIB, 32n * MIB), other, load(MIB * 800n, MIB * 900n)], 'x86_64', null)).toEqual(['kernelText', 'ram', 'ram']);
    expect(kinds([load(16n * MIB, 32n * MIB), other], 'x86_64', null)).toEqual(['ram', 'ram']);
    // An empty PT_LOAD, and one that only begins behind it, map nothing of it.
    expect(kinds([load(16n * MIB, 32n * MIB), { ...load(20n * MIB, 24n * MIB), filesz: 0n, memsz: 0n }, other], 'x86_64', null)).toEqual([
      'ram',
      'other',
      'ram',
    ]);
  });

  test('is not a single PT_LOAD, the backup of low memory, or anything on ppc64', () => {
    expect(kinds([text(16n * MIB, 32n * MIB)], 'x86_64', null)).toEqual(['ram']);
    expect(kinds([load(0x1000n, 0xa0000n, 600n * MIB), load(0x1000n, 0xa0000n), other], 'x86_64', null)).toEqual(['backup', 'ram', 'ram']);
    expect(kinds([text(16n * MIB, 32n * MIB), RAM, other], 'ppc64le', null)).toEqual(['ram', 'ram', 'ram']);
  });

  test('does not overlap what merely begins where it ends', () => {
    expect(kinds([load(MIB, 16n * MIB), load(16n * MIB, 32n * MIB)], 'x86_64', null)).toEqual(['ram', 'ram']);
  });
});

describe('the offset of the linear map', () => {
  const offset = (...headers: ProgramHeader[]): bigint | null => tableOf(headers).linearOffset;
  const at = (start: bigint, shift: bigint): ProgramHeader => ({ ...load(start, start + MIB), vaddr: start + shift });

  test('is that of most PT_LOADs, wherever they are in the table', () => {
    expect(offset(at(0n, 1n), at(MIB, LINEAR_MAP), at(3n * MIB, LINEAR_MAP))).toBe(LINEAR_MAP);
    expect(offset(at(0n, LINEAR_MAP), at(MIB, 1n), at(3n * MIB, LINEAR_MAP))).toBe(LINEAR_MAP);
    expect(offset(at(0n, LINEAR_MAP), at(MIB, LINEAR_MAP), at(3n * MIB, 1n))).toBe(LINEAR_MAP);
  });

  test('is the first of two that are as common', () => {
    expect(offset(at(0n, LINEAR_MAP), at(MIB, 1n))).toBe(LINEAR_MAP);
  });

  test('is told apart in either half, whichever half of p_paddr borrows', () => {
    // Two of one offset between others that differ from it in the lower half, in the upper half, or by the borrowed one alone.
    const common = LINEAR_MAP + 0x1_8000_0000n;
    for (const other of [common + 1n, common + (1n << 32n), common - (1n << 32n), common ^ 0x80000000n]) {
      for (const start of [0n, 0x7000_0000n, 0xf000_0000n, 0x1_f000_0000n]) {
        const loads = [
          at(start, common),
          at(start + 2n * MIB, other),
          at(start + 4n * MIB, common),
          at(start + 6n * MIB, common),
          at(0x5_9000_0000n, other),
        ];
        expect(offset(...loads)).toBe(common);
        expect(offset(...loads.reverse())).toBe(common);
      }
      // Runs are of those that are the same although one borrows and the other does not.
      expect(offset(at(0n, other), at(0x7000_0000n, common), at(0x1_f000_0000n, common), at(4n * MIB, other), at(8n * MIB, common))).toBe(
        common,
      );
    }
  });

  test('borrows from the upper half', () => {
    expect(offset({ ...load(0x1_0000_0001n, 0x1_0000_1000n), vaddr: 0x2_0000_0000n })).toBe(0xffffffffn);
    expect(offset({ ...load(MIB, 2n * MIB), vaddr: 0n })).toBe((1n << 64n) - MIB);
  });

  test('is not told by a p_vaddr of -1, nor by no PT_LOAD', () => {
    expect(offset({ ...load(0n, MIB), vaddr: (1n << 64n) - 1n })).toBeNull();
    expect(offset(note(0x1000n))).toBeNull();
    // Half of -1 is an address like any other.
    expect(offset({ ...load(0n, MIB), vaddr: 0xffffffff00000000n })).toBe(0xffffffff00000000n);
  });
});

test('the last note is that of vmcoreinfo; a single one is a CPU’s, but on s390x', () => {
  const counts = (...args: Parameters<typeof tableOf>): [number, number] => [tableOf(...args).noteCount, tableOf(...args).cpuNoteCount];
  expect(counts([note(0x1000n), note(0x2000n), note(0x3000n), RAM])).toEqual([3, 2]);
  expect(counts([note(0x1000n), RAM])).toEqual([1, 1]);
  expect(counts([note(0x1000n), RAM], 's390x')).toEqual([1, 0]);
  expect(counts([RAM])).toEqual([0, 0]);
  expect(counts([RAM], 's390x')).toEqual([0, 0]);
  expect(counts([note(0x1000n), note(0x2000n)])).toEqual([2, 1]);
});

test('a range is one byte too long where it ends one byte behind a page', () => {
  expect(isOneByteTooLong({ paddr: 0x1000n, memsz: 0x1001n })).toBe(true);
  expect(isOneByteTooLong({ paddr: 0x1000n, memsz: 0x1000n })).toBe(false);
  expect(isOneByteTooLong({ paddr: 0x1000n, memsz: 1n })).toBe(false);
});
