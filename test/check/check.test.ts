import { describe, expect, test } from 'vitest';
import { architectureNamed } from '../../src/arch/registry.js';
import { checkImage, comparedFindings, digestFindings } from '../../src/check/check.js';
import type { ProgramHeader } from '../../src/elf/records.js';
import { encodeString } from '../../src/fdt/cells.js';
import { parseFdt } from '../../src/fdt/fdt.js';
import type { KdumpImage } from '../../src/image/image.js';
import type { LiveDeviceTree } from '../../src/machine/device-tree.js';
import { parseIomem } from '../../src/machine/iomem.js';
import type { MachineCpus } from '../../src/machine/machine-cpus.js';
import type { MachineState } from '../../src/machine/machine-state.js';
import { rangeOfSize } from '../../src/memory/range.js';
import { buildFdt, cells, node, prop } from '../fdt/build.js';
import { elfcorehdr, load, note } from '../helpers/elfcorehdr.js';

const MIB = 1n << 20n;
const CRASH_KERNEL = rangeOfSize(32n * MIB, 16n * MIB);
const SERVERS = 'ibm,ppc-interrupt-server#s';
const cpu = (threads: readonly number[]): Record<string, Uint8Array> => ({
  device_type: encodeString('cpu'),
  reg: cells(threads[0] ?? 0),
  [SERVERS]: cells(...threads),
});

/** A sound image of aarch64, or of ppc64le that wants a purgatory, with RAM around the crashkernel range and cores of these threads. */
function imageWith(cores: number[][] | null = [[0, 1, 2, 3]], programHeaders: ProgramHeader[] = []): KdumpImage {
  const header = { name: 'elfcorehdr', address: 33n * MIB, memsz: 0x10000n };
  const nodes = (cores ?? []).map((threads) =>
    node(`cpu@${threads[0] ?? 0}`, ...Object.entries(cpu(threads)).map(([name, value]) => prop(name, value))),
  );
  const tree = parseFdt(buildFdt([node('cpus', prop('#address-cells', cells(1)), ...nodes)]));
  return {
    architecture: architectureNamed(cores === null ? 's390x' : 'ppc64le'),
    segments: [header],
    crashKernel: CRASH_KERNEL,
    crashKernelRanges: [CRASH_KERNEL],
    elfcorehdr: {
      segment: header,
      contents: elfcorehdr([
        note(0x1000n),
        note(0x2000n),
        note(0x3000n),
        load(0n, 32n * MIB),
        load(48n * MIB, 64n * MIB),
        ...programHeaders,
      ]),
    },
    fdt:
      cores === null
        ? null
        : {
            segment: { name: 'fdt', address: 34n * MIB, memsz: 0x10000n },
            tree,
            facts: { elfcorehdr: null, initrd: null, crashKernelRanges: [], cmaRanges: [] },
          },
    purgatory: { segment: { name: 'purgatory' }, regions: null, hasForeignTable: false },
    kernel: null,
    kernelUnknown: null,
  } as unknown as KdumpImage;
}

const iomem = (...lines: string[]): MachineState => ({ iomem: parseIomem(lines.map((line) => `${line}\n`).join('')) });
const SAME = ['00000000-03ffffff : System RAM', '  02000000-02ffffff : Crash kernel'];

function live(...cores: number[][]): { deviceTree: LiveDeviceTree } {
  const children = cores.map((threads) => ({
    name: `cpu@${threads[0] ?? 0}`,
    properties: new Map(Object.entries(cpu(threads))),
    children: [],
  }));
  const cpus = { name: 'cpus', properties: new Map([['#address-cells', cells(1)]]), children };
  return { deviceTree: { root: { name: '', properties: new Map(), children: [cpus] }, namesAreMadeUp: true } };
}

const whole = { ...iomem(...SAME), ...live([0, 1, 2, 3]) };
const found = (image: KdumpImage, state: MachineState): string[] =>
  checkImage(image, state).findings.map(({ severity, code, message }) => `${severity} ${code}: ${message}`);

test('an image that has all that the machine has is sound and current', () => {
  expect(checkImage(imageWith(), whole)).toMatchObject({ sound: true, current: true, digest: 'absent', findings: [] });
});

