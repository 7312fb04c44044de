import { describe, expect, test } from 'vitest';
import { architectureNamed } from '../../src/arch/registry.js';
import type { ArchitectureName } from '../../src/arch/architecture.js';
import { crashKernelOf, memoryWanted } from '../../src/check/crash-kernel.js';
import { compareState, isCurrent, type StateDifference } from '../../src/check/compare-state.js';
import type { ProgramHeader } from '../../src/elf/records.js';
import { encodeString } from '../../src/fdt/cells.js';
import { parseFdt } from '../../src/fdt/fdt.js';
import type { KdumpImage } from '../../src/image/image.js';
import { parseIomem } from '../../src/machine/iomem.js';
import type { MachineState } from '../../src/machine/machine-state.js';
import { formatRange, rangeOfSize } from '../../src/memory/range.js';
import { changesToState } from '../../src/plan/sync.js';
import { buildFdt, cells, node, prop } from '../fdt/build.js';
import { elfcorehdr, load, note } from '../helpers/elfcorehdr.js';

const MIB = 1n << 20n;
const SERVERS = 'ibm,ppc-interrupt-server#s';
const cpu = (id: number, clock = 1): Record<string, Uint8Array> => ({
  device_type: encodeString('cpu'),
  reg: cells(id),
  [SERVERS]: cells(id, id + 1),
  clock: cells(clock),
});

/** RAM from 1 to 32 and from 48 to 64 MiB around the crashkernel range, backup of the first 64 KiB, cores 0 and 2. */
function imageWith(name: ArchitectureName = 'ppc64le', more: ProgramHeader[] = []): KdumpImage {
  const headers = [
    note(0x1000n),
    note(0x2000n),
    load(0n, 0x10000n, 33n * MIB),
    load(0x10000n, 32n * MIB),
    load(48n * MIB, 64n * MIB),
    ...more,
  ];
  const nodes = [0, 2].map((id) => node(`cpu@${id}`, ...Object.entries(cpu(id)).map(([property, value]) => prop(property, value))));
  return {
    architecture: architectureNamed(name),
    crashKernelRanges: [rangeOfSize(32n * MIB, 16n * MIB)],
    elfcorehdr: { contents: elfcorehdr(headers) },
    fdt: {
      tree: parseFdt(buildFdt([node('cpus', prop('#address-cells', cells(1)), ...nodes)])),
      facts: { crashKernelRanges: [], cmaRanges: [] },
    },
  } as unknown as KdumpImage;
}

const image = imageWith();
const iomem = (...lines: string[]): MachineState => ({ iomem: parseIomem(lines.map((line) => `${line}\n`).join('')) });
const SAME = ['00000000-03ffffff : System RAM', '  02000000-02ffffff : Crash kernel'];

function liveWith(cpus: Record<string, Record<string, Uint8Array>>): MachineState {
  const children = Object.entries(cpus).map(([name, properties]) => ({
    name,
    properties: new Map(Object.entries(properties)),
    children: [],
  }));
  const parent = { name: 'cpus', properties: new Map([['#address-cells', cells(1)]]), children };
  return { deviceTree: { root: { name: '', properties: new Map(), children: [parent] }, namesAreMadeUp: true } };
}

const shown = ({ missingMemory, extraMemory }: StateDifference): string[] => [
  ...(missingMemory ?? []).map((range) => `missing ${formatRange(range)}`),
  ...(extraMemory ?? []).map((range) => `extra ${formatRange(range)}`),
];

test('the backup lists low memory whole, of which not all need be System RAM: none of it is gone', () => {
  const lines = ['00000000-00007fff : System RAM', '00008000-0000ffff : Reserved', '00010000-03ffffff : System RAM', SAME[1] ?? ''];
  expect(compareState(image, iomem(...lines))).toMatchObject({ missingMemory: [], extraMemory: [] });
});

