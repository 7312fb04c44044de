import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { copyOf, fixtureImage } from '../helpers/fixtures.js';
import { runHere as run } from '../helpers/run-here.js';
import { scratchFolder } from '../helpers/run.js';

// What a script wants: the exit code, results on standard output, and on standard error nothing but what went wrong.

const folder = scratchFolder();
const IMAGE = fixtureImage('ppc64le-64k');
const iomem = join(folder, 'iomem.txt');
writeFileSync(iomem, '00000000-8fffffff : System RAM\n  20000000-3fffffff : Crash kernel\n');

test.each([
  ['check, sound', ['check', IMAGE], 0],
  ['check, not current', ['check', IMAGE, '--iomem', iomem], 1],
  ['diff, no difference', ['diff', IMAGE, IMAGE], 0],
  ['diff, they differ', ['diff', IMAGE, fixtureImage('tiny-ppc64')], 1],
  ['inspect', ['inspect', IMAGE], 0],
  ['plan', ['plan', IMAGE, '--add-cpu', '2'], 0],
  [
    'sync, nothing to do',
    ['sync', '-n', IMAGE, '--device-tree', join(fixtureImage('ppc64le-64k'), '../../captures/ppc64le-6.12-64k/00-loaded/fdt.dtb')],
    0,
  ],
])('%s: -q says the same on standard output, nothing on standard error', (_, args, status) => {
  const loud = run(args);
  expect(run([...args, '-q'])).toEqual({ status, stdout: loud.stdout, stderr: '' });
  expect(loud.stdout).not.toBe('');
});

test('apply -q: the result, and no word about processes that could not be asked', () => {
  const path = copyOf('ppc64le-64k', folder);
  expect(run(['apply', path, '--add-cpu', '2', '-q'])).toMatchObject({ status: 0, stderr: '' });
  expect(readFileSync(path).equals(readFileSync(IMAGE))).toBe(false);
});

test.each([
  ['usage', ['inspect', IMAGE, '--map', 'x'], 2],
  ['input', ['inspect', join(folder, 'zeros')], 3],
  ['refused', ['plan', IMAGE, '--remove-cpu', '9'], 4],
  ['io', ['inspect', join(folder, 'nothing')], 5],
])('an error of kind %s is said all the same, in a line', (_, args, status) => {
  writeFileSync(join(folder, 'zeros'), '');
  truncateSync(join(folder, 'zeros'), 1 << 20);
  const result = run([...args, '-q']);
  expect(result).toMatchObject({ status, stdout: '' });
  expect(result.stderr).toMatch(/^kdump-hotplug: [^\n]+\n$/);
});
