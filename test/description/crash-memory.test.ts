import { expect, test } from 'vitest';
import { architectureNamed } from '../../src/arch/registry.js';
import { crashMemoryOf, loadFor, type CrashMemory } from '../../src/description/crash-memory.js';
import type { ProgramHeader } from '../../src/elf/records.js';
import { formatRange, rangeOfSize } from '../../src/memory/range.js';
import { elfcorehdr, LINEAR_MAP, load, note } from '../helpers/elfcorehdr.js';

const MIB = 1n << 20n;

const crashMemory = (programHeaders: ProgramHeader[], name: 'ppc64le' | 'x86_64' = 'ppc64le'): CrashMemory =>
  crashMemoryOf({
    architecture: architectureNamed(name),
    crashKernelRanges: [rangeOfSize(32n * MIB, 16n * MIB)],
    elfcorehdr: { contents: elfcorehdr(programHeaders) },
  });

test('every program header is a note, the kernel text, a range of the dump, or something else', () => {
  const notes = [note(0x1000n), note(0x2000n), note(0x3000n)];
  const [backup, ram, firmware] = [load(0n, 0x10000n, 33n * MIB), load(0x10000n, 32n * MIB + 1n), load(40n * MIB, 41n * MIB)];
  const late = note(0x4000n);
  const memory = crashMemory([...notes, backup, ram, firmware, late]);
  expect(memory).toMatchObject({ notes, cpuNotes: notes.slice(0, 2), vmcoreinfo: notes[2], kernelText: null, others: [late] });
  // At its true size, where the kernel wrote one byte too many.
  expect(memory.ranges.map(({ kind, range }) => `${kind} ${formatRange(range)}`)).toEqual([
    'backup 0x0-0xffff',
    'ram 0x10000-0x1ffffff',
    'firmware 0x2800000-0x28fffff',
  ]);
  expect(memory.ranges.map(({ programHeader }) => programHeader)).toEqual([backup, ram, firmware]);
  expect(memory.linearOffset).toBe(LINEAR_MAP);
});

test('only RAM has the kernel’s byte too many', () => {
  expect(crashMemory([load(40n * MIB, 41n * MIB + 1n)]).ranges).toMatchObject([{ kind: 'firmware', range: { end: 41n * MIB + 1n } }]);
});

test('the kernel text is no range of its own', () => {
  const text = { ...load(16n * MIB, 24n * MIB), vaddr: 0xffffffff81000000n };
  const ram = load(MIB, 32n * MIB);
  expect(crashMemory([note(0x1000n), note(0x2000n), text, ram], 'x86_64')).toMatchObject({
    kernelText: text,
    ranges: [{ kind: 'ram', programHeader: ram }],
  });
});

test('without notes there is no vmcoreinfo', () => {
  expect(crashMemory([load(MIB, 2n * MIB)])).toMatchObject({ notes: [], cpuNotes: [], vmcoreinfo: null });
  expect(crashMemory([note(0x1000n), load(MIB, 2n * MIB)])).toMatchObject({ cpuNotes: [note(0x1000n)], vmcoreinfo: null });
});

test('a PT_LOAD for new memory is what the kernel writes, its address within 64 bits', () => {
  const range = rangeOfSize(0x80000000n, 16n * MIB);
  expect(loadFor(range, LINEAR_MAP)).toEqual(load(range.start, range.end));
  expect(loadFor(range, (1n << 64n) - 0x80000000n).vaddr).toBe(0n);
});
