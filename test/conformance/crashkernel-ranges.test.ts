import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { nodeFileSystem } from '../../src/file/node-file-system.js';
import type { KdumpImage } from '../../src/image/image.js';
import { closeImage, openImage } from '../../src/image/open.js';
import type { Range } from '../../src/memory/range.js';
import { cells, prop } from '../fdt/build.js';
import { build, load, packedFile, partsOf, planOf, ramFile, type Built, type ProgramHeader } from '../helpers/build-image.js';
import { runHere as run } from '../helpers/run-here.js';
import { run as spawn, scratchFolder, type RunResult } from '../helpers/run.js';

// A machine may have reserved more than one range: crashkernel=…,high takes another one below 4 GiB, crashkernel=…,cma up to four more, which
// /proc/iomem does not name. No dump has any of them.

const folder = scratchFolder();
const fresh = (name: string): string => join(mkdtempSync(join(folder, 'x')), name);

type Pair = readonly [start: bigint, end: bigint];
const LOW: Pair = [0x50000000n, 0x51000000n];
const HIGH: Pair = [0x180000000n, 0x181000000n];
const BLOCK: Pair = [0x50000000n, 0x58000000n];
const CMA: Pair = [0x1a0000000n, 0x1a8000000n];
const RAM: readonly Pair[] = [
  [0x40000000n, 0x80000000n],
  [0x140000000n, 0x200000000n],
];
const rangeOf = ([start, end]: Pair): string => `0x${start.toString(16)}-0x${(end - 1n).toString(16)}`;
const json = ([start, end]: Pair): object => ({ start: `0x${start.toString(16)}`, size: Number(end - start) });

/** An image whose dump leaves out the ranges of `holes`, and whose FDT, if it has one, names those of `usable`. */
function imageWith(architecture: 'aarch64' | 'x86_64', holes: readonly Pair[], usable: readonly Pair[]): Built {
  const parts = partsOf(architecture);
  const moved = HIGH[0] - parts.crashKernel.start;
  parts.crashKernel = { start: HIGH[0], end: HIGH[1] };
  for (const [role, { address, memsz }] of parts.places) parts.places.set(role, { address: address + moved, memsz });
  const { linear } = parts.facts;
  const pieces = RAM.flatMap(([start, end]): ProgramHeader[] => {
    const inside = holes.filter((hole) => start <= hole[0] && hole[1] <= end).sort((a, b) => (a[0] < b[0] ? -1 : 1));
    const cuts = [start, ...inside.flat(), end];
    return cuts.flatMap((from, index) => (index % 2 === 0 ? [load(from, (cuts[index + 1] as bigint) - from, linear)] : []));
  });
  parts.programHeaders = [
    ...parts.programHeaders.filter(({ type }) => type === 4),
    load(0x60000000n, 0x400000n, 0xffffffff00000000n),
    ...pieces,
  ];
  const split = (value: bigint): [number, number] => [Number(value >> 32n), Number(value & 0xffffffffn)];
  const at = (role: 'elfcorehdr' | 'initrd'): bigint => parts.places.get(role)?.address ?? 0n;
  parts.chosen = [
    prop('linux,initrd-start', cells(...split(at('initrd')))),
    prop('linux,initrd-end', cells(...split(at('initrd') + 0x9000n))),
    prop('linux,elfcorehdr', cells(...split(at('elfcorehdr')), 0, 0x400)),
    prop('linux,usable-memory-range', cells(...usable.flatMap(([start, end]) => [...split(start), ...split(end - start)]))),
  ];
  return build(parts);
}

const packed = (built: Built): string => packedFile(fresh('image.kdump'), built).path;

function iomemWith(crashKernels: readonly Pair[], more: readonly Pair[] = []): string {
  const line = ([start, end]: Pair, name: string): string => `${start.toString(16)}-${(end - 1n).toString(16)} : ${name}\n`;
  const text = [...RAM, ...more].map(
    (ram) =>
      line(ram, 'System RAM') +
      crashKernels.map((range) => (ram[0] <= range[0] && range[1] <= ram[1] ? `  ${line(range, 'Crash kernel')}` : '')).join(''),
  );
  const path = fresh('iomem');
  writeFileSync(path, text.join(''));
  return path;
}

