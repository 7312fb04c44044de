import { copyFileSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { FIXTURES } from '../helpers/fixtures.js';
import { runHere } from '../helpers/run-here.js';
import { run, scratchFolder } from '../helpers/run.js';

// Machines and images of public bug reports, commits and other programs' test suites (fixtures/README.md tells of each where it comes from).

const folder = scratchFolder();
const CASES = join(FIXTURES, 'cases');

/** Files of a case by their names, its images unpacked. */
function filesOf(name: string): (file: string) => string {
  for (const file of readdirSync(join(CASES, name)).filter((each) => each.endsWith('.gz')))
    writeFileSync(join(folder, `${name}-${file.slice(0, -3)}`), gunzipSync(readFileSync(join(CASES, name, file))));
  return (file) => (file.endsWith('.kdump') ? join(folder, `${name}-${file}`) : join(CASES, name, file));
}

interface Checked {
  sound: boolean;
  current: boolean | null;
  missingMemory: { start: string; size: number }[] | null;
  extraMemory: unknown[] | null;
  missingCpus: number[] | null;
  extraCpus: number[] | null;
  findings: { severity: string; code: string; message: string }[];
}

function check(...args: string[]): Checked & { status: number; errors: string[] } {
  const { status, stdout } = runHere(['check', ...args, '--json']);
  const document = JSON.parse(stdout) as Checked;
  return { ...document, status, errors: document.findings.filter(({ severity }) => severity === 'error').map(({ code }) => code) };
}

const ids = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index);

function watch(image: string, events: string, ...args: string[]): { status: number | null; outcomes: Set<string>; events: number } {
  const { status, stdout } = run(['watch', image, '--json', ...args], { input: readFileSync(events) });
  const lines = stdout
    .trimEnd()
    .split('\n')
    .map((line) => (JSON.parse(line) as { outcome: string }).outcome);
  return { status, outcomes: new Set(lines), events: lines.length };
}

describe('a core of several threads is taken out (ids of a POWER11 partition are not contiguous after that)', () => {
  const at = filesOf('smt-core-removal');
  const iomem = ['--iomem', at('iomem.txt')];

  test.each([
    ['one core went', 'minus40.dtb', { missing: [], extra: ids(40, 47) }],
    ['another came', 'plus104.dtb', { missing: ids(104, 111), extra: [] }],
    ['one went, another came', 'live.dtb', { missing: ids(104, 111), extra: ids(40, 47) }],
    ['none', 'same.dtb', { missing: [], extra: [] }],
  ])('%s: check names each core once, sync brings all of it there', (_, tree, { missing, extra }) => {
    const image = join(folder, `synced-${tree}.kdump`);
    copyFileSync(at('full.kdump'), image);
    const state = [...iomem, '--device-tree', at(tree)];
    const before = check(image, ...state);
    expect(before).toMatchObject({ status: 1, missingCpus: missing, extraCpus: extra });
    const named = (code: string): number => before.findings.filter((each) => each.code === code).length;
    expect([named('cpu-missing'), named('cpu-gone')]).toEqual([missing.length / 8, extra.length / 8]);
    expect(runHere(['sync', image, ...state])).toMatchObject({ status: 0, stderr: '' });
    expect(check(image, ...state)).toMatchObject({ status: 0, sound: true, current: true, findings: [] });
  });

  test.each([
    ['all its threads', ['--remove-cpu', '40-47']],
    ['one of them', ['--remove-cpu', '40']],
    ['some, in a change file', ['--changes', at('ch.json')]],
  ])('by ids of %s', (_, change) => {
    const { status, stdout } = runHere(['plan', at('full.kdump'), ...change, '--prune-cpus']);
    expect({ status, stdout }).toEqual({
      status: 0,
      stdout: expect.stringMatching(/13 cores .* -> 12 cores with threads 0-39, 48-103/) as string,
    });
  });

  test('without --prune-cpus its node stays', () => {
    expect(runHere(['plan', at('full.kdump'), '--remove-cpu', '40-47']).stdout).toContain('nothing to do');
  });

  test.each([
    ['smt2.kdump', 'smt2-minus2.dtb'],
    ['smt2.kdump', 'smt2-minus4.dtb'],
    ['be.kdump', 'be-live.dtb'],
  ])('%s, %s', (name, tree) => {
    const image = join(folder, `copy-of-${name}`);
    copyFileSync(at(name), image);
    const cpus = ['--device-tree', at(tree)];
    expect(check(image, ...cpus).status).toBe(1);
    expect(runHere(['sync', image, ...cpus]).status).toBe(0);
    expect(check(image, ...cpus)).toMatchObject({ missingCpus: [], extraCpus: [] });
  });

  test('a core whose number follows from none is not guessed', () => {
    const { status, stdout } = run(['watch', at('gap.kdump'), '-n'], {
      input: 'ACTION=add\nSUBSYSTEM=cpu\nDEVPATH=/devices/system/cpu/cpu104\n\n',
    });
    expect({ status, stdout }).toEqual({ status: 4, stdout: expect.stringContaining('refused') as string });
  });
});