describe('memory', () => {
  test('of the machine but for the crashkernel range is that of the image', () => {
    const difference = compareState(image, iomem(...SAME));
    expect(shown(difference)).toEqual([]);
    expect(isCurrent(difference)).toBe(null);
  });

  test('that came is missing, that went is extra', () => {
    const difference = compareState(
      image,
      iomem('00000000-037fffff : System RAM', '  02000000-02ffffff : Crash kernel', '80000000-8fffffff : System RAM'),
    );
    expect(shown(difference)).toEqual(['missing 0x80000000-0x8fffffff', 'extra 0x3800000-0x3ffffff']);
    expect(isCurrent(difference)).toBe(false);
  });

  test('that is offline counts as gone', () => {
    const offline = { ...iomem(...SAME), offlineMemory: [rangeOfSize(56n * MIB, 8n * MIB)] };
    expect(shown(compareState(image, offline))).toEqual(['extra 0x3800000-0x3ffffff']);
  });

  test('is compared in whole pages, as the dump is', () => {
    expect(
      shown(compareState(imageWith('ppc64le', [load(0x80000800n, 0x80001800n)]), iomem(...SAME, '80000000-80001fff : System RAM'))),
    ).toEqual([]);
  });

  test('inside the crashkernel range that is firmware is not extra', () => {
    expect(shown(compareState(imageWith('ppc64le', [load(40n * MIB, 41n * MIB)]), iomem(...SAME)))).toEqual([]);
  });

  test('that an architecture never dumps is not missing', () => {
    const contents = elfcorehdr([note(0x1000n), note(0x2000n), load(MIB, 32n * MIB), load(48n * MIB, 64n * MIB)]);
    const without = (name: ArchitectureName): KdumpImage => ({ ...imageWith(name), elfcorehdr: { contents } }) as unknown as KdumpImage;
    expect(shown(compareState(without('x86_64'), iomem(...SAME)))).toEqual([]);
    expect(shown(compareState(without('aarch64'), iomem(...SAME)))).toEqual(['missing 0x0-0xfffff']);
  });

  test('that the kernel text maps is not missing', () => {
    const text = { ...load(16n * MIB, 24n * MIB), vaddr: 0xffffffff81000000n };
    const contents = elfcorehdr([
      note(0x1000n),
      note(0x2000n),
      text,
      load(MIB, 16n * MIB),
      load(24n * MIB, 32n * MIB),
      load(48n * MIB, 64n * MIB),
    ]);
    const x86 = { ...imageWith('x86_64'), elfcorehdr: { contents } } as unknown as KdumpImage;
    expect(compareState(x86, iomem(...SAME)).missingMemory).toEqual([]);
  });

  test('is not compared without /proc/iomem', () => {
    expect(compareState(image, {})).toMatchObject({ compared: { memory: false }, missingMemory: null, extraMemory: null });
  });
});

test('the crashkernel range is that of the machine, or of the image where the machine names none', () => {
  const named = iomem('00000000-03ffffff : System RAM', '  01000000-017fffff : Crash kernel');
  expect(crashKernelOf(image, named).map(formatRange)).toEqual(['0x1000000-0x17fffff']);
  expect(crashKernelOf(image, {}).map(formatRange)).toEqual(['0x2000000-0x2ffffff']);
  expect(crashKernelOf({ ...image, crashKernelRanges: [] }, {})).toEqual([]);
});

test('the memory that a dump should have is System RAM without the crashkernel, what is offline and what the architecture never dumps', () => {
  const wanted = (name: ArchitectureName, offlineMemory?: MachineState['offlineMemory']): string[] => {
    const { iomem: entries = [] } = iomem(...SAME);
    return memoryWanted(imageWith(name), { iomem: entries, ...(offlineMemory === undefined ? {} : { offlineMemory }) }).map(formatRange);
  };
  expect(wanted('ppc64le')).toEqual(['0x0-0x1ffffff', '0x3000000-0x3ffffff']);
  expect(wanted('x86_64')).toEqual(['0x100000-0x1ffffff', '0x3000000-0x3ffffff']);
  expect(wanted('ppc64le', [rangeOfSize(60n * MIB, 4n * MIB)])).toEqual(['0x0-0x1ffffff', '0x3000000-0x3bfffff']);
});

