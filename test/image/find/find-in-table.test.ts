import { describe, expect, test } from 'vitest';
import { imageInTable } from '../../../src/image/find/find-in-table.js';
import type { KexecLog } from '../../../src/kexec/kexec-log.js';
import { CRASH_KERNEL_SIZE, build, partsOf, type ArchitectureName, type Built } from '../../helpers/build-image.js';
import { memoryOf } from '../../helpers/memory-of.js';
import { thrown } from '../../helpers/thrown.js';

/** The crashkernel range of an image in memory, and the table of its segments in any order. */
function tableOf({ parts, segments }: Built): { memory: ReturnType<typeof memoryOf>; table: KexecLog } {
  const { start } = parts.crashKernel;
  const bytes = new Uint8Array(Number(CRASH_KERNEL_SIZE));
  for (const segment of segments) bytes.set(segment.bytes, Number(segment.address - start));
  const log = segments.map(({ address, memsz, bytes: { length } }) => ({ mem: address, memsz: memsz, bufsz: BigInt(length) }));
  return {
    memory: memoryOf(bytes, [{ address: start, size: CRASH_KERNEL_SIZE, fileOffset: 0n, fileSize: CRASH_KERNEL_SIZE }]),
    table: { segments: log.reverse(), entry: 0x1234n },
  };
}

describe('the segments of a table', () => {
  test.each<ArchitectureName>(['ppc64le', 'ppc64', 'x86_64', 'aarch64', 'riscv64', 'loongarch64', 's390x'])(
    'get the names they have: %s',
    (name) => {
      const built = build(partsOf(name));
      const { memory, table } = tableOf(built);
      const image = imageInTable(memory, table);
      expect(image).toMatchObject({ architecture: { name }, entry: 0x1234n, isComplete: true, crashKernel: null });
      expect(Object.fromEntries(image.segments.map(({ name: role, address }) => [address.toString(16), role]))).toEqual(
        Object.fromEntries(built.segments.map(({ role, address }) => [address.toString(16), role])),
      );
    },
  );

  test('have no entry where the log says none', () => {
    const { memory, table } = tableOf(build(partsOf('ppc64le')));
    expect(imageInTable(memory, { ...table, entry: undefined }).entry).toBeNull();
  });

  test('are other where nothing tells: the kernel is the single one that is left', () => {
    const built = build(partsOf('ppc64le'));
    const { memory, table } = tableOf(built);
    const more = { mem: built.parts.crashKernel.start + 0x800000n, memsz: 0x1000n, bufsz: 0n };
    const names = imageInTable(memory, { ...table, segments: [...table.segments, more] }).segments.map(({ name }) => name);
    expect(names.filter((each) => each === 'other')).toHaveLength(2);
    expect(names).not.toContain('kernel');
  });

  test('of a few bytes are looked at as far as they go', () => {
    const built = build(partsOf('ppc64le'));
    const { memory, table } = tableOf(built);
    const tiny = [1n, 3n, 63n].map((memsz, index) => ({
      mem: built.parts.crashKernel.start + 0x800000n + BigInt(index) * 0x1000n,
      memsz,
      bufsz: 0n,
    }));
    expect(imageInTable(memory, { ...table, segments: [...table.segments, ...tiny] }).segments).toHaveLength(table.segments.length + 3);
  });
});

describe('of several loads', () => {
  const built = build(partsOf('ppc64le'));
  const { memory, table } = tableOf(built);
  const { start } = built.parts.crashKernel;
  // As of a load for a reboot: memory at places that hold something else.
  const reboot: KexecLog = { segments: [{ mem: start + 0x800000n, memsz: 0x10000n, bufsz: 0x100n }], entry: 0n };

  test('the one that fits counts, not the last', () => {
    const image = imageInTable(memory, { ...reboot, others: [reboot, table] });
    expect(image.segments).toHaveLength(table.segments.length);
    expect(image.provenance.join()).toContain('an earlier load of the log');
  });

  test('the last counts where it fits', () => {
    expect(imageInTable(memory, { ...table, others: [reboot, table] }).provenance.join()).not.toContain('an earlier load');
  });

  test('where none fits the error is that of the last', () => {
    expect(thrown(() => imageInTable(memory, { ...reboot, others: [reboot] })).problem).toBe('the segment table does not fit this memory');
  });
});

test('a purgatory without a region table, as of --no-checks, is known by the entry point', () => {
  const parts = partsOf('x86_64');
  parts.covers = [];
  const { memory, table } = tableOf(build(parts));
  const { address } = parts.places.get('purgatory') ?? { address: 0n };
  const nameOf = (entry: bigint): string | undefined =>
    imageInTable(memory, { ...table, entry }).segments.find((segment) => segment.address === address)?.name;
  expect(nameOf(address + 0x30n)).toBe('purgatory');
  expect(nameOf(0x1234n)).not.toBe('purgatory');
});

describe('a table that does not fit the memory', () => {
  const built = build(partsOf('ppc64le'));
  const headerAt = built.parts.places.get('elfcorehdr')?.address ?? 0n;
  const { memory, table } = tableOf(built);

  test.each([
    ['no elfcorehdr', table.segments.filter(({ mem }) => mem !== headerAt), '0 segments'],
    ['two', [...table.segments, { mem: headerAt + 0x8000n, memsz: 0x1000n, bufsz: 0n }], '2 segments'],
  ])('has %s', (_, segments, found) => {
    const place = Number(headerAt - built.parts.crashKernel.start);
    const bytes = memory.read(built.parts.crashKernel.start, Number(CRASH_KERNEL_SIZE));
    bytes.copyWithin(place + 0x8000, place, place + 0x200);
    const twice = memoryOf(bytes, memory.extents);
    const shortened = segments.map((each) => (each.mem === headerAt ? { ...each, memsz: 0x8000n } : each));
    expect(thrown(() => imageInTable(twice, { segments: shortened, entry: undefined }))).toMatchObject({
      kind: 'input',
      problem: 'the segment table does not fit this memory',
      details: {
        file: 'memory',
        found: expect.stringContaining(found) as string,
        expected: 'one',
        remedy: expect.stringContaining('log') as string,
      },
    });
  });

  test('what only begins like an elfcorehdr is none', () => {
    const bytes = memory.read(built.parts.crashKernel.start, Number(CRASH_KERNEL_SIZE));
    bytes[Number(headerAt - built.parts.crashKernel.start) + 16] = 2;
    expect(thrown(() => imageInTable(memoryOf(bytes, memory.extents), table)).details.found).toContain('0 segments');
  });

  test('has a segment that is not in the file', () => {
    const outside = { mem: built.parts.crashKernel.end - 0x1000n, memsz: 0x2000n, bufsz: 0n };
    expect(thrown(() => imageInTable(memory, { ...table, segments: [...table.segments, outside] }))).toMatchObject({
      kind: 'input',
      problem: 'the file does not hold this physical memory',
    });
  });

  test('has two segments over each other', () => {
    const over = { mem: headerAt + 0x8000n, memsz: 0x10000n, bufsz: 0n };
    expect(thrown(() => imageInTable(memory, { ...table, segments: [...table.segments, over] }))).toMatchObject({
      problem: 'two segments overlap',
    });
  });
});
