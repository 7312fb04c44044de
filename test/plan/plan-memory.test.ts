import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { architectureNamed } from '../../src/arch/registry.js';
import { tableOf } from '../../src/elf/elfcorehdr.js';
import type { ProgramHeader } from '../../src/elf/records.js';
import { planMemory } from '../../src/plan/plan-memory.js';
import type { KdumpImage } from '../../src/image/image.js';
import type { MemoryChange } from '../../src/machine/change.js';
import { formatRange, rangeOfSize, type Range } from '../../src/memory/range.js';
import { elfcorehdr, load, note } from '../helpers/elfcorehdr.js';
import { thrown } from '../helpers/thrown.js';

const MIB = 1n << 20n;
const NOTES = [note(0x1000n), note(0x2000n), note(0x3000n, 0x10024n)];
const BACKUP = load(0n, 0x10000n, 0x22990000n);
const CRASH_KERNEL = rangeOfSize(0x20000000n, 0x20000000n);
const FIRST: Range = { start: 0x10000n, end: 0x20000000n };
const SECOND: Range = { start: 0x40000000n, end: 0x80000000n };

/** A ppc64le image that lists `ram`. Planning memory looks at nothing else of it. */
function imageWith(programHeaders: readonly ProgramHeader[]): KdumpImage {
  return {
    architecture: architectureNamed('ppc64le'),
    crashKernelRanges: [CRASH_KERNEL],
    elfcorehdr: { contents: elfcorehdr(programHeaders) },
    fdt: null,
  } as unknown as KdumpImage;
}

const usual = (...ram: Range[]): ProgramHeader[] => [...NOTES, BACKUP, ...ram.map(({ start, end }) => load(start, end))];
const base = imageWith(usual(FIRST, SECOND));
const change =
  (action: 'add' | 'remove') =>
  (start: bigint, size: bigint): MemoryChange => ({ action, memory: rangeOfSize(start, size) });
const [add, remove] = [change('add'), change('remove')];
const plan = (image: KdumpImage, changes: readonly MemoryChange[], compat?: 'linux'): readonly ProgramHeader[] =>
  planMemory(image, changes, { compat }).table.toArray();
const shown = (headers: readonly ProgramHeader[]): string[] =>
  headers.filter(({ type }) => type === 1).map(({ paddr, memsz }) => formatRange(rangeOfSize(paddr, memsz)));

describe('added memory', () => {
  test('joins the range it touches; notes and backup stay', () => {
    expect(plan(base, [add(0x80000000n, 256n * MIB)])).toEqual(usual(FIRST, { start: 0x40000000n, end: 0x90000000n }));
  });

  test('apart from all others, in its place', () => {
    expect(plan(base, [add(0x100000000n, MIB)])).toEqual(usual(FIRST, SECOND, rangeOfSize(0x100000000n, MIB)));
  });

  test('a p_vaddr of -1, as kexec-tools wrote it, becomes that of the linear map; half of it is an address', () => {
    const unmapped = { ...load(SECOND.start, SECOND.end), vaddr: (1n << 64n) - 1n };
    const half = { ...load(0x90000000n, 0xa0000000n), vaddr: 0xffffffffn };
    const image = imageWith([...usual(FIRST), unmapped, half]);
    const added = rangeOfSize(0x100000000n, MIB);
    expect(plan(image, [add(added.start, MIB)])).toEqual([...usual(FIRST, SECOND), half, load(added.start, added.end)]);
  });

  test('that is listed already changes nothing, and says so', () => {
    const result = planMemory(base, [add(0x50000000n, MIB)], {});
    expect(result.table).toBe(tableOf(base.elfcorehdr.contents));
    expect(result.effects).toMatchObject([{ made: false }]);
  });

  test('that is listed already has the table built anew all the same as Linux does it, which joins what touches', () => {
    const half = { start: 0x60000000n, end: SECOND.end };
    const apart = imageWith(usual(FIRST, { start: SECOND.start, end: half.start }, half));
    const result = planMemory(apart, [add(0x50000000n, MIB)], { compat: 'linux' });
    expect(result.table).not.toBe(tableOf(apart.elfcorehdr.contents));
    expect(result.effects).toMatchObject([{ made: false }]);
    expect(planMemory(apart, [add(0x50000000n, MIB)], {}).table).toBe(tableOf(apart.elfcorehdr.contents));
  });

  test('that is listed but for the crashkernel range changes nothing, and says so', () => {
    const result = planMemory(base, [add(0x1ff00000n, 0x20200000n)], {});
    expect(result.table).toBe(tableOf(base.elfcorehdr.contents));
    expect(result.effects).toEqual([{ made: false, reason: 'it is listed already, but for what the dump leaves out' }]);
  });

  test('ending at 2^64', () => {
    expect(shown(plan(base, [add((1n << 64n) - MIB, MIB)])).at(-1)).toBe('0xfffffffffff00000-0xffffffffffffffff');
  });

  test.each([
    ['overlaps the end of a range', 0x7ff00000n, 2n * MIB],
    ['holds a range', 0x10000n, 0x100000000n],
    ['lies in the crashkernel range', 0x30000000n, MIB],
  ])('that %s is refused', (_, start, size) => {
    expect(thrown(() => plan(base, [add(start, size)]))).toMatchObject({ kind: 'refused', details: { segment: 'elfcorehdr' } });
  });
});