test('a flaw makes it unsound, a warning does not', () => {
  expect(checkImage(imageWith([[0, 1, 2, 3]], [load(63n * MIB, 65n * MIB)]), {})).toMatchObject({ sound: false, current: null });
  expect(checkImage(imageWith([[0, 1, 2, 3]], [{ ...load(64n * MIB, 65n * MIB), filesz: 0n }]), {})).toMatchObject({ sound: true });
});

describe('missing memory', () => {
  const missing = (...lines: string[]): string[] => found(imageWith(), { ...iomem(...SAME, ...lines), ...live([0, 1, 2, 3]) });

  test('is told with its size', () => {
    expect(missing('80000000-8fffffff : System RAM')).toEqual(['error memory-missing: a dump would miss 0x80000000-0x8fffffff (256 MiB)']);
  });

  test('that holds another resource was left out because of it, and it is named', () => {
    expect(missing('80000000-80ffffff : System RAM', '  80000000-80ffffff : Reserved')).toEqual([
      'error memory-missing: a dump would miss 0x80000000-0x80ffffff (16 MiB), which holds Reserved',
    ]);
    // With its place, where it is not all of it; RAM of its own inside is no reason.
    const part = ['80000000-80ffffff : System RAM', '  80000000-807fffff : Reserved'];
    expect(missing(...part, '81000000-81ffffff : System RAM')).toEqual([
      expect.stringMatching(/^error memory-missing: a dump would miss 0x80000000-0x81ffffff \(32 MiB\)$/) as string,
    ]);
  });

  test('of several resources tells four names at most, and how many of each', () => {
    const lines = ['80000000-80ffffff : System RAM', '  80000000-80ffffff : A'];
    expect(missing(...lines, '81000000-81ffffff : System RAM', '  81000000-81ffffff : A')).toEqual([
      'error memory-missing: a dump would miss 0x80000000-0x81ffffff (32 MiB), which holds A (2 ranges)',
    ]);
    expect(missing(...lines, '81000000-81ffffff : System RAM', '  81000000-81ffffff : B')).toEqual([
      'error memory-missing: a dump would miss 0x80000000-0x81ffffff (32 MiB), which holds A at 0x80000000-0x80ffffff, B at 0x81000000-0x81ffffff',
    ]);
    const many = ['A', 'B', 'C', 'D', 'E', 'F'].flatMap((name, index) => [
      `8${index}000000-8${index}ffffff : System RAM`,
      `  8${index}000000-8${index}ffffff : ${name}`,
    ]);
    expect(missing(...many)[0]).toMatch(/, D at 0x83000000-0x83ffffff and 2 other resources$/);
    expect(missing(...many.slice(0, 8))[0]).toMatch(/, D at 0x83000000-0x83ffffff$/);
  });
});

describe('memory that the machine has not', () => {
  const more = imageWith([[0, 1, 2, 3]], [load(64n * MIB, 80n * MIB)]);

  test('can stop the dump', () => {
    expect(found(more, whole)).toEqual([
      'error memory-gone: 0x4000000-0x4ffffff (16 MiB) is listed, and is no System RAM of the machine: reading it for the dump can fail',
    ]);
  });

  test('is offline, where the machine says so', () => {
    expect(found(more, { ...whole, offlineMemory: [rangeOfSize(72n * MIB, 8n * MIB)] })).toEqual([
      'error memory-gone: 0x4000000-0x47fffff (8 MiB) is listed, and is no System RAM of the machine: reading it for the dump can fail',
      'warning memory-offline: 0x4800000-0x4ffffff (8 MiB) is listed and offline',
    ]);
  });

  test('is no second flaw where it is the crashkernel range', () => {
    expect(found(imageWith([[0, 1, 2, 3]], [load(40n * MIB, 49n * MIB)]), whole).filter((each) => each.includes('memory-gone'))).toEqual(
      [],
    );
  });
});