interface Checked {
  sound: boolean;
  current: boolean | null;
  missingMemory: object[];
  extraMemory: object[];
  findings: { code: string; message: string }[];
}
const checked = (...args: string[]): Checked => JSON.parse(run(['check', ...args, '--json']).stdout) as Checked;
const codesOf = ({ findings }: Checked): string[] => findings.map(({ code }) => code);
const added = (result: RunResult): object[] => (planOf(result) as unknown as { changes: object[] }).changes;

const NEW: Pair = [0x200000000n, 0x220000000n];
const aarch64 = packed(imageWith('aarch64', [LOW, HIGH], [HIGH, LOW]));
const x86 = packed(imageWith('x86_64', [LOW, HIGH], []));

describe('an FDT that names a high and a low range', () => {
  test('both are the crashkernel, the one with the elfcorehdr first of all', () => {
    const result = run(['inspect', aarch64, '--json']);
    expect(JSON.parse(result.stdout)).toMatchObject({ crashKernel: json(HIGH), crashKernelRanges: [json(LOW), json(HIGH)] });
    expect(run(['inspect', aarch64]).stdout).toContain(
      `Segments in crashkernel ${rangeOf(HIGH)} (16 MiB), reserved with ${rangeOf(LOW)} (16 MiB)`,
    );
  });

  test('is found in raw memory', () => {
    const { path, options } = ramFile(fresh('ram'), [imageWith('aarch64', [LOW, HIGH], [HIGH, LOW])], 0x1c0000000);
    const result = run(['inspect', path, ...options, '--json']);
    expect(JSON.parse(result.stdout)).toMatchObject({ crashKernel: json(HIGH), crashKernelRanges: [json(LOW), json(HIGH)] });
  });

  test('neither is missing, or added with memory that came', () => {
    expect(checked(aarch64, '--iomem', iomemWith([LOW, HIGH]))).toMatchObject({
      sound: true,
      current: null,
      missingMemory: [],
      findings: [{ code: 'cpus-not-compared' }],
    });
    const grown = iomemWith([LOW, HIGH], [NEW]);
    expect(checked(aarch64, '--iomem', grown)).toMatchObject({ missingMemory: [json(NEW)], extraMemory: [] });
    expect(added(run(['sync', aarch64, '-n', '--iomem', grown, '--json']))).toMatchObject([{ action: 'add', memory: json(NEW) }]);
  });

  test('memory of the low one is not added', () => {
    const result = run(['plan', aarch64, '--add-memory', '0x50800000+1M']);
    expect(result).toMatchObject({ status: 4, stdout: '' });
    expect(result.stderr).toContain(`the crashkernel range ${rangeOf(LOW)} in it`);
  });

  test('a dump that has the low one is not sound, even where it lists it as a range of its own', () => {
    const listing = imageWith('aarch64', [HIGH], [HIGH, LOW]);
    expect(codesOf(checked(packed(listing)))).toEqual(['crashkernel-listed']);
    const { parts } = imageWith('aarch64', [LOW, HIGH], [HIGH, LOW]);
    parts.programHeaders.push(load(LOW[0], LOW[1] - LOW[0], parts.facts.linear));
    const alone = checked(packed(build(parts)));
    expect(alone).toMatchObject({ sound: false });
    expect(codesOf(alone)).toEqual(['crashkernel-listed']);
  });

  test.each<[string, readonly Pair[]]>([
    ['lacks the low one', [HIGH]],
    ['lacks the high one', [LOW]],
    ['has the low one elsewhere', [[0x70000000n, 0x71000000n], HIGH]],
    ['has the low one with another size', [[LOW[0], LOW[1] + 0x1000n], HIGH]],
    ['has the high one elsewhere', [LOW, [0x170000000n, 0x171000000n]]],
  ])('a machine that %s is of another boot: nothing is written', (_, machine) => {
    const iomem = iomemWith(machine);
    const result = checked(aarch64, '--iomem', iomem);
    expect(result).toMatchObject({ sound: true, current: false });
    expect(codesOf(result).filter((code) => !['memory-missing', 'cpus-not-compared'].includes(code))).toEqual(['crashkernel-differs']);
    const refused = run(['sync', aarch64, '-n', '--iomem', iomem]);
    expect(refused).toMatchObject({ status: 4, stdout: '' });
    expect(refused.stderr).toMatch(/another boot.*the machine has its crashkernel range.*take image and machine state from the same boot/);
  });
});