describe('removed memory', () => {
  test.each([
    ['from the middle', 0x50000000n, 0x10000000n, ['0x40000000-0x4fffffff', '0x60000000-0x7fffffff']],
    ['from the start', 0x40000000n, 0x10000000n, ['0x50000000-0x7fffffff']],
    ['from the end', 0x70000000n, 0x10000000n, ['0x40000000-0x6fffffff']],
    ['all of a range', 0x40000000n, 0x40000000n, []],
  ])('%s', (_, start, size, left) => {
    expect(shown(plan(base, [remove(start, size)]))).toEqual(['0x0-0xffff', '0x10000-0x1fffffff', ...left]);
  });

  test.each([
    ['is not there', 0x80000000n, MIB],
    ['is there in part', 0x7ff00000n, 2n * MIB],
    ['is the crashkernel range', 0x20000000n, MIB],
    ['is backed up', 0n, 0x10000n],
  ])('that %s is refused', (_, start, size) => {
    expect(thrown(() => plan(base, [remove(start, size)]))).toMatchObject({ kind: 'refused', details: { segment: 'elfcorehdr' } });
  });

  describe('as Linux does it: the right half of a split goes to the end, one byte too long', () => {
    // remove_mem_range() of arch/powerpc/kexec/ranges.c, kdump-rules M3.
    test.each([
      ['from the middle', 0x50000000n, 0x10000000n, ['0x10000-0x1fffffff', '0x40000000-0x4fffffff', '0x60000000-0x80000000']],
      ['from the start', 0x40000000n, 0x10000000n, ['0x10000-0x1fffffff', '0x50000000-0x7fffffff']],
      ['from the end', 0x70000000n, 0x10000000n, ['0x10000-0x1fffffff', '0x40000000-0x6fffffff']],
      ['all of a range', 0x40000000n, 0x40000000n, ['0x10000-0x1fffffff']],
      ['from the middle of the first', 0x1000000n, 0x1000000n, ['0x10000-0xffffff', '0x40000000-0x7fffffff', '0x2000000-0x20000000']],
    ])('%s', (_, start, size, left) => {
      expect(shown(plan(base, [remove(start, size)], 'linux'))).toEqual(['0x0-0xffff', ...left]);
    });

    test('not where two PT_LOADs that touch hold it, which the kernel would have joined', () => {
      const apart = imageWith(usual(FIRST, { start: 0x40000000n, end: 0x60000000n }, { start: 0x60000000n, end: 0x80000000n }));
      const across = remove(0x58000000n, 0x10000000n);
      expect(thrown(() => plan(apart, [across], 'linux'))).toMatchObject({
        kind: 'refused',
        details: { found: 'memory in more than one PT_LOAD', remedy: 'leave out --compat linux' },
      });
      expect(shown(plan(apart, [across])).slice(2)).toEqual(['0x40000000-0x57ffffff', '0x68000000-0x7fffffff']);
    });

    test.each([[undefined], ['linux' as const]])('the next rebuild takes such a range at its true size (%s)', (compat) => {
      const split = imageWith(plan(base, [remove(0x50000000n, 0x10000000n)], 'linux'));
      expect(plan(split, [add(0x50000000n, 0x10000000n)], compat)).toEqual(usual(FIRST, SECOND));
    });
  });
});