describe('CPUs of the machine', () => {
  const compared = (known: number[][], ...cores: number[][]): string[] => found(imageWith(known), { ...iomem(...SAME), ...live(...cores) });

  test('that the FDT lacks: a core is told once, by its threads where they are not its id', () => {
    expect(compared([[0]], [0], [1], [4, 5, 6, 7], [9, 8])).toEqual([
      'error cpu-missing: CPU 1 is not in the FDT: a crash on it gives no dump',
      'error cpu-missing: CPU 4 (threads 4-7) is not in the FDT: a crash on it gives no dump',
      'error cpu-missing: CPU 9 (threads 8-9) is not in the FDT: a crash on it gives no dump',
    ]);
  });

  test('of which the FDT has a part', () => {
    const [missing, ...others] = compared([[0, 1, 2]], [0, 1, 2, 3, 4]);
    expect(missing).toBe('error cpu-missing: threads 3-4 of CPU 0 are not in the FDT: a crash on them gives no dump');
    expect(others).toEqual(['warning cpu-differs: CPU 0 has other properties in the FDT than on the machine']);
  });

  test('that it has no more', () => {
    expect(compared([[0], [5]], [0])).toEqual(['warning cpu-gone: CPU 5 is in the FDT and not in the device tree of the machine']);
  });
});

describe('CPU notes of an image without an FDT', () => {
  const cpus = (...notes: [cpu: number, address: bigint, size: bigint][]): MachineCpus => ({
    possible: notes.map(([id]) => id),
    present: notes.map(([id]) => id),
    online: notes.map(([id]) => id),
    crashNotes: new Map(notes.map(([id, address, size]) => [id, { address, size }])),
  });
  const [first, second]: [number, bigint, bigint][] = [
    [0, 0x1000n, 0x218n],
    [1, 0x2000n, 0x218n],
  ];
  const state = (...notes: Parameters<typeof cpus>): MachineState => ({ ...iomem(...SAME), cpus: cpus(...notes) });
  const image = imageWith(null);

  test('are those of the machine', () => {
    expect(found(image, state(first ?? expect.fail(), second ?? expect.fail()))).toEqual([]);
  });

  test('that are not listed, or too small: the dump would lack registers', () => {
    expect(found(image, state([0, 0x1000n, 0x219n], [1, 0x2000n, 0x218n], [2, 0x9000n, 0x10n]))).toEqual([
      'error cpu-note-missing: a dump would lack the registers of CPU 0: the elfcorehdr does not list its note, 0x219 bytes at 0x1000',
      'error cpu-note-missing: a dump would lack the registers of CPU 2: the elfcorehdr does not list its note, 0x10 bytes at 0x9000',
    ]);
  });

  test('of no CPU', () => {
    expect(found(image, state(first ?? expect.fail()))).toEqual([
      'warning cpu-note-unknown: the CPU note at 0x2000 is of no CPU of the machine',
    ]);
  });
});

describe('what was not compared is said', () => {
  const codes = (image: KdumpImage, state: MachineState): string[] =>
    comparedFindings(image, state).map(({ code, message }) => `${code}: ${message}`);
  const cpus: MachineCpus = { possible: [], present: [], online: [], crashNotes: new Map() };
  const memory = 'memory-not-compared: memory was not compared with the machine: give --iomem, its /proc/iomem';
  const device = 'cpus-not-compared: CPUs were not compared with the machine: give --device-tree, its live device tree';
  const sysfs = 'cpus-not-compared: CPUs were not compared with the machine: give --cpus, its /sys/devices/system/cpu';

  test('of an image with an FDT', () => {
    const image = imageWith();
    expect(codes(image, {})).toEqual([]);
    expect(codes(image, whole)).toEqual([]);
    expect(codes(image, iomem(...SAME))).toEqual([device]);
    expect(codes(image, live([0]))).toEqual([memory]);
    expect(codes(image, { cpus })).toEqual([memory, `${device}; --cpus has the numbers of Linux, which the FDT does not know`]);
  });

  test('of one without', () => {
    const image = imageWith(null);
    expect(codes(image, { ...iomem(...SAME), cpus })).toEqual([]);
    expect(codes(image, iomem(...SAME))).toEqual([sysfs]);
    expect(codes(image, live([0]))).toEqual([memory, `${sysfs}; this image has no FDT to compare with a device tree`]);
    expect(comparedFindings(image, iomem(...SAME)).map(({ severity }) => severity)).toEqual(['warning']);
  });
});