test('ranges of crashkernel=…,cma are left out, and not looked for in /proc/iomem', () => {
  for (const usable of [
    [HIGH, LOW, CMA],
    [HIGH, CMA],
  ]) {
    const image = packed(imageWith('aarch64', usable, usable));
    const sorted = [...usable].sort((a, b) => (a[0] < b[0] ? -1 : 1));
    expect(JSON.parse(run(['inspect', image, '--json']).stdout)).toMatchObject({
      crashKernel: json(HIGH),
      crashKernelRanges: sorted.map(json),
    });
    const iomem = iomemWith(usable.filter((range) => range !== CMA));
    expect(checked(image, '--iomem', iomem)).toMatchObject({ current: null, findings: [{ code: 'cpus-not-compared' }] });
    expect(run(['plan', image, '--add-memory', '0x1a1000000+1M']).stderr).toContain(`the crashkernel range ${rangeOf(CMA)} in it`);
  }
});

test('more pairs than a kernel reads count for nothing', () => {
  const more = Array.from({ length: 8 }, (_, index): Pair => [
    0x190000000n + BigInt(index) * 0x1000000n,
    0x190000000n + BigInt(index) * 0x1000000n + 0x1000n,
  ]);
  const { crashKernelRanges } = JSON.parse(run(['inspect', packed(imageWith('aarch64', [HIGH], [HIGH, ...more])), '--json']).stdout) as {
    crashKernelRanges: object[];
  };
  expect(crashKernelRanges).toEqual([HIGH, ...more.slice(0, 5)].map(json));
});

describe('x86_64, where nothing in the image names the low range', () => {
  test('the library opens it with what the machine says; ranges of another boot count for nothing', () => {
    const ranges = ([start, end]: Pair): Range => ({ start, end });
    const opened = (...machine: Pair[]): Pick<KdumpImage, 'crashKernel' | 'crashKernelRanges'> => {
      const image = openImage(nodeFileSystem, x86, { crashKernelRanges: machine.map(ranges) });
      closeImage(image);
      return image;
    };
    expect(opened(LOW, HIGH)).toMatchObject({ crashKernel: ranges(HIGH), crashKernelRanges: [LOW, HIGH].map(ranges) });
    // A hole that the elfcorehdr shows is the range and what is reserved beside it.
    expect(opened(LOW, [HIGH[0], HIGH[0] + 0x800000n])).toMatchObject({ crashKernel: { end: HIGH[0] + 0x800000n } });
    expect(opened(LOW)).toMatchObject({ crashKernel: ranges(HIGH), crashKernelRanges: [ranges(HIGH)] });
  });

  test('with /proc/iomem it is left out, and a dump that has it is not sound', () => {
    expect(checked(x86, '--iomem', iomemWith([LOW, HIGH]))).toMatchObject({
      sound: true,
      current: null,
      findings: [{ code: 'cpus-not-compared' }],
    });
    const listing = packed(imageWith('x86_64', [HIGH], []));
    expect(checked(listing)).toMatchObject({ sound: true, current: null });
    const result = checked(listing, '--iomem', iomemWith([LOW, HIGH]));
    expect(result).toMatchObject({ sound: false, current: false, extraMemory: [json(LOW)] });
    expect(codesOf(result)).toEqual(['crashkernel-listed', 'cpus-not-compared']);
    expect(added(run(['sync', listing, '-n', '--iomem', iomemWith([LOW, HIGH]), '--json']))).toMatchObject([
      { action: 'remove', memory: json(LOW) },
    ]);
  });
});

