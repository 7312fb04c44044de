import { describe, expect, test } from 'vitest';
import type { ArchitectureName } from '../../src/arch/architecture.js';
import { architectureNamed } from '../../src/arch/registry.js';
import { tableOf } from '../../src/elf/elfcorehdr.js';
import type { ProgramHeader } from '../../src/elf/records.js';
import { parseFdt } from '../../src/fdt/fdt.js';
import type { KdumpImage } from '../../src/image/image.js';
import type { CpuChange } from '../../src/machine/change.js';
import { planNotes } from '../../src/plan/plan-notes.js';
import { buildFdt, cells, node, prop } from '../fdt/build.js';
import { elfcorehdr, load, note } from '../helpers/elfcorehdr.js';
import { thrown } from '../helpers/thrown.js';

const VMCOREINFO = note(0x900000n, 0x1024n);
const RAM = load(0n, 0x1000000n);

/** An image with CPU notes at 0x1000, 0x2000 and so on, and an FDT with CPUs from 0 on unless it has none. */
function imageWith(notes: number, cpus: number | null, name: ArchitectureName): KdumpImage {
  const headers = [...Array.from({ length: notes }, (_, index) => note(0x1000n * BigInt(index + 1))), VMCOREINFO, RAM];
  const nodes = Array.from({ length: cpus ?? 0 }, (_, id) => node(`cpu@${id}`, prop('device_type', 'cpu'), prop('reg', cells(id))));
  const tree = parseFdt(buildFdt([node('cpus', prop('#address-cells', cells(1)), ...nodes)]));
  return {
    architecture: architectureNamed(name),
    crashKernelRanges: [],
    elfcorehdr: { contents: elfcorehdr(headers) },
    fdt: cpus === null ? null : { tree },
  } as unknown as KdumpImage;
}

const add = (id: number, address?: bigint): CpuChange => ({
  action: 'add',
  cpu: { id, ...(address === undefined ? {} : { crashNotes: { address, size: 0x170n } }) },
});
const remove = (id: number): CpuChange => ({ action: 'remove', cpu: { id } });

function planned(image: KdumpImage, ...changes: CpuChange[]): { headers: ProgramHeader[]; reasons: string[] } {
  const { table, effects } = planNotes(image, changes, tableOf(image.elfcorehdr.contents), []);
  return { headers: table.toArray(), reasons: effects.map(({ made, reason }) => (made ? 'made' : reason)) };
}

const same = (image: KdumpImage): ProgramHeader[] => [...image.elfcorehdr.contents.programHeaders];

describe('the note of an added CPU', () => {
  test('is put behind those of the others, where the change says where it is', () => {
    const image = imageWith(2, 2, 'riscv64');
    expect(planned(image, add(2, 0x50000n), add(3, 0x60000n))).toEqual({
      headers: [note(0x1000n), note(0x2000n), note(0x50000n, 0x170n), note(0x60000n, 0x170n), VMCOREINFO, RAM],
      reasons: ['made', 'made'],
    });
  });

  test('is not put there twice', () => {
    const image = imageWith(2, 2, 'riscv64');
    expect(planned(image, add(2, 0x2000n)).reasons).toEqual(['its PT_NOTE is listed already']);
    expect(planned(image, add(2, 0x50000n), add(2, 0x50000n)).reasons).toEqual(['made', 'its PT_NOTE is listed already']);
  });

  // The CPU whose node was taken out has it: to say that it is another one's would lose that one's registers without a word.
  test('is not taken to be one that is left of another CPU', () => {
    const image = imageWith(3, 2, 'riscv64');
    expect(thrown(() => planned(image, add(2)))).toMatchObject({
      kind: 'refused',
      problem: 'cannot add CPU 2: the elfcorehdr lists no crash notes for it',
      details: { segment: 'elfcorehdr', found: 'PT_NOTEs for 3 CPUs, which were present when the image was loaded' },
    });
    expect(planned(image, add(1)).reasons).toEqual(['its PT_NOTE is listed already']);
    expect(planned(image, add(2, 0x50000n), add(2)).reasons).toEqual(['made', 'its PT_NOTE is listed already']);
  });

  test('is not needed on PowerPC, whose loaders list all possible CPUs', () => {
    expect(planned(imageWith(1, 1, 'ppc64le'), add(1))).toMatchObject({ reasons: ['no PT_NOTE'] });
  });

  test('goes by the kernel’s number where there is no FDT', () => {
    const image = imageWith(2, null, 'x86_64');
    expect(planned(image, add(1)).reasons).toEqual(['its PT_NOTE is listed already']);
    expect(thrown(() => planned(image, add(2)))).toMatchObject({
      kind: 'refused',
      details: { found: expect.stringContaining('2 CPUs') as string },
    });
  });
});

describe('the note of a removed CPU', () => {
  test('stays', () => {
    for (const image of [imageWith(2, 2, 'riscv64'), imageWith(2, null, 'x86_64')]) {
      expect(planned(image, remove(1))).toEqual({ headers: same(image), reasons: ['its PT_NOTE stays, as the kernel leaves it'] });
    }
  });

  test('that is not there is refused, where no FDT says which CPUs there are', () => {
    expect(thrown(() => planned(imageWith(2, null, 'x86_64'), remove(2)))).toMatchObject({
      kind: 'refused',
      problem: 'cannot remove CPU 2',
      details: { segment: 'elfcorehdr', found: 'PT_NOTEs for 2 CPUs', expected: 'at most 1' },
    });
    expect(planned(imageWith(2, 2, 'riscv64'), remove(7)).reasons).toHaveLength(1);
  });
});

test('no change, no other table', () => {
  const image = imageWith(2, 2, 'riscv64');
  const table = tableOf(image.elfcorehdr.contents);
  expect(planNotes(image, [], table, [])).toEqual({ table, effects: [], findings: [] });
  expect(planNotes(image, [remove(1)], table, []).table).toBe(table);
});
