import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { KdumpError } from '../../src/errors.js';
import type { FileSystem } from '../../src/file/file-system.js';
import { nodeFileSystem } from '../../src/file/node-file-system.js';
import { copyOf } from '../helpers/fixtures.js';
import { runHere as run } from '../helpers/run-here.js';
import { scratchFolder } from '../helpers/run.js';

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

test.each([2, 30, 1e6])('an image that was last written %d seconds in the future is read', (seconds) => {
  const path = image();
  utimesSync(path, new Date(), new Date(Date.now() + 1000 * seconds));
  expect(run(['inspect', path])).toMatchObject({ status: 0, stderr: '' });
});