test('report: each crashkernel range is drawn, has its row, and is no System RAM that a dump should have', () => {
  const page = fresh('report.html');
  expect(spawn(['report', x86, '--iomem', iomemWith([LOW, HIGH]), '-o', page])).toMatchObject({ status: 0 });
  const html = readFileSync(page, 'utf8');
  expect(html).toContain('Crashkernel ranges');
  for (const row of ['crashkernel-0', 'crashkernel-1']) expect(html).toContain(`id="${row}"`);
  // The facts, a row, and a mark of the map that leads there.
  for (const range of [LOW, HIGH]) expect(html.split(rangeOf(range)).length).toBeGreaterThan(3);
  expect(html).not.toMatch(/id="missing-/);
});

describe('plan, apply and watch take /proc/iomem', () => {
  const listing = (path: string): unknown => {
    const { elfcorehdr } = JSON.parse(run(['inspect', path, '--json']).stdout) as {
      elfcorehdr: { memory: { start: string; size: number }[] };
    };
    return elfcorehdr.memory.map(({ start, size }) => rangeOf([BigInt(start), BigInt(start) + BigInt(size)]));
  };

  test('no memory of a range that it names is added', () => {
    // The low range is a hole in what the elfcorehdr lists, of which nothing else says what it is.
    expect(added(run(['plan', x86, '--add-memory', '0x50000000+16M', '--json']))).toHaveLength(1);
    for (const command of [['plan'], ['apply', '-n'], ['apply', '-o', fresh('copy')]]) {
      const result = run([command[0] ?? '', x86, ...command.slice(1), '--add-memory', '0x50000000+16M', '--iomem', iomemWith([LOW, HIGH])]);
      expect(result).toMatchObject({ status: 4, stdout: '' });
      expect(result.stderr).toContain(`the crashkernel range ${rangeOf(LOW)} in it`);
    }
  });

  test('memory that it does not list is added with --force only', () => {
    const plan = ['plan', x86, '--add-memory', '0x200000000+512M', '--json'];
    expect(added(run([...plan, '--iomem', iomemWith([LOW, HIGH], [NEW])]))).toHaveLength(1);
    const without = [...plan, '--iomem', iomemWith([LOW, HIGH], [[NEW[0] + 0x1000n, NEW[1]]])];
    const result = run(without);
    expect(result.status).toBe(4);
    expect(result.stderr).toContain('cannot add memory 0x200000000-0x200000fff: found no System RAM there');
    expect(result.stderr).toContain('--force');
    expect(added(run([...without, '--force']))).toHaveLength(1);
  });

  test('what is listed already is no System RAM that is missed', () => {
    expect(run(['plan', x86, '--add-memory', '0x60000000+16M', '--iomem', iomemWith([LOW, HIGH])])).toMatchObject({
      status: 0,
      stderr: '',
    });
  });

  test('an image of another boot is refused', () => {
    const iomem = iomemWith([LOW, [0x170000000n, 0x171000000n]], [NEW]);
    const result = run(['plan', x86, '--add-memory', '0x200000000+512M', '--iomem', iomem]);
    expect(result).toMatchObject({ status: 4, stdout: '' });
    expect(result.stderr).toContain('the image is of another boot, or another machine');
  });

  test('watch: of a block what is RAM is added, and nothing of a crashkernel range', () => {
    const image = packed(imageWith('x86_64', [BLOCK, HIGH], []));
    // Blocks of 128 MiB: one with the low range in it, one with nothing else, and one that is RAM in part.
    const part: Pair = [0x200000000n, 0x204000000n];
    const events = ['10', '11', '64', '65'].map(
      (block) => `ACTION=online\nSUBSYSTEM=memory\nDEVPATH=/devices/system/memory/memory${block}\n\n`,
    );
    const args = ['watch', image, '--memory-block-size', '128M', '--iomem', iomemWith([BLOCK, HIGH], [part]), '--json'];
    const result = spawn(args, { input: events.join('') });
    const reports = result.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { outcome: string; reason: string });
    expect({
      stderr: result.stderr.split('\n').filter((line) => line.includes('error')),
      reports: reports.map(({ outcome }) => outcome),
    }).toEqual({
      stderr: [],
      reports: ['nothing to do', 'nothing to do', 'applied', 'nothing to do'],
    });
    expect(reports[0]?.reason).toBe('no memory in it belongs into a dump');
    expect(listing(image)).toContain(rangeOf(part));
  });
});

test('an iomem with more crashkernel ranges than a kernel reserves is refused', () => {
  const result = run(['check', aarch64, '--iomem', iomemWith([LOW, [0x70000000n, 0x71000000n], HIGH])]);
  expect(result).toMatchObject({ status: 3, stdout: '' });
  expect(result.stderr).toMatch(/too many "Crash kernel" lines.*found 3 ranges, expected at most 2/);
});