describe('a digest that does not match', () => {
  test('keeps the capture kernel from starting', () => {
    expect(digestFindings(imageWith(), 'mismatch')).toEqual([
      {
        severity: 'error',
        code: 'digest-mismatch',
        message: "the purgatory's digest does not match: it will reject the image and hang instead of starting the capture kernel",
      },
    ]);
    for (const status of ['match', 'absent', 'unchecked'] as const) expect(digestFindings(imageWith(), status)).toEqual([]);
  });

  test('does no harm where the purgatory never looks at it', () => {
    const image = imageWith();
    const tree = parseFdt(buildFdt([node('chosen', prop('linux,elfcorehdr', cells(0, 1, 0, 1)))]));
    const loaded = { ...image, fdt: { ...image.fdt, tree } } as unknown as KdumpImage;
    expect(digestFindings(loaded, 'mismatch')).toEqual([
      {
        severity: 'info',
        code: 'digest-ignored',
        message: "the purgatory's digest does not match, which does no harm: the one that kexec_file_load loads on ppc64 never looks at it",
      },
    ]);
    expect(digestFindings({ ...loaded, architecture: architectureNamed('riscv64') }, 'mismatch')).toMatchObject([
      { code: 'digest-mismatch' },
    ]);
  });
});

describe('an image of another boot', () => {
  const elsewhere = iomem('00000000-03ffffff : System RAM', '  01000000-017fffff : Crash kernel');
  const of = (image: KdumpImage, state: MachineState): string[] =>
    found(image, state).filter((each) => each.includes('crashkernel-differs'));

  test('is not current, whatever else is the same', () => {
    expect(checkImage(imageWith(), { ...whole, ...elsewhere }).current).toBe(false);
    expect(of(imageWith(), elsewhere)).toEqual([
      'error crashkernel-differs: the machine has its crashkernel range at 0x1000000-0x17fffff, the image is made for 0x2000000-0x2ffffff',
    ]);
    expect(of(imageWith(), whole)).toEqual([]);
  });

  test('is known by the ranges that its FDT states, too', () => {
    const stating = (...crashKernelRanges: (typeof CRASH_KERNEL)[]): KdumpImage => {
      const image = imageWith();
      return { ...image, fdt: { ...image.fdt, facts: { ...image.fdt?.facts, crashKernelRanges } } } as unknown as KdumpImage;
    };
    expect(of(stating(CRASH_KERNEL), iomem(...SAME))).toEqual([]);
    expect(of(stating(rangeOfSize(16n * MIB, MIB), CRASH_KERNEL), iomem(...SAME))).toEqual([
      'error crashkernel-differs: the machine has its crashkernel range at 0x2000000-0x2ffffff, the image is made for 0x1000000-0x10fffff, 0x2000000-0x2ffffff',
    ]);
  });

  test('with two ranges, or of an image that does not say its own', () => {
    const two = iomem('00000000-03ffffff : System RAM', '  00800000-00ffffff : Crash kernel', '  01000000-017fffff : Crash kernel');
    expect(of({ ...imageWith(), crashKernel: null }, two)).toEqual([
      'error crashkernel-differs: the machine has its crashkernel ranges at 0x800000-0xffffff, 0x1000000-0x17fffff, the image is made for the memory around its elfcorehdr',
    ]);
  });
});

test('memory of devices that is left out is said, and not missing', () => {
  const device = {
    name: 'memory@3800000',
    properties: new Map([
      ['device_type', encodeString('memory')],
      ['compatible', encodeString('ibm,coherent-device-memory')],
      ['reg', cells(0, 0x4000000, 0, 0x1000000)],
    ]),
    children: [],
  };
  const { deviceTree } = live([0, 1, 2, 3]);
  const root = {
    ...deviceTree.root,
    properties: new Map([
      ['#address-cells', cells(2)],
      ['#size-cells', cells(2)],
    ]),
    children: [...deviceTree.root.children, device],
  };
  expect(found(imageWith(), { ...iomem(...SAME, '04000000-04ffffff : System RAM'), deviceTree: { ...deviceTree, root } })).toEqual([
    'warning device-memory-left-out: coherent device memory 0x4000000-0x4ffffff (16 MiB) is not in the dump: its link is down after a crash, and the machine stops when the capture kernel reads it',
  ]);
});
