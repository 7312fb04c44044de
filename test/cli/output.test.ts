import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { copyOf, fixtureImage } from '../helpers/fixtures.js';
import { runHere as run } from '../helpers/run-here.js';
import { has, PROGRAM, scratchFolder } from '../helpers/run.js';

// What scripts may rely on: JSON keys, exit codes, which stream what goes to, and which files are written.

const folder = scratchFolder();
const IMAGE = fixtureImage('ppc64le-64k');
const ADD = ['--add-memory', '0x80000000+256M'];
const ESCAPE = '\u001b[';

type Json = Record<string, unknown>;

function json(args: readonly string[], status = 0): Json {
  const result = run(args);
  expect(result).toMatchObject({ status, stderr: '' });
  expect(result.stdout.endsWith('}\n')).toBe(true);
  return JSON.parse(result.stdout) as Json;
}

/** Fails unless `value` has these keys, with values of these types. */
function expectKeys(value: unknown, keys: Record<string, string>): void {
  for (const [key, type] of Object.entries(keys)) {
    expect(value, key).toHaveProperty([key]);
    const found = (value as Json)[key];
    const name = found === null ? 'null' : Array.isArray(found) ? 'array' : typeof found;
    expect(type.split('|'), `${key} is ${name}`).toContain(name);
    if (type === 'address') expect(found).toMatch(/^0x[0-9a-f]+$/);
  }
}

describe('inspect --json', () => {
  const inspected = (name: Parameters<typeof fixtureImage>[0], ...more: string[]): Json =>
    json(['inspect', fixtureImage(name), '--json', ...more]);

  test.each(['ppc64le-64k', 'ppc64le-64k-no-hotplug', 'ppc64le-4k', 'tiny-ppc64'] as const)('%s: every key of the contract', (name) => {
    const image = inspected(name);
    expectKeys(image, {
      file: 'string',
      format: 'string',
      architecture: 'string',
      byteOrder: 'string',
      pageSize: 'number|null',
      crashKernel: 'object|null',
      segments: 'array',
      elfcorehdr: 'object',
      fdt: 'object|null',
      purgatory: 'object|null',
      capacity: 'object',
      findings: 'array',
    });
    expectKeys(image.crashKernel, { start: 'string', size: 'number' });
    for (const segment of image.segments as Json[]) {
      expectKeys(segment, {
        name: 'string',
        address: 'string',
        memsz: 'number',
        bufsz: 'number|null',
        fileOffset: 'number|null',
      });
    }
    expectKeys(image.elfcorehdr, {
      address: 'string',
      memsz: 'number',
      usedSize: 'number',
      programHeaders: 'number',
      cpuNotes: 'number',
      vmcoreinfo: 'object|null',
      kernelText: 'object|null',
      memory: 'array',
      totalMemory: 'number',
    });
    for (const range of (image.elfcorehdr as { memory: Json[] }).memory) {
      expectKeys(range, { start: 'string', size: 'number', kind: 'string', fileOffset: 'number|null' });
    }
    expectKeys((image.elfcorehdr as Json).vmcoreinfo, { address: 'string', size: 'number' });
    expectKeys(image.fdt, {
      address: 'string',
      memsz: 'number',
      totalSize: 'number',
      usedSize: 'number',
      freeSize: 'number',
      model: 'string|null',
      bootargs: 'string|null',
      cpus: 'array',
    });
    for (const cpu of (image.fdt as { cpus: Json[] }).cpus) expectKeys(cpu, { name: 'string', id: 'number', threads: 'array' });
    expectKeys(image.purgatory, { digest: 'string', covers: 'array' });
    expectKeys(image.capacity, { memoryRanges: 'number', cpus: 'number|null' });
  });

  test('values of the 64K guest, read off its captures', () => {
    expect(inspected('ppc64le-64k')).toMatchObject({
      format: 'packed',
      architecture: 'ppc64le',
      byteOrder: 'lsb',
      pageSize: 65536,
      crashKernel: { start: '0x20000000', size: 0x20000000 },
      elfcorehdr: {
        address: '0x229a0000',
        memsz: 0x80000,
        usedSize: 64 + 13 * 56,
        programHeaders: 13,
        cpuNotes: 8,
        vmcoreinfo: { address: '0x5220000', size: 0x10024 },
        kernelText: null,
        memory: [
          { start: '0x0', size: 0x10000, kind: 'backup' },
          { start: '0x10000', size: 0x1fff0000, kind: 'ram' },
          { start: '0x40000000', size: 0x40000000, kind: 'ram' },
          { start: '0x2fff0000', size: 0x10000, kind: 'firmware' },
        ],
        totalMemory: 0x10000 + 0x1fff0000 + 0x40000000 + 0x10000,
      },
      fdt: {
        address: '0x3fff0000',
        totalSize: 0x6b52,
        cpus: [
          { name: 'PowerPC,POWER9@0', id: 0, threads: [0] },
          { name: 'PowerPC,POWER9@1', id: 1, threads: [1] },
        ],
      },
      purgatory: { digest: 'unchecked', covers: ['kernel', 'backup', 'initrd'] },
    });
  });

  test('the big-endian image', () => {
    expect(inspected('tiny-ppc64', '--verify')).toMatchObject({ architecture: 'ppc64', byteOrder: 'msb', purgatory: { digest: 'match' } });
  });
});

