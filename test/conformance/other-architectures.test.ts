import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { node, prop } from '../fdt/build.js';
import {
  build,
  cpuNode,
  dtc,
  load,
  LSB,
  MSB,
  nodeLines,
  packedFile,
  partsOf,
  planOf,
  programHeadersOf,
  ramFile,
  readelf,
  shown,
  type ArchitectureName,
} from '../helpers/build-image.js';
import { runHere as run } from '../helpers/run-here.js';
import { Capture, type ImageFile } from '../helpers/capture-image.js';
import { EVERY_WAY } from '../helpers/every-way.js';
import { has, scratchFolder } from '../helpers/run.js';

const folder = scratchFolder();
const hasTools = has('readelf') && has('dtc');
const hasTar = has('tar');

interface Inspected {
  architecture: string;
  byteOrder: string;
  crashKernel: { start: string; size: number } | null;
  segments: { name: string; address: string; memsz: number }[];
  elfcorehdr: {
    memsz: number;
    programHeaders: number;
    cpuNotes: number;
    kernelText: { start: string; virtualAddress: string } | null;
    memory: { start: string; size: number; kind: string }[];
  };
  fdt: { totalSize: number; cpus: { name: string; id: number }[] } | null;
  purgatory: { digest: string; covers: string[] } | null;
  findings: { severity: string; code: string; message: string }[];
}

function inspected(path: string, options: readonly string[], ...more: string[]): Inspected {
  const result = run(['inspect', path, ...options, ...more, '--json']);
  expect(result).toMatchObject({ status: 0, stderr: '' });
  return JSON.parse(result.stdout) as Inspected;
}

/** Linear map of the captured guests. */
const AARCH64_LINEAR = 0xffff000000000000n - 0x40000000n;
const loadsOf = (bytes: Uint8Array): string[] => programHeadersOf(bytes).map(shown);

