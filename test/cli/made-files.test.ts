import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { KdumpError } from '../../src/errors.js';
import type { FileSystem } from '../../src/file/file-system.js';
import { nodeFileSystem } from '../../src/file/node-file-system.js';
import { copyOf } from '../helpers/fixtures.js';
import { runHere as run } from '../helpers/run-here.js';
import { run as runProgram, scratchFolder } from '../helpers/run.js';
import { memoryFile } from '../patch/kill-scenarios.js';

// Files that commands make never take the place of the image, nor of what a link leads to.

const folder = scratchFolder();
const ADD = ['--add-memory', '0x80000000+256M'];
const image = (): string => copyOf('ppc64le-64k', folder);

test.each([
  ['the image itself', (path: string) => [path]],
  ['the output', (path: string) => [`${path}.out`, '-o', `${path}.out`]],
])('--save-undo is not written over %s', (_, namesFor) => {
  const path = image();
  const before = readFileSync(path);
  const [undo = '', ...more] = namesFor(path);
  expect(run(['apply', path, ...ADD, '--save-undo', undo, ...more, '--overwrite'])).toMatchObject({ status: 2, stdout: '' });
  expect(readFileSync(path).equals(before)).toBe(true);
});

test('a link in the place of a new file is not followed: it is there already, or it is replaced', () => {
  const path = image();
  const victim = join(folder, 'victim');
  const undo = join(folder, 'u.undo');
  writeFileSync(victim, 'keep');
  symlinkSync(victim, undo);
  expect(run(['apply', path, ...ADD, '--save-undo', undo])).toMatchObject({ status: 5, stdout: '' });
  expect(run(['apply', path, ...ADD, '--save-undo', undo, '--overwrite'])).toMatchObject({ status: 0, stderr: '' });
  expect(readFileSync(victim, 'utf8')).toBe('keep');
  expect(lstatSync(undo).isFile()).toBe(true);
});

describe('what is no file keeps its place, --overwrite or not', () => {
  const place = join(folder, 'places');
  mkdirSync(join(place, 'directory'), { recursive: true });
  execFileSync('mkfifo', [join(place, 'fifo')]);
  symlinkSync('/dev/null', join(place, 'link to a device'));
  const kindOf = (path: string): number => lstatSync(path).mode & 0o170000;

  test.each(['directory', 'fifo', 'link to a device'])('%s', (name) => {
    const output = join(place, name);
    const before = kindOf(output);
    for (const args of [
      ['apply', image(), ...ADD, '-o', output],
      ['apply', image(), ...ADD, '--save-undo', output],
      ['capture', image(), '-o', output],
    ]) {
      for (const more of [[], ['--overwrite']]) {
        const result = run([...args, ...more]);
        expect(result).toMatchObject({ status: 4, stdout: '' });
        expect(result.stderr).toMatch(/no file is made there: found a (directory|device, pipe or socket)/);
        expect(kindOf(output)).toBe(before);
      }
    }
  });
});

test('a new image is not made where the journal of an interrupted one lies', () => {
  const output = join(folder, 'taken');
  const journal = join(folder, '.taken.kdhp-journal');
  writeFileSync(journal, '');
  for (const args of [
    ['apply', image(), ...ADD, '-o', output],
    ['capture', image(), '-o', output],
  ]) {
    const result = run(args);
    expect(result).toMatchObject({ status: 4, stdout: '' });
    expect(result.stderr).toContain('.taken.kdhp-journal');
    expect(existsSync(output)).toBe(false);
  }
  expect(existsSync(journal)).toBe(true);
});

describe('an undo file whose patch failed', () => {
  test.each([[[]], [['-o', 'copy']]])('is not left behind to block the next run, %s', (more) => {
    const path = image();
    const undo = join(folder, `failed${more.length}.undo`);
    const args = ['apply', path, ...ADD, '--save-undo', undo, ...more.map((each) => (each === '-o' ? each : join(folder, each)))];
    let writes = 0;
    const full: FileSystem = {
      ...nodeFileSystem,
      write(descriptor, bytes, position) {
        writes += 1;
        // The first ones are those of the undo file, and of a copy.
        if (existsSync(undo)) throw new KdumpError('io', 'cannot write: no space left on the device (ENOSPC)');
        nodeFileSystem.write(descriptor, bytes, position);
      },
    };
    expect(run(args, { fileSystem: full })).toMatchObject({ status: 5, stdout: '' });
    expect(writes).toBeGreaterThan(1);
    expect(readdirSync(folder).filter((name) => /undo$|copy|kdhp/.test(name) && !name.includes('taken') && name !== 'u.undo')).toEqual([]);
    expect(run(args)).toMatchObject({ status: 0 });
    rmSync(undo);
  });
});