describe('what is not clear is refused', () => {
  test('case 20: overlapping PT_LOADs', () => {
    const image = imageWith(usual(FIRST, SECOND, rangeOfSize(0x50000000n, MIB)));
    expect(thrown(() => plan(image, [add(0x80000000n, MIB)]))).toMatchObject({ kind: 'refused', problem: 'two PT_LOADs overlap' });
  });

  test('contents at another address than the memory', () => {
    const image = imageWith([...usual(FIRST), load(0x40000000n, 0x50000000n, 0x70000000n)]);
    expect(thrown(() => plan(image, [add(0x80000000n, MIB)]))).toMatchObject({
      kind: 'refused',
      problem: 'a PT_LOAD keeps its contents at another address, and is not the backup of low memory',
    });
  });

  test('memory that has to be mapped where no PT_LOAD tells how', () => {
    const unmapped = { ...load(0x40000000n, 0x50000000n), vaddr: (1n << 64n) - 1n };
    expect(thrown(() => plan(imageWith([...NOTES, unmapped]), [add(0x80000000n, MIB)]))).toMatchObject({
      kind: 'refused',
      problem: 'no PT_LOAD tells where the kernel maps memory',
      details: { segment: 'elfcorehdr', remedy: 'reload the kdump image' },
    });
  });

  test('a range that is not whole pages, unless it is forced', () => {
    for (const [start, size] of [
      [0x80000800n, MIB],
      [0x80000000n, 0x1801n],
    ] as const) {
      expect(thrown(() => plan(base, [add(start, size)]))).toMatchObject({
        kind: 'refused',
        details: { found: 'a range that is not whole pages', forcible: true },
      });
      expect(planMemory(base, [add(start, size)], { force: true }).effects).toEqual([{ made: true, reason: '' }]);
    }
  });

  test('a PT_NOTE behind a PT_LOAD', () => {
    const image = imageWith([...usual(FIRST), note(0x5000n)]);
    expect(thrown(() => plan(image, [add(0x80000000n, MIB)]))).toMatchObject({ kind: 'refused' });
  });

  test('case 23: program headers of unknown type stay, at the end', () => {
    const unknown: ProgramHeader = { ...note(0x7000n), type: 0x6fffffff };
    expect(plan(imageWith([...usual(FIRST), unknown]), [add(0x80000000n, MIB)])).toEqual([
      ...usual(FIRST, rangeOfSize(0x80000000n, MIB)),
      unknown,
    ]);
  });
});

describe('properties', () => {
  /** Blocks of 1 MiB from 2 GiB on, which the base does not list. */
  const anyBlocks = fc.uniqueArray(fc.nat({ max: 40 }), { minLength: 1, maxLength: 12 });
  const block = (index: number): [bigint, bigint] => [0x80000000n + BigInt(index) * MIB, MIB];

  test('adding and then removing the same gives the program headers before', () => {
    fc.assert(
      fc.property(anyBlocks, (blocks) => {
        const grown = imageWith(
          plan(
            base,
            blocks.map((index) => add(...block(index))),
          ),
        );
        expect(
          plan(
            grown,
            blocks.map((index) => remove(...block(index))),
          ),
        ).toEqual(usual(FIRST, SECOND));
      }),
    );
  });

  test('the order of adds, and whether they come at once or one by one, does not matter', () => {
    fc.assert(
      fc.property(anyBlocks, (blocks) => {
        const atOnce = plan(
          base,
          [...blocks].sort((a, b) => a - b).map((index) => add(...block(index))),
        );
        expect(
          plan(
            base,
            blocks.map((index) => add(...block(index))),
          ),
        ).toEqual(atOnce);
        let image = base;
        for (const index of blocks) image = imageWith(plan(image, [add(...block(index))]));
        expect(image.elfcorehdr.contents.programHeaders).toEqual(atOnce);
      }),
    );
  });

  test('making a change twice is making it once', () => {
    fc.assert(
      fc.property(anyBlocks, (blocks) => {
        const changes = blocks.map((index) => add(...block(index)));
        const image = imageWith(plan(base, changes));
        expect(planMemory(image, changes, {}).table).toBe(tableOf(image.elfcorehdr.contents));
      }),
    );
  });

  test('a rebuilt list is ascending, touches nothing, and keeps every note', () => {
    fc.assert(
      fc.property(anyBlocks, anyBlocks, (blocks, removed) => {
        const changes = [
          ...blocks.map((index) => add(...block(index))),
          ...removed.filter((index) => blocks.includes(index)).map((index) => remove(...block(index))),
        ];
        const headers = plan(base, changes);
        expect(headers.slice(0, NOTES.length)).toEqual(NOTES);
        const loads = headers.filter(({ type, offset, paddr }) => type === 1 && offset === paddr);
        loads.forEach(({ paddr, memsz }, index) => {
          const next = loads[index + 1];
          if (next !== undefined) expect(paddr + memsz < next.paddr).toBe(true);
        });
      }),
    );
  });
});