describe.skipIf(!hasTools).each([
  ['aarch64-6.12', 0xc0000000n, { kernel: 'ffff800080000000', vaddr: (0xc0000000n + AARCH64_LINEAR).toString(16) }],
  // The kernel's linear map is not in the image: p_vaddr follows what kexec-tools wrote.
  ['riscv64-6.12', 0x100000000n, { kernel: 'ffffffff80002000', vaddr: (0x100000000n - 0x7f401000n).toString(16) }],
] as const)('%s', (guest, end, { kernel, vaddr }) => {
  const capture = new Capture(guest);
  const withPurgatory = guest === 'aarch64-6.12';
  const elfcorehdr = capture.segment('elfcorehdr').mem;
  /** The RAM file is read with --base and, where it tells what the content does not, the log of kexec. */
  const ways = {
    'RAM file': () => ({ image: capture.ramFile(mkdir()), more: [] }),
    'RAM file and kexec log': () => ({ image: capture.ramFile(mkdir()), more: ['--kexec-log', capture.kexecLog] }),
    'packed image': () => ({ image: capture.packedImage(mkdir()), more: [] }),
  };
  const one = withPurgatory ? 'RAM file and kexec log' : 'packed image';
  const WAYS: (keyof typeof ways)[] = EVERY_WAY ? (Object.keys(ways) as (keyof typeof ways)[]) : [one];
  const digestIn = (image: ImageFile): string =>
    Buffer.from(image.read('purgatory').subarray(capture.digestOffset, capture.digestOffset + 32)).toString('hex');
  const fdtSource = (image: ImageFile): string => dtc(image.read('fdt'));
  const cells = (value: bigint): string => `0x${(value >> 32n).toString(16).padStart(2, '0')} 0x${(value & 0xffffffffn).toString(16)}`;

  test.each(WAYS)('%s: inspected', (way) => {
    const { image, more } = ways[way]();
    const found = inspected(image.path, [...image.options, ...more], '--verify');
    expect(found).toMatchObject({
      architecture: guest.split('-')[0],
      byteOrder: 'lsb',
      crashKernel: { start: withPurgatory ? '0xa9a00000' : '0xebc00000', size: 0x10000000 },
      elfcorehdr: { memsz: 0x1000, cpuNotes: 2, kernelText: { virtualAddress: `0x${kernel}` } },
      purgatory: withPurgatory ? { digest: 'match', covers: ['kernel', 'initrd', 'fdt', 'elfcorehdr'] } : null,
    });
    expect(found.fdt?.cpus.map(({ id }) => id).sort()).toEqual([0, 1]);
    // The made-up purgatory is all zeros but for a page, so what is found by its content is less than the segment.
    const isFound = (name: string): boolean => name !== 'purgatory' || way !== 'RAM file';
    expect(found.segments.map(({ name, address, memsz }) => [name, ...(isFound(name) ? [BigInt(address), BigInt(memsz)] : [])])).toEqual(
      capture.segments.map(({ role, mem, memsz }) => [role, ...(isFound(role) ? [mem, memsz] : [])]),
    );
  });

  test.each(WAYS)('%s: memory added, read back by readelf', (way) => {
    const { image, more } = ways[way]();
    const before = image.fingerprint();
    const plan = planOf(run(['apply', image.path, ...image.options, ...more, '--add-memory', `0x${end.toString(16)}+256M`, '--json']));
    expect(plan.applied).toBe(true);
    const table = loadsOf(capture.captured('elfcorehdr', '00-loaded'));
    const patched = readelf(image.read('elfcorehdr'));
    if (withPurgatory) {
      // memblock joins neighbours: the last range grows.
      expect(patched).toEqual([...table.slice(0, -1), 'LOAD b9a00000 ffff000079a00000 b9a00000 16600000 16600000']);
      expect(plan.digest).toBe('rewritten');
      expect(digestIn(image)).toBe(capture.digest((role) => image.read(role)));
    } else {
      expect(patched).toEqual([...table, `LOAD 100000000 ${vaddr} 100000000 10000000 10000000`]);
      expect(plan.digest).toBe('absent');
    }
    const now = image.fingerprint();
    expect(
      [...now]
        .filter(([piece, hash]) => before.get(piece) !== hash)
        .map(([piece]) => piece)
        .sort(),
    ).toEqual(withPurgatory ? ['elfcorehdr', 'purgatory'] : ['elfcorehdr']);
    // Still 0x400 bytes or less, as linux,elfcorehdr says.
    expect(nodeLines(fdtSource(image), 'chosen')).toContain(`linux,elfcorehdr = <${cells(elfcorehdr)} 0x00 0x400>;`);
  });

  test.each(WAYS)('%s: an elfcorehdr that outgrows linux,elfcorehdr has its memsz there', (way) => {
    const { image, more } = ways[way]();
    const start = 0x200000000n;
    const ranges = Array.from({ length: 20 }, (_, index) => start + BigInt(index) * 0x20000000n);
    const options = ranges.flatMap((at) => ['--add-memory', `0x${at.toString(16)}+256M`]);
    const command = ['apply', image.path, ...image.options, ...more, ...options, '--json'];
    const plan = planOf(run(command));
    expect(plan.findings.map(({ code }) => code)).toContain('elfcorehdr-reservation-extended');
    const patched = readelf(image.read('elfcorehdr'));
    expect(patched.slice(-20).map((line) => line.split(' ')[3])).toEqual(ranges.map((at) => at.toString(16)));
    expect(64 + 56 * patched.length).toBeGreaterThan(0x400);
    expect(nodeLines(fdtSource(image), 'chosen')).toContain(`linux,elfcorehdr = <${cells(elfcorehdr)} 0x00 0x1000>;`);
    if (withPurgatory) expect(digestIn(image)).toBe(capture.digest((role) => image.read(role)));
    expect(planOf(run(command)).applied).toBe(false);
    const found = inspected(image.path, [...image.options, ...more], '--verify');
    expect(found.findings.filter(({ severity }) => severity === 'error')).toEqual([]);
    if (withPurgatory) expect(found.purgatory?.digest).toBe('match');
  });

  test('more ranges than 72 program headers are refused with how much is needed', () => {
    const { image } = ways['packed image']();
    const before = image.fingerprint();
    const options = Array.from({ length: 80 }, (_, index) => [
      '--add-memory',
      `0x${(0x200000000n + BigInt(index) * 0x20000000n).toString(16)}+1M`,
    ]);
    const result = run(['apply', image.path, ...options.flat()]);
    expect(result).toMatchObject({ status: 4, stdout: '' });
    expect(result.stderr).toMatch(
      /does not fit[^\n]*program headers, which take \d+ bytes[^\n]*at most 4096 bytes \(memsz\), 72 program headers[^\n]*reload/,
    );
    expect(image.fingerprint()).toEqual(before);
  });

  test('a CPU made after another one is refused without its crash notes', () => {
    const { image } = ways['packed image']();
    const before = image.fingerprint();
    const result = run(['apply', image.path, '--add-cpu', '2']);
    expect(result).toMatchObject({ status: 4, stdout: '' });
    expect(result.stderr).toContain('crashNotes');
    expect(image.fingerprint()).toEqual(before);
  });

  test('a CPU made after another one, with its crash notes', () => {
    const { image } = ways['packed image']();
    const input = JSON.stringify({
      changes: [{ action: 'add', cpu: { id: 2, crashNotes: { address: '0x90000400', size: '0x1a8' } } }],
    });
    const plan = planOf(run(['apply', image.path, '--changes', '-', '--json'], { input }));
    expect(plan.segments.filter(({ changed }) => changed).map(({ name }) => name)).toEqual(
      withPurgatory ? ['elfcorehdr', 'fdt', 'purgatory'] : ['elfcorehdr', 'fdt'],
    );
    const table = loadsOf(capture.captured('elfcorehdr', '00-loaded'));
    expect(readelf(image.read('elfcorehdr'))).toEqual([...table.slice(0, 2), 'NOTE 90000400 0 90000400 1a8 1a8', ...table.slice(2)]);
    const source = fdtSource(image);
    const pattern = nodeLines(source, 'cpu@1').filter((line) => !/^(phandle|reg) /.test(line));
    expect(nodeLines(source, 'cpu@2')).toEqual([...pattern, 'reg = <0x02>;'].sort());
    if (withPurgatory) expect(digestIn(image)).toBe(capture.digest((role) => image.read(role)));
    expect(planOf(run(['apply', image.path, '--changes', '-', '--json'], { input })).applied).toBe(false);
  });

  test.skipIf(!hasTar)('a CPU from a live device tree', () => {
    const { image } = ways['packed image']();
    const tree = mkdir();
    expect(spawnSync('tar', ['-xzf', capture.deviceTreeArchive('00-loaded'), '-C', tree]).status).toBe(0);
    const cpu = join(tree, 'cpus', 'cpu@2');
    mkdirSync(cpu);
    const properties: [string, Uint8Array | string][] = [
      ['device_type', 'cpu\0'],
      ['reg', Uint8Array.of(0, 0, 0, 2)],
      ['compatible', 'vendor,new\0'],
    ];
    for (const [name, value] of properties) writeFileSync(join(cpu, name), value);
    const input = JSON.stringify({
      changes: [{ action: 'add', cpu: { id: 2, crashNotes: { address: '0x90000400', size: '0x1a8' } } }],
    });
    const plan = planOf(run(['apply', image.path, '--changes', '-', '--device-tree', tree, '--json'], { input }));
    expect(plan.applied).toBe(true);
    const source = fdtSource(image);
    expect(nodeLines(source, 'cpu@2')).toEqual(['compatible = "vendor,new";', 'device_type = "cpu";', 'reg = <0x02>;']);
    if (withPurgatory) expect(digestIn(image)).toBe(capture.digest((role) => image.read(role)));
    const state = run(['check', image.path, '--device-tree', tree, '--json']);
    expect(JSON.parse(state.stdout)).toMatchObject({ current: null, missingCpus: [], extraCpus: [] });
  });
});