describe('CPU notes of an image without an FDT', () => {
  const x86 = { ...imageWith('x86_64'), fdt: null } as unknown as KdumpImage;
  const compared = (possible: number[], notes: [cpu: number, address: bigint, size: bigint][], present = notes.map(([id]) => id)) =>
    compareState(x86, {
      cpus: { possible, present, online: present, crashNotes: new Map(notes.map(([id, address, size]) => [id, { address, size }])) },
    });

  test('are those of CPUs that are present', () => {
    expect(compared([0], [[0, 0x1000n, 0x218n]])).toMatchObject({ missingCpus: [], extraCpus: [], changedCpus: [], unknownNotes: [] });
  });

  test('that are not listed are those of missing CPUs', () => {
    expect(
      compared(
        [0, 1],
        [
          [0, 0x1000n, 0x218n],
          [1, 0x9000n, 0x218n],
        ],
      ),
    ).toMatchObject({ missingCpus: [1], missingNotes: [{ cpu: 1, address: 0x9000n, size: 0x218n }], extraCpus: [], changedCpus: [] });
    // Nobody says where that of a CPU is.
    expect(compared([0, 1], [[0, 0x1000n, 0x218n]], [0, 1]).missingCpus).toEqual([]);
  });

  test('of no CPU are unknown, unless they can be those of CPUs that are possible', () => {
    expect(compared([0], [[0, 0x9000n, 0x218n]]).unknownNotes).toEqual([rangeOfSize(0x1000n, 0x218n)]);
    expect(compared([0, 1], [[0, 0x9000n, 0x218n]]).unknownNotes).toEqual([]);
  });

  test('are not compared without the CPUs of the machine', () => {
    expect(compareState(x86, {})).toMatchObject({ missingCpus: null, missingNotes: null, unknownNotes: null, compared: { cpus: false } });
  });
});

describe('CPUs', () => {
  const compare = (cpus: Parameters<typeof liveWith>[0]): StateDifference => compareState(image, liveWith(cpus));

  test('are compared thread by thread', () => {
    expect(compare({ 'cpu@0': cpu(0), 'cpu@4': cpu(4) })).toMatchObject({ missingCpus: [4, 5], extraCpus: [2, 3], changedCpus: [] });
  });

  test('come in the order of their ids, whatever the order of nodes and threads', () => {
    const odd = { ...cpu(8), [SERVERS]: cells(9, 8) };
    expect(compare({ 'cpu@8': odd, 'cpu@4': cpu(4), 'cpu@0': cpu(0), 'cpu@2': cpu(2) })).toMatchObject({ missingCpus: [4, 5, 8, 9] });
    const nested = { ...cpu(4), [SERVERS]: cells(4, 20) };
    expect(compare({ 'cpu@0': cpu(0), 'cpu@2': cpu(2), 'cpu@4': nested, 'cpu@8': cpu(8) }).missingCpus).toEqual([4, 8, 9, 20]);
  });

  test('below a node of another name are changed', () => {
    expect(compare({ 'core@0': cpu(0), 'cpu@2': cpu(2) })).toMatchObject({ missingCpus: [], extraCpus: [], changedCpus: [0] });
  });

  test('whose nodes differ are changed, which does not keep an image from being current', () => {
    const difference = compareState(image, { ...iomem(...SAME), ...liveWith({ 'cpu@0': cpu(0), 'cpu@2': cpu(2, 7) }) });
    expect(difference).toMatchObject({ missingCpus: [], extraCpus: [], changedCpus: [2] });
    expect(isCurrent(difference)).toBe(true);
  });

  test('a name alone makes no difference', () => {
    expect(compare({ 'cpu@0': { ...cpu(0), name: encodeString('cpu') }, 'cpu@2': cpu(2) }).changedCpus).toEqual([]);
  });

  test('are not compared without a device tree, or without an FDT', () => {
    const none = { compared: { cpus: false }, missingCpus: null, extraCpus: null, changedCpus: null };
    expect(compareState(image, {})).toMatchObject(none);
    expect(compareState({ ...image, fdt: null }, liveWith({ 'cpu@8': cpu(8) }))).toMatchObject(none);
  });
});

describe('the changes that bring an image to a state', () => {
  test('memory first, then each core that came or went, once', () => {
    const state = {
      ...iomem('00000000-037fffff : System RAM', '80000000-8fffffff : System RAM'),
      ...liveWith({ 'cpu@0': cpu(0), 'cpu@4': cpu(4) }),
    };
    expect(
      changesToState(image, state).changes.map((change) => ('cpu' in change ? `${change.action} ${change.cpu.id}` : change.action)),
    ).toEqual(['remove', 'add', 'add 4', 'remove 2']);
  });

  test('add what changed only where nothing came: all CPUs are brought there at once', () => {
    const { changes } = changesToState(image, liveWith({ 'cpu@0': cpu(0), 'cpu@2': cpu(2, 7) }));
    expect(changes).toEqual([{ action: 'add', cpu: { id: 2 } }]);
  });
});