describe.each(['plan', 'apply'])('%s --json', (command) => {
  test('every key of the contract', () => {
    const path = copyOf('ppc64le-64k', folder);
    const plan = json([command, path, ...ADD, '--add-cpu', '2', '--json']);
    expectKeys(plan, { file: 'string', applied: 'boolean', changes: 'array', segments: 'array', digest: 'string', findings: 'array' });
    expect(plan).toMatchObject({
      file: path,
      applied: command === 'apply',
      changes: [
        { action: 'add', memory: { start: '0x80000000', size: 0x10000000 } },
        { action: 'add', cpu: { id: 2 } },
      ],
      segments: [
        { name: 'elfcorehdr', changed: true },
        { name: 'fdt', changed: true },
      ],
      digest: 'unaffected',
    });
    for (const segment of plan.segments as Json[]) {
      expectKeys(segment, { name: 'string', changed: 'boolean', bytesChanged: 'number', sha256Before: 'string', sha256After: 'string' });
      expect(segment.sha256Before).toMatch(/^[0-9a-f]{64}$/);
      expect(segment.sha256After).not.toBe(segment.sha256Before);
    }
    expect(readFileSync(path).equals(readFileSync(IMAGE))).toBe(command === 'plan');
  });
});

test('diff --json: every key of the contract; exit code 1 for a difference and 0 for none', () => {
  const path = copyOf('ppc64le-64k', folder);
  expect(json(['diff', IMAGE, path, '--json'])).toMatchObject({
    memory: { added: [], removed: [] },
    cpus: { added: [], removed: [], changed: [] },
    otherSegments: [],
  });
  expect(run(['apply', path, ...ADD, '--add-cpu', '2']).status).toBe(0);
  const difference = json(['diff', IMAGE, path, '--json'], 1);
  expectKeys(difference, { memory: 'object', cpus: 'object', otherSegments: 'array' });
  expect(difference).toMatchObject({
    // kexec-tools listed the firmware's memory to the end of its page; a rebuild lists what /rtas says.
    memory: { added: [{ start: '0x80000000', size: 0x10000000 }], removed: [{ start: '0x2fff089c', size: 0xf764 }] },
    cpus: { added: [{ name: 'PowerPC,POWER9@2', id: 2, threads: [2] }], removed: [], changed: [] },
    otherSegments: [],
  });
  expect(json(['diff', path, IMAGE, '--json'], 1)).toMatchObject({
    memory: { added: [{ start: '0x2fff089c' }], removed: [{ start: '0x80000000' }] },
    cpus: { added: [], removed: [{ id: 2 }] },
  });
  const file = readFileSync(path);
  file[0x1000] = (file[0x1000] ?? 0) ^ 1;
  writeFileSync(path, file);
  expect(json(['diff', IMAGE, path, '--json'], 1)).toMatchObject({ otherSegments: ['kernel'] });
});

test.each([
  ['pack', (out: string) => ['pack', '--manifest', join(fixtureImage('tiny-ppc64'), '../../manifests/tiny-ppc64.json'), '-o', out]],
  ['capture', (out: string) => ['capture', IMAGE, '-o', out]],
  ['extract', (out: string) => ['extract', IMAGE, '-d', out]],
])('%s --json: one document', (name, args) => {
  json([...args(join(folder, `json-${name}`)), '--json']);
});