let folders = 0;
function mkdir(): string {
  folders += 1;
  const path = join(folder, String(folders));
  mkdirSync(path);
  return path;
}

test('riscv64: check names what kexec-tools left out, what touches as one, with the resource that explains it', () => {
  const capture = new Capture('riscv64-6.12');
  const image = capture.packedImage(mkdir());
  const iomem = join(capture.deviceTreeArchive('00-loaded'), '..', 'iomem.txt');
  const result = run(['check', image.path, '--iomem', iomem, '--json']);
  expect(result).toMatchObject({ status: 1, stderr: '' });
  const checked = JSON.parse(result.stdout) as {
    sound: boolean;
    current: boolean;
    missingMemory: { start: string; size: number }[];
    extraMemory: unknown[];
    findings: { severity: string; code: string; message: string }[];
  };
  expect(checked).toMatchObject({ sound: true, current: false, extraMemory: [] });
  const missing = checked.findings.filter(({ code }) => code === 'memory-missing').map(({ message }) => message);
  // All resources of the guest's System RAM that no PT_LOAD holds, from its /proc/iomem.
  const reserved = [
    '80000000-8007ffff',
    'bfe00000-bfe01fff',
    '88200000-89051fff',
    'eba00000-ebbfffff',
    'fbc00000-fdbfffff',
    'fdca8000-fdda8fff',
    'fdda9000-fdde8fff',
    'fddeb000-fddeefff',
    'fddef000-ffdf1fff',
    'ffdf2000-ffdf7fff',
    'ffdf8000-ffffffff',
  ];
  for (const range of reserved) {
    const [first = 0n, last = 0n] = range.split('-').map((text) => BigInt(`0x${text}`));
    const line = missing.find((message) => {
      const [, start = '0', end = '0'] = /(0x[0-9a-f]+)-(0x[0-9a-f]+)/.exec(message) ?? [];
      return BigInt(start) <= first && last <= BigInt(end);
    });
    expect(line, range).toMatch(
      /^a dump would miss 0x[0-9a-f]+-0x[0-9a-f]+ \(.*\), which holds Reserved( \(\d ranges\)| at 0x[0-9a-f-x]+)?$/,
    );
  }
  const lost = checked.missingMemory.reduce((sum, { size }) => sum + size, 0);
  const sizes = reserved.map((range) => range.split('-').map((hex) => parseInt(hex, 16)));
  expect(lost).toBeGreaterThanOrEqual(sizes.reduce((sum, [first = 0, last = 0]) => sum + last - first + 1, 0));
  expect(checked.findings.filter(({ code }) => code === 'not-linear-map')).toHaveLength(6);
});

