import { existsSync, lstatSync, readFileSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
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

test('a link in the place of the unfinished file is not followed', () => {
  const path = image();
  const victim = join(folder, 'victim');
  const undo = join(folder, 'u.undo');
  writeFileSync(victim, 'keep');
  symlinkSync(victim, `${undo}.partial`);
  expect(run(['apply', path, ...ADD, '--save-undo', undo])).toMatchObject({ status: 0, stderr: '' });
  expect(readFileSync(victim, 'utf8')).toBe('keep');
  expect(lstatSync(undo).isFile()).toBe(true);
  expect(existsSync(`${undo}.partial`)).toBe(false);
});

test('an image that was last written in the future is read', () => {
  const path = image();
  utimesSync(path, new Date(), new Date(Date.now() + 1e9));
  expect(run(['inspect', path])).toMatchObject({ status: 0, stderr: '' });
});