describe('images of other test suites', () => {
  const at = filesOf('suites');

  test('threads 12-15 of a core of four', () => {
    const { status, stdout } = runHere(['plan', at('smt4-core-removal.kdump'), '--remove-cpu', '12-15', '--prune-cpus']);
    expect({ status, stdout }).toEqual({
      status: 0,
      stdout: expect.stringContaining('- CPU 12 (PowerPC,POWER9@c) with threads 12-15') as string,
    });
  });

  test('connectors of PowerVM, named CPU 1, CPU 5, …: the one of CPU 252 is 0x100000fc', () => {
    const image = join(folder, 'powervm.kdump');
    expect(runHere(['apply', at('powervm-power7-without-cpu252.kdump'), '--add-cpu', '252', '-o', image]).status).toBe(0);
    const source = runHere(['inspect', image, '--fdt']).stdout;
    const [, node = ''] = /PowerPC,POWER7@fc \{([^}]*)\}/.exec(source) ?? [];
    expect(node).toContain('ibm,my-drc-index = <0x100000fc>');
  });

  test('ibm,drc-info', () => {
    expect(runHere(['plan', at('drc-info.kdump'), '--add-cpu', '4'])).toMatchObject({ status: 0 });
    expect(runHere(['plan', at('drc-info.kdump'), '--add-cpu', '16'])).toMatchObject({ status: 4 });
  });

  test("version 16, as the kernel's /sys/firmware/fdt on pseries", () => {
    const { status, compared } = {
      compared: undefined,
      ...check(at('smt4-core-removal.kdump'), '--device-tree', at('sys-firmware-fdt-v16.dtb')),
    };
    expect({ status, compared }).toMatchObject({ status: 1, compared: { memory: false, cpus: true } });
  });

  test.each([
    ['before the root, which the specification allows', 'nop-before-root.dtb', /no CPU nodes/],
    ['behind it, which libfdt 1.6 refuses as well', 'nop-behind-root.dtb', /FDT_NOP/],
  ])('FDT_NOP %s', (_, tree, reason) => {
    const { status, stderr } = runHere(['check', at('smt4-core-removal.kdump'), '--device-tree', at(tree)]);
    expect({ status, stderr }).toEqual({ status: 3, stderr: expect.stringMatching(reason) as string });
  });
});

describe('two crashkernel ranges, high and low (arm64)', () => {
  const at = filesOf('two-crashkernel-ranges');
  const image = at('image.kdump');

  test('neither is in the dump, missing or gone', () => {
    expect(check(image, '--iomem', at('iomem.txt'))).toMatchObject({ status: 0, missingMemory: [], extraMemory: [], errors: [] });
    expect(check(image, '--iomem', at('iomem2.txt'))).toMatchObject({
      status: 1,
      missingMemory: [{ start: '0x302000000000', size: 0x20000000 }],
      extraMemory: [],
    });
  });

  test('the low one is never planned into the dump', () => {
    const { status, stderr } = runHere(['plan', image, '--add-memory', '0xe8000000+256M']);
    expect({ status, stderr }).toEqual({
      status: 4,
      stderr: expect.stringContaining('the crashkernel range 0xe8000000-0xf7ffffff') as string,
    });
  });

  test('an image that has it in the dump is not sound', () => {
    expect(check(at('low.kdump'))).toMatchObject({ status: 1, sound: false, errors: ['crashkernel-listed'] });
  });

  test.each(['iomem-nolow.txt', 'iomem-otherhigh.txt'])('a machine that has them elsewhere: %s', (iomem) => {
    expect(check(image, '--iomem', at(iomem)).errors).toContain('crashkernel-differs');
    expect(runHere(['check', image, '--iomem', at(iomem)]).stdout).not.toContain('brings it up to date');
    expect(runHere(['sync', '-n', image, '--iomem', at(iomem)])).toMatchObject({ status: 4 });
  });
});