describe('change files', () => {
  test.each([
    ['one document', (changes: object[]) => JSON.stringify({ changes })],
    ['a document a line', (changes: object[]) => changes.map((change) => JSON.stringify({ changes: [change] })).join('\n')],
  ])('%s gives what the options give; from a file and from standard input', (_, write) => {
    const changes = [
      { action: 'add', memory: { start: '0x80000000', size: '256M' } },
      { action: 'online', cpu: { id: 2 } },
      { action: 'offline', memory: { start: '0x80000000', size: '0x8000000' } },
    ];
    const [options, file, input] = [copyOf('ppc64le-64k', folder), copyOf('ppc64le-64k', folder), copyOf('ppc64le-64k', folder)];
    writeFileSync(join(folder, 'good.json'), write(changes));
    expect(run(['apply', options, ...ADD, '--add-cpu', '2', '--remove-memory', '0x80000000-0x87ffffff']).status).toBe(0);
    expect(run(['apply', file, '--changes', join(folder, 'good.json')]).status).toBe(0);
    expect(run(['apply', input, '--changes', '-'], { input: write(changes) }).status).toBe(0);
    expect(readFileSync(options).equals(readFileSync(IMAGE))).toBe(false);
    expect(readFileSync(file).equals(readFileSync(options))).toBe(true);
    expect(readFileSync(input).equals(readFileSync(options))).toBe(true);
  });
});

describe('files', () => {
  test('plan and apply --dry-run write nothing, and say the same', () => {
    const path = copyOf('ppc64le-64k', folder);
    const { mtimeNs } = statSync(path, { bigint: true });
    const [plan, dry, short] = [
      ['plan', path],
      ['apply', path, '--dry-run'],
      ['apply', path, '-n'],
    ].map((args) => run([...args, ...ADD]));
    expect(plan).toMatchObject({ status: 0, stderr: '' });
    expect([dry, short]).toEqual([plan, plan]);
    expect(statSync(path, { bigint: true }).mtimeNs).toBe(mtimeNs);
  });

  test('apply -o writes a copy and leaves the image alone', () => {
    const [path, inPlace, out] = [copyOf('ppc64le-64k', folder), copyOf('ppc64le-64k', folder), join(folder, 'copy.kdump')];
    const { mtimeNs } = statSync(path, { bigint: true });
    expect(run(['apply', path, ...ADD, '-o', out])).toMatchObject({ status: 0, stderr: '' });
    expect(readFileSync(path).equals(readFileSync(IMAGE))).toBe(true);
    expect(statSync(path, { bigint: true }).mtimeNs).toBe(mtimeNs);
    expect(run(['apply', inPlace, ...ADD]).status).toBe(0);
    expect(readFileSync(out).equals(readFileSync(inPlace))).toBe(true);
  });

  test('apply -o with nothing to do still makes the copy', () => {
    const out = join(folder, 'same.kdump');
    expect(run(['apply', IMAGE, '--add-memory', '0x40000000+1G', '-o', out])).toMatchObject({ status: 0 });
    expect(readFileSync(out).equals(readFileSync(IMAGE))).toBe(true);
  });

  test('apply -o onto the image itself is refused, and the image survives', () => {
    const path = copyOf('ppc64le-64k', folder);
    for (const more of [[], ['--overwrite']]) {
      expect([2, 4, 5]).toContain(run(['apply', path, ...ADD, '-o', path, ...more]).status);
      expect(readFileSync(path).equals(readFileSync(IMAGE))).toBe(true);
    }
  });

  test.each([
    ['apply', (out: string) => ['apply', IMAGE, ...ADD, '-o', out]],
    ['capture', (out: string) => ['capture', IMAGE, '-o', out]],
    ['pack', (out: string) => ['pack', '--architecture', 'ppc64le', '--segment', `kernel=${PROGRAM}@0x1000`, '-o', out]],
  ])('%s does not overwrite a file without --overwrite', (name, args) => {
    const out = join(folder, `existing-${name}`);
    writeFileSync(out, 'mine');
    const result = run(args(out));
    expect(result.status).not.toBe(0);
    expect(result.stdout).toBe('');
    expect(result.stderr).toMatch(/^kdump-hotplug: [^\n]*--overwrite[^\n]*\n$/);
    expect(readFileSync(out, 'latin1')).toBe('mine');
  });

  test('with --overwrite it does', () => {
    const out = join(folder, 'overwritten');
    for (const args of [
      ['apply', IMAGE, ...ADD],
      ['capture', IMAGE],
    ]) {
      writeFileSync(out, 'mine');
      expect(run([...args, '-o', out, '--overwrite'])).toMatchObject({ status: 0 });
      expect(readFileSync(out).subarray(0, 4).toString('latin1')).toBe('\x7fELF');
    }
  });

  test('extract does not overwrite, and then writes nothing at all', () => {
    const target = join(folder, 'extracted');
    expect(run(['extract', IMAGE, 'fdt', '-d', target])).toMatchObject({ status: 0 });
    const { mtimeNs } = statSync(join(target, 'fdt.dtb'), { bigint: true });
    const result = run(['extract', IMAGE, '-d', target]);
    expect(result.status).not.toBe(0);
    expect(existsSync(join(target, 'kernel.bin'))).toBe(false);
    expect(statSync(join(target, 'fdt.dtb'), { bigint: true }).mtimeNs).toBe(mtimeNs);
  });

  test('a name with a line break is one escaped line in an error', () => {
    const result = run(['inspect', join(folder, 'no\nsuch\u001b[31mfile')]);
    expect(result.status).toBe(5);
    expect(result.stderr).toMatch(/^[^\n]+\\x0asuch\\x1b[^\n]+\n$/);
  });
});

