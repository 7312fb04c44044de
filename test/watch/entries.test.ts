import { describe, expect, test } from 'vitest';
import { architectureNamed } from '../../src/arch/registry.js';
import { parseFdt } from '../../src/fdt/fdt.js';
import type { KdumpImage } from '../../src/image/image.js';
import type { Change, CpuOfChange } from '../../src/machine/change.js';
import { rangeOfSize } from '../../src/memory/range.js';
import { skipMade, skipOvertaken, type Entry } from '../../src/watch/entries.js';
import { buildFdt, cells, node, prop } from '../fdt/build.js';
import { elfcorehdr, load, note } from '../helpers/elfcorehdr.js';

const memory = (action: Change['action'], start: bigint, size = 0x1000n): Change => ({ action, memory: rangeOfSize(start, size) });
const cpu = (action: Change['action'], id: number, more: Partial<CpuOfChange> = {}): Change => ({ action, cpu: { id, ...more } });

/** One entry an event. */
const entriesOf = (changes: readonly Change[], isBlock = false): Entry[] => changes.map((change, event) => ({ event, change, isBlock }));
const skipped = (entries: readonly Entry[]): (string | null)[] => entries.map((entry) => entry.skipped ?? null);

describe('changes of one burst', () => {
  const overtaken = (...changes: Change[]): (string | null)[] => overtakenIn(imageWith(['cpu@0', [0]]), changes);
  const overtakenIn = (image: KdumpImage, changes: readonly Change[]): (string | null)[] => {
    const entries = entriesOf(changes);
    skipOvertaken(entries, image, (event) => `event ${event}`);
    return skipped(entries);
  };

  test('that concern different things all count', () => {
    expect(overtaken(memory('add', 0n), memory('add', 0x1000n), cpu('add', 1), cpu('remove', 2))).toEqual([null, null, null, null]);
  });

  test('that say the same: the first counts', () => {
    expect(overtaken(memory('add', 0n), memory('add', 0n), cpu('add', 1), cpu('add', 1))).toEqual([
      null,
      'event 0 says the same',
      null,
      'event 2 says the same',
    ]);
  });

  test('of which a later one says more of a CPU: both count', () => {
    expect(overtaken(cpu('add', 1), cpu('add', 1, { properties: new Map() }))).toEqual([null, null]);
    expect(overtaken(cpu('add', 1), cpu('add', 1, { crashNotes: { address: 1n, size: 1n } }))).toEqual([null, null]);
  });

  test('that contradict each other: the last counts', () => {
    expect(overtaken(memory('add', 0n), cpu('add', 1), memory('add', 0n), memory('remove', 0n))).toEqual([
      'overtaken by event 3',
      null,
      'overtaken by event 3',
      null,
    ]);
    expect(overtaken(cpu('remove', 1), cpu('add', 1), cpu('remove', 1))).toEqual(['overtaken by event 2', 'overtaken by event 2', null]);
  });

  test('of threads of one core are about that core, also of one to come', () => {
    const image = imageWith(['cpu@0', [0, 1, 2, 3]]);
    expect(overtakenIn(image, [cpu('remove', 1), cpu('remove', 3), cpu('add', 5), cpu('add', 6), cpu('remove', 8)])).toEqual([
      null,
      'event 0 says the same',
      null,
      'event 2 says the same',
      null,
    ]);
    expect(overtakenIn(image, [cpu('remove', 1), cpu('add', 2)])).toEqual(['overtaken by event 1', null]);
  });
});

/** An image of PowerPC with cores, each by name and threads. */
function imageWith(...cores: [name: string, threads: number[]][]): KdumpImage {
  const nodes = cores.map(([name, threads]) =>
    node(name, prop('device_type', 'cpu'), prop('reg', cells(threads[0] ?? 0)), prop('ibm,ppc-interrupt-server#s', cells(...threads))),
  );
  const tree = parseFdt(buildFdt([node('cpus', prop('#address-cells', cells(1)), ...nodes)]));
  return { architecture: architectureNamed('ppc64le'), fdt: { tree } } as unknown as KdumpImage;
}