describe('an undo file in the place of an earlier one', () => {
  test.each([[[]], [['-o', 'copy']]])('is not kept where the patch fails: the earlier one is back, %s', (more) => {
    const path = image();
    const undo = join(folder, `earlier${more.length}.undo`);
    writeFileSync(undo, 'earlier');
    const { ino } = statSync(undo);
    const args = [
      'apply',
      path,
      ...ADD,
      '--save-undo',
      undo,
      '--overwrite',
      ...more.map((each) => (each === '-o' ? each : join(folder, each))),
    ];
    const full: FileSystem = {
      ...nodeFileSystem,
      write(descriptor, bytes, position) {
        if (statSync(undo).ino !== ino) throw new KdumpError('io', 'cannot write: no space left on the device (ENOSPC)');
        nodeFileSystem.write(descriptor, bytes, position);
      },
    };
    expect(run(args, { fileSystem: full })).toMatchObject({ status: 5, stdout: '' });
    expect(readFileSync(undo, 'utf8')).toBe('earlier');
    expect(run(args)).toMatchObject({ status: 0 });
    expect(readFileSync(undo, 'utf8')).not.toBe('earlier');
    expect(readdirSync(folder).filter((name) => name.startsWith('.kdhp'))).toEqual([]);
    rmSync(join(folder, 'copy'), { force: true });
    rmSync(undo);
  });

  test('cannot take its place without --overwrite, and leaves it as it is', () => {
    const undo = join(folder, 'kept.undo');
    writeFileSync(undo, 'earlier');
    expect(run(['apply', image(), ...ADD, '--save-undo', undo])).toMatchObject({ status: 5 });
    expect(readFileSync(undo, 'utf8')).toBe('earlier');
    expect(readdirSync(folder).filter((name) => name.startsWith('.kdhp'))).toEqual([]);
  });
});

describe('nobody else may read what is made from', () => {
  const place = join(folder, 'private');
  mkdirSync(place);
  const plain = join(place, 'plain');
  writeFileSync(plain, '');
  /** Of a file that is made from nothing private. */
  const usual = statSync(plain).mode & 0o777;
  const { gid } = statSync(plain);
  const modeOf = (path: string): number => statSync(path).mode & 0o777;
  const memory = (): string => {
    const path = join(place, `memory${(count += 1)}`);
    memoryFile(path, 'ppc64le-64k', 0, new Uint8Array());
    return path;
  };
  let count = 0;
  const parts = join(place, 'parts');
  const SOURCE = image();
  expect(run(['extract', SOURCE, '-d', parts, '--manifest'])).toMatchObject({ status: 0 });
  const segment = readdirSync(parts).find((name) => name.startsWith('kernel')) ?? '';

  /** What each command reads, and what it makes of that at `out`. */
  const makers: [string, () => string, (source: string, out: string) => readonly string[], string?][] = [
    ['apply -o', image, (source, out) => ['apply', source, ...ADD, '-o', out]],
    ['apply --save-undo', image, (source, out) => ['apply', source, ...ADD, '--save-undo', out]],
    ['apply -o, its undo file', image, (source, out) => ['apply', source, ...ADD, '-o', `${out}.image`, '--save-undo', out]],
    ['capture of an image', image, (source, out) => ['capture', source, '-o', out]],
    ['capture of memory', memory, (source, out) => ['capture', source, '-o', out]],
    ['extract', image, (source, out) => ['extract', source, 'fdt', '-d', `${out}.d`], '.d/fdt.dtb'],
    ['extract --manifest', image, (source, out) => ['extract', source, 'fdt', '--manifest', '-d', `${out}.d`], '.d/manifest.json'],
    ['report', image, (source, out) => ['report', source, '-o', out]],
    ['report, the image before', image, (source, out) => ['report', SOURCE, '--before', source, '-o', out]],
    ['report, a memory map', () => copyFrom(IOMEM), (source, out) => ['report', SOURCE, '--iomem', source, '-o', out]],
    [
      'pack, a file of the manifest',
      () => join(parts, segment),
      (_, out) => ['pack', '--manifest', join(parts, 'manifest.json'), '-o', out],
    ],
    ['pack, the manifest', () => join(parts, 'manifest.json'), (source, out) => ['pack', '--manifest', source, '-o', out]],
  ];
  const copyFrom = (text: string): string => {
    const path = join(place, `text${(count += 1)}`);
    writeFileSync(path, text);
    return path;
  };
  const IOMEM = '00000000-7fffffff : System RAM\n';

  test.each(makers)('%s', (_, sourceOf, argsFor, made = '') => {
    for (const [mode, group, expected] of [
      [0o600, gid, usual & 0o700],
      [0o640, gid, usual & 0o770],
      [0o644, gid, usual],
      ...(process.geteuid?.() === 0 ? [[0o640, gid + 1, usual & 0o700] as const] : []),
    ] as const) {
      const source = sourceOf();
      if (group !== gid) chownSync(source, process.getuid?.() ?? 0, group);
      chmodSync(source, mode);
      const out = join(place, `out${(count += 1)}`);
      const args = argsFor(source, out);
      // A report is made beside other work.
      expect((args[0] === 'report' ? runProgram : run)(args)).toMatchObject({ status: 0 });
      expect(modeOf(`${out}${made}`).toString(8), `from ${mode.toString(8)}`).toBe(expected.toString(8));
      if (group !== gid) chownSync(source, process.getuid?.() ?? 0, gid);
      chmodSync(source, 0o644);
    }
  });
});

test.each([2, 30, 1e6])('an image that was last written %d seconds in the future is read', (seconds) => {
  const path = image();
  utimesSync(path, new Date(), new Date(Date.now() + 1000 * seconds));
  expect(run(['inspect', path])).toMatchObject({ status: 0, stderr: '' });
});