interface Case {
  readonly architecture: ArchitectureName;
  readonly what: string;
  readonly eiData: number;
  readonly fileLoaded?: boolean;
}

/** What the kernel writes into EI_DATA is LSB on every architecture; kexec-tools write the right one. */
const CASES: readonly Case[] = [
  { architecture: 'ppc64', what: 'EI_DATA of the kernel', eiData: LSB },
  { architecture: 'ppc64', what: 'EI_DATA of kexec-tools', eiData: MSB },
  { architecture: 'ppc64', what: 'EI_DATA of the kernel, kexec_file_load', eiData: LSB, fileLoaded: true },
  { architecture: 'ppc64le', what: 'kexec_load', eiData: LSB },
  { architecture: 'ppc64le', what: 'kexec_file_load', eiData: LSB, fileLoaded: true },
  { architecture: 'aarch64', what: 'kexec_load', eiData: LSB },
  { architecture: 'riscv64', what: 'kexec_file_load', eiData: LSB },
  { architecture: 'loongarch64', what: 'kexec_file_load', eiData: LSB },
];

describe.skipIf(!hasTools).each(CASES)('a built image of $architecture, $what', ({ architecture, what, eiData, fileLoaded }) => {
  const parts = partsOf(architecture, fileLoaded === undefined ? {} : { fileLoaded });
  parts.eiData = eiData;
  const { little, base, linear } = parts.facts;
  const built = build(parts);
  const name = `${architecture}-${what.replace(/\W/g, '')}`;
  const files = {
    'RAM file': () => ramFile(join(mkdir(), `${name}.ram`), [built]),
    'packed image': () => packedFile(join(mkdir(), `${name}.kdump`), built),
  };
  const merges = architecture !== 'riscv64';
  const ramEnd = base + 0x4000000n;

  test.each(['RAM file', 'packed image'] as const)('%s: inspected, patched, read back', (way) => {
    const file = files[way]();
    const found = inspected(file.path, file.options, '--verify');
    expect(found).toMatchObject({
      architecture,
      byteOrder: little ? 'lsb' : 'msb',
      crashKernel: { start: `0x${parts.crashKernel.start.toString(16)}`, size: 0x1000000 },
      elfcorehdr: { memsz: 0x10000, cpuNotes: 2, programHeaders: parts.programHeaders.length },
      purgatory: { digest: 'match', covers: parts.covers },
    });
    expect(found.findings.filter(({ severity }) => severity === 'error')).toEqual([]);
    expect(found.elfcorehdr.kernelText?.virtualAddress ?? null).toBe(
      parts.facts.text === undefined ? null : `0x${parts.facts.text.toString(16)}`,
    );
    expect(found.segments.map(({ name: segment, address }) => [segment, BigInt(address)])).toEqual(
      [...parts.places].map(([role, { address }]) => [role, address]).sort((a, b) => ((a[1] as bigint) < (b[1] as bigint) ? -1 : 1)),
    );

    const notes = { address: `0x${(base + 0x710000n).toString(16)}`, size: '0x170' };
    const input = JSON.stringify({
      changes: [
        { action: 'add', memory: { start: `0x${ramEnd.toString(16)}`, size: '16M' } },
        { action: 'add', memory: { start: '0x4000000000', size: '1G' } },
        { action: 'add', cpu: { id: 2, crashNotes: notes } },
      ],
    });
    const command = ['apply', file.path, ...file.options, '--changes', '-', '--json'];
    const plan = planOf(run(command, { input }));
    expect(plan).toMatchObject({ applied: true, digest: 'rewritten', changes: [{ made: true }, { made: true }, { made: true }] });

    const elfcorehdr = file.read('elfcorehdr');
    expect(elfcorehdr[5]).toBe(eiData);
    const table = parts.programHeaders.map(shown);
    const last = parts.programHeaders.at(-1);
    const note = `NOTE ${[notes.address, '0x0', notes.address, notes.size, notes.size].map((each) => each.slice(2)).join(' ')}`;
    const grown = load(last?.paddr ?? 0n, (last?.memsz ?? 0n) + 0x1000000n, linear);
    const wanted = [
      ...table.slice(0, 2),
      note,
      ...table.slice(2, -1),
      ...(merges ? [shown(grown)] : [...table.slice(-1), shown(load(ramEnd, 0x1000000n, linear))]),
      shown(load(0x4000000000n, 0x40000000n, linear)),
    ];
    expect(programHeadersOf(elfcorehdr, little).map(shown)).toEqual(wanted);
    // readelf goes by EI_DATA; what the kernel writes on a big-endian machine it cannot read.
    const readable = Buffer.from(elfcorehdr);
    readable[5] = little ? LSB : MSB;
    expect(readelf(readable)).toEqual(wanted);

    const source = dtc(file.read('fdt'));
    const id = (line: string): string => line.replace(/0x01/g, '0x02');
    const unit = architecture.startsWith('ppc64') ? 'PowerPC,POWER9' : 'cpu';
    expect(nodeLines(source, `${unit}@2`)).toEqual(nodeLines(source, `${unit}@1`).map(id));
    expect(file.digests().stored).toBe(file.digests().computed);

    expect(planOf(run(command, { input })).applied).toBe(false);
    expect(inspected(file.path, file.options, '--verify')).toMatchObject({ purgatory: { digest: 'match' }, elfcorehdr: { cpuNotes: 3 } });
  });

  test('a CPU from a device tree blob', () => {
    const file = files['packed image']();
    const live = partsOf(architecture);
    live.cpus = [
      cpuNode(architecture, 0),
      cpuNode(architecture, 1),
      cpuNode(architecture, 2, prop('clock-frequency', Uint8Array.of(1, 2, 3, 4))),
    ];
    const tree = join(mkdir(), 'live.dtb');
    writeFileSync(tree, build(live).segments.find(({ role }) => role === 'fdt')?.bytes ?? '');
    const input = JSON.stringify({ changes: [{ action: 'add', cpu: { id: 2, crashNotes: { address: '0x710000', size: 0x170 } } }] });
    planOf(run(['apply', file.path, '--changes', '-', '--device-tree', tree, '--json'], { input }));
    const unit = architecture.startsWith('ppc64') ? 'PowerPC,POWER9' : 'cpu';
    expect(nodeLines(dtc(file.read('fdt')), `${unit}@2`)).toContain('clock-frequency = <0x1020304>;');
    expect(file.digests().stored).toBe(file.digests().computed);
  });

  test('memory removed', () => {
    const file = files['packed image']();
    const at = base + 0x3800000n;
    planOf(run(['apply', file.path, '--remove-memory', `0x${at.toString(16)}+4M`, '--json']));
    const table = parts.programHeaders.map(shown);
    const halves = [load(base + 0x3000000n, 0x800000n, linear), load(base + 0x3c00000n, 0x400000n, linear)];
    expect(programHeadersOf(file.read('elfcorehdr'), little).map(shown)).toEqual([...table.slice(0, -1), ...halves.map(shown)]);
    expect(file.read('elfcorehdr')[5]).toBe(eiData);
  });
});