describe('changes that the image has already', () => {
  const MIB = 1n << 20n;
  const tree = parseFdt(
    buildFdt([node('cpus', prop('#address-cells', cells(1)), node('cpu@0', prop('device_type', 'cpu'), prop('reg', cells(0))))]),
  );
  /** RAM from 1 to 32 and from 48 to 64 MiB, the crashkernel range between them. */
  const image = {
    architecture: architectureNamed('aarch64'),
    crashKernelRanges: [rangeOfSize(32n * MIB, 16n * MIB)],
    elfcorehdr: { contents: elfcorehdr([note(0x1000n), note(0x2000n), load(MIB, 32n * MIB), load(48n * MIB, 64n * MIB)]) },
    fdt: { tree },
  } as unknown as KdumpImage;
  const already = (changes: readonly Change[], isBlock = false, of = image): (string | null)[] => {
    const entries = entriesOf(changes, isBlock);
    skipMade(entries, of);
    return skipped(entries);
  };

  test('memory that is listed, or is not', () => {
    expect(already([memory('add', 2n * MIB), memory('add', 64n * MIB), memory('remove', 80n * MIB), memory('remove', 2n * MIB)])).toEqual([
      'it is listed already',
      null,
      'it is not listed',
      null,
    ]);
  });

  test('are seen after those before them', () => {
    expect(already([memory('add', 80n * MIB), memory('remove', 80n * MIB), memory('remove', 80n * MIB)])).toEqual([
      null,
      null,
      'it is not listed',
    ]);
    expect(already([memory('remove', 2n * MIB), memory('add', 2n * MIB)])).toEqual([null, null]);
  });

  test('memory that is listed but for the crashkernel range is; with a hole it is not', () => {
    const whole = memory('add', 16n * MIB, 48n * MIB);
    expect(already([whole], true)).toEqual(['it is listed already, but for what the dump leaves out']);
    expect(already([whole])).toEqual(['it is listed already, but for what the dump leaves out']);
    expect(already([memory('add', 16n * MIB, 64n * MIB)], true)).toEqual([null]);
    expect(already([memory('add', 32n * MIB, 16n * MIB)], true)).toEqual(['the dump leaves it out']);
    expect(already([memory('add', 32n * MIB, 16n * MIB)])).toEqual([null]);
  });

  test('a block with a hole was there from the beginning, if it is plugged in; one that came online is not known', () => {
    const entries = [true, false, undefined].map((isPlugged, event): Entry => {
      return { event, change: memory('add', BigInt(16 + event) * MIB, 64n * MIB), isBlock: true, isPlugged };
    });
    skipMade(entries, image);
    expect(skipped(entries)).toEqual(['it is listed already, but for a hole: a block that was there from the beginning', null, null]);
  });

  test('a block that is plugged in and comes online in one burst is one that came online', () => {
    const entries = ['add', 'online'].map((word, event): Entry => {
      return { event, change: memory('add', 64n * MIB), isBlock: true, ...(word === 'add' ? { isPlugged: true } : {}) };
    });
    skipOvertaken(entries, image, String);
    expect(entries.map(({ isPlugged }) => isPlugged)).toEqual([false, undefined]);
    expect(skipped(entries)).toEqual([null, '0 says the same']);
  });

  test('a block of which both events say that it was plugged in, or neither, stays so', () => {
    for (const plugged of [{ isPlugged: true }, {}]) {
      const entries = [0, 1].map((event): Entry => ({ event, change: memory('add', 64n * MIB), isBlock: true, ...plugged }));
      skipOvertaken(entries, image, String);
      expect(entries.map(({ isPlugged }) => isPlugged)).toEqual([plugged.isPlugged, plugged.isPlugged]);
    }
  });

  test('the first MiB of x86_64 is in no dump', () => {
    const x86 = { ...image, architecture: architectureNamed('x86_64'), fdt: null };
    expect(already([memory('add', 0n, 32n * MIB)], true, x86)).toEqual(['it is listed already, but for what the dump leaves out']);
  });

  test('CPUs that are not in the FDT cannot go, unless they came before', () => {
    expect(already([cpu('remove', 1), cpu('add', 1), cpu('remove', 1), cpu('remove', 0)])).toEqual([
      'it is not in the FDT',
      null,
      null,
      null,
    ]);
    expect(already([cpu('remove', 1)], false, { ...image, fdt: null })).toEqual([null]);
  });

  test('what another one overtakes is not looked at', () => {
    const entries = entriesOf([memory('add', 80n * MIB), memory('remove', 80n * MIB)]);
    if (entries[0] !== undefined) entries[0].skipped = 'overtaken';
    skipMade(entries, image);
    expect(skipped(entries)).toEqual(['overtaken', 'it is not listed']);
  });
});