describe('a reader that closes the pipe', () => {
  const withClosedOutput = (args: string[]): Promise<{ status: number | null; stderr: string }> =>
    new Promise((resolve) => {
      const child = spawn(process.execPath, [PROGRAM, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
      let stderr = '';
      child.stdout.destroy();
      child.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
      child.on('close', (status) => {
        resolve({ status, stderr });
      });
    });

  test('changes neither exit code nor what is written', async () => {
    const [path, wanted] = [copyOf('ppc64le-64k', folder), copyOf('ppc64le-64k', folder)];
    expect(run(['apply', wanted, ...ADD]).status).toBe(0);
    expect(await withClosedOutput(['apply', path, ...ADD])).toEqual({ status: 0, stderr: '' });
    expect(readFileSync(path).equals(readFileSync(wanted))).toBe(true);
  });

  test('of a long output', async () => {
    expect(await withClosedOutput(['inspect', IMAGE, '--fdt'])).toEqual({ status: 0, stderr: '' });
    expect(await withClosedOutput(['diff', IMAGE, IMAGE, '--json'])).toEqual({ status: 0, stderr: '' });
  });

  test.skipIf(!existsSync('/dev/full'))('a full device for the output does not undo the patch, and is not hidden', () => {
    const path = copyOf('ppc64le-64k', folder);
    const result = spawnSync('sh', ['-c', '"$0" "$@" > /dev/full', process.execPath, PROGRAM, 'apply', path, ...ADD], { encoding: 'utf8' });
    expect(readFileSync(path).equals(readFileSync(IMAGE))).toBe(false);
    expect(result.status).toBe(5);
  });
});

describe('colours', () => {
  test.each([
    ['into a pipe', [], {}, false],
    ['--color always', ['--color', 'always'], {}, true],
    ['--color never', ['--color', 'never'], { FORCE_COLOR: '1' }, false],
    ['FORCE_COLOR', [], { FORCE_COLOR: '1' }, true],
    ['NO_COLOR', [], { NO_COLOR: '1' }, false],
    ['--color always wins over NO_COLOR', ['--color', 'always'], { NO_COLOR: '1' }, true],
    ['never in JSON', ['--json', '--color', 'always'], {}, false],
  ])('%s', (_, args, env, coloured) => {
    const result = run(['inspect', IMAGE, ...args], { env });
    expect(result.status).toBe(0);
    expect(result.stdout.includes(ESCAPE)).toBe(coloured);
  });
});

describe('inspect --fdt', () => {
  const tiny = readFileSync(join(fixtureImage('tiny-ppc64'), '../../manifests/tiny-ppc64.dts'), 'utf8');
  const normal = (text: string): string => text.replaceAll(/^\/\/.*\n/gm, '').trim();

  test('prints the source that the tiny image was made from', () => {
    expect(normal(run(['inspect', fixtureImage('tiny-ppc64'), '--fdt']).stdout)).toBe(normal(tiny));
  });

  test.skipIf(!has('dtc'))('that source compiles to the bytes in the manifest', () => {
    const blob = spawnSync('dtc', ['-q', '-I', 'dts', '-O', 'dtb', '-'], { input: tiny }).stdout;
    const out = join(folder, 'tiny-fdt');
    expect(run(['extract', fixtureImage('tiny-ppc64'), 'fdt', '-d', out]).status).toBe(0);
    expect(readFileSync(join(out, 'fdt.dtb')).subarray(0, blob.length).equals(blob)).toBe(true);
  });
});