describe('coherent device memory, which the capture kernel must not read', () => {
  const at = filesOf('coherent-device-memory');
  const state = ['--iomem', at('iomem.txt')];

  test('is named, and not missing', () => {
    const { missingMemory, findings } = check(at('image.kdump'), ...state);
    expect(missingMemory).toEqual([]);
    expect(findings.map(({ code }) => code)).toContain('device-memory-left-out');
  });

  test('is added only with --force', () => {
    expect(runHere(['sync', '-n', at('image.kdump'), ...state])).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('nothing to do') as string,
    });
    const add = ['plan', at('image.kdump'), '--add-memory', '0x400000000000+16G'];
    const { status, stderr } = runHere(add);
    expect({ status, stderr }).toEqual({ status: 4, stderr: expect.stringContaining('coherent') as string });
    expect(runHere([...add, '--force'])).toMatchObject({ status: 0 });
  });
});

describe('events about what was there all along (udevadm trigger)', () => {
  const at = filesOf('coldplug-add-events');

  test.each([
    [
      'x86_64 with a low crashkernel range and blocks with holes',
      'x86.kdump',
      'x86-low.events',
      ['--memory-blocks', join(CASES, 'coldplug-add-events/memory')],
    ],
    ['the same, where nothing tells whether blocks are online', 'x86.kdump', 'x86-low.events', ['--memory-block-size', '128M']],
    ['ppc64le', 'ppc.kdump', 'ppc.events', ['--memory-block-size', '256M']],
  ])('%s: nothing to do, and no error', (_, name, events, options) => {
    const image = join(folder, `triggered-${name}`);
    copyFileSync(at(name), image);
    const before = readFileSync(image);
    const result = watch(image, at(events), ...options);
    expect(result).toMatchObject({ status: 0, outcomes: new Set(['nothing to do']) });
    expect(result.events).toBeGreaterThan(8);
    expect(readFileSync(image).equals(before)).toBe(true);
  });

  test('8,192 of them', () => {
    const input = Array.from(
      { length: 8192 },
      (_, block) => `ACTION=add\nSUBSYSTEM=memory\nDEVPATH=/devices/system/memory/memory${block}\nSYNTH_UUID=0\n\n`,
    );
    const { status, stdout } = run(['watch', at('big.kdump'), '-n', '--json', '--memory-block-size', '256M'], {
      input: input.join(''),
    });
    const outcomes = stdout
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { outcome: string }).outcome);
    expect(outcomes).toHaveLength(8192);
    expect(new Set(outcomes)).not.toContain('refused');
    expect(status).toBe(0);
  });
});

describe('an iomem with lines twice, read while it changed', () => {
  const at = filesOf('iomem-lines-twice');

  test.each(['crash_twice.txt', 'block_twice.txt', 'ram_twice.txt'])(
    '%s: refused by file and line, with the advice to read it again',
    (iomem) => {
      const { status, stderr } = runHere(['check', at('image.kdump'), '--iomem', at(iomem)]);
      expect({ status, stderr }).toEqual({ status: 3, stderr: expect.stringMatching(new RegExp(`${iomem}: line \\d+.*again`)) as string });
    },
  );

  test('the same without them is read', () => {
    expect(check(at('image.kdump'), '--iomem', at('clean.txt'))).toMatchObject({ status: 0, missingMemory: [], extraMemory: [] });
  });
});