describe('s390x', () => {
  const parts = partsOf('s390x', { cpus: 0 });
  parts.covers = ['kernel', 'initrd'];

  test('inspected; a change is refused with the reason', () => {
    const file = packedFile(join(mkdir(), 's390x.kdump'), build(parts));
    const found = inspected(file.path, []);
    expect(found).toMatchObject({ architecture: 's390x', byteOrder: 'msb', fdt: null, elfcorehdr: { cpuNotes: 0, kernelText: null } });
    expect(found.elfcorehdr.memory.map(({ start }) => start)).toEqual(['0x0', '0x3000000']);
    const before = readFileSync(file.path);
    for (const change of [
      ['--add-memory', '0x10000000+1M'],
      ['--remove-memory', '0x3000000+1M'],
      ['--add-cpu', '2'],
    ]) {
      const result = run(['apply', file.path, ...change]);
      expect(result).toMatchObject({ status: 4, stdout: '' });
      expect(result.stderr).toMatch(/^kdump-hotplug: [^\n]*s390x the capture kernel builds the elfcorehdr itself[^\n]*\n$/);
      expect(run(['plan', file.path, ...change]).status).toBe(4);
    }
    expect(readFileSync(file.path).equals(before)).toBe(true);
  });
});

test('an FDT with other nodes below /cpus keeps them', () => {
  const parts = partsOf('aarch64');
  parts.cpus = [node('cpu-map', node('cluster0')), ...parts.cpus, node('idle-states', prop('entry-method', 'psci'))];
  const file = packedFile(join(mkdir(), 'others.kdump'), build(parts));
  const input = JSON.stringify({ changes: [{ action: 'add', cpu: { id: 2, crashNotes: { address: '0x40710000', size: 0x170 } } }] });
  planOf(run(['apply', file.path, '--changes', '-', '--json'], { input }));
  const found = inspected(file.path, []);
  expect(found.fdt?.cpus.map(({ name }) => name)).toEqual(['cpu@0', 'cpu@1', 'cpu@2']);
  const printed = run(['inspect', file.path, '--fdt']).stdout;
  expect(printed).toContain('cpu-map {');
  expect(printed).toContain('entry-method = "psci";');
});
