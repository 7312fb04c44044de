import { copyFileSync, existsSync, readFileSync, readdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { copyOf, fixtureImage, type FixtureImage } from '../helpers/fixtures.js';
import { scratchFolder } from '../helpers/run.js';
import { runHere } from '../helpers/run-here.js';

const folder = scratchFolder();
const ADD = ['--add-memory', '0x80000000+256M', '--add-cpu', '2'];
let undoFiles = 0;

function patched(source: FixtureImage, changes: readonly string[]): { image: string; undo: string } {
  const image = copyOf(source, folder);
  undoFiles += 1;
  const undo = join(folder, `undo-${undoFiles}`);
  expect(runHere(['apply', image, ...changes, '--save-undo', undo])).toMatchObject({ status: 0, stderr: '' });
  return { image, undo };
}

describe('undo', () => {
  test.each<[FixtureImage, readonly string[]]>([
    ['ppc64le-64k', ADD],
    ['ppc64le-64k-no-hotplug', [...ADD, '--remove-memory', '0x50000000+256M']],
    ['ppc64le-4k', ['--remove-memory', '0x60000000+256M']],
    ['tiny-ppc64', ['--add-memory', '0x90000000+16M']],
  ])('%s has every byte of before', (source, changes) => {
    const { image, undo } = patched(source, changes);
    const before = readFileSync(fixtureImage(source));
    expect(readFileSync(image).equals(before)).toBe(false);
    expect(runHere(['undo', image, undo])).toMatchObject({ status: 0, stderr: '' });
    expect(readFileSync(image).equals(before)).toBe(true);
    expect(readdirSync(folder).filter((name) => name.includes('journal') || name.includes('partial'))).toEqual([]);
  });

  test('patches are undone in turn, the last one first', () => {
    const image = copyOf('ppc64le-64k', folder);
    const before = readFileSync(image);
    const files = ['0x90000000+256M', '0xb0000000+256M', '0xd0000000+256M'].map((range, i) => {
      const undo = join(folder, `turn-${i}`);
      expect(runHere(['apply', image, '--add-memory', range, '--save-undo', undo]).status).toBe(0);
      return undo;
    });
    const [first, second, third] = files as [string, string, string];
    const now = readFileSync(image);
    for (const early of [first, second]) {
      expect(runHere(['undo', image, early])).toMatchObject({
        status: 4,
        stderr: expect.stringContaining('undo later patches first') as string,
      });
      expect(readFileSync(image).equals(now)).toBe(true);
    }
    for (const undo of [third, second, first]) expect(runHere(['undo', image, undo]).status).toBe(0);
    expect(readFileSync(image).equals(before)).toBe(true);
  });

  test('of a copy works, too', () => {
    const { image, undo } = patched('ppc64le-64k', ADD);
    const copy = join(folder, 'copy');
    copyFileSync(image, copy);
    expect(runHere(['undo', copy, undo]).status).toBe(0);
    expect(readFileSync(copy).equals(readFileSync(fixtureImage('ppc64le-64k')))).toBe(true);
  });

  test('twice is refused', () => {
    const { image, undo } = patched('ppc64le-64k', ADD);
    expect(runHere(['undo', image, undo]).status).toBe(0);
    expect(runHere(['undo', image, undo])).toMatchObject({
      status: 4,
      stderr: `kdump-hotplug: ${image}: the patch is undone already; nothing is left to do\n`,
    });
    expect(readFileSync(image).equals(readFileSync(fixtureImage('ppc64le-64k')))).toBe(true);
  });

  test('where nothing was changed there is nothing to roll back', () => {
    const { image } = patched('ppc64le-64k', ADD);
    const undo = join(folder, 'nothing');
    expect(runHere(['apply', image, ...ADD, '--save-undo', undo]).status).toBe(0);
    if (existsSync(undo))
      expect(runHere(['undo', image, undo])).toMatchObject({ status: 0, stdout: expect.stringContaining('nothing') as string });
  });

  test('of another image, with a damaged file, or with no undo file is refused', () => {
    const { image, undo } = patched('ppc64le-64k', ADD);
    const now = readFileSync(image);
    const bad = join(folder, 'bad');
    const whole = readFileSync(undo);
    const other = copyOf('tiny-ppc64', folder);
    expect(runHere(['undo', other, undo])).toMatchObject({ status: 4 });
    for (const at of [0, 8, 12, 16, 24, 28, 56, 100, 130, 165, 3000, 4096, 4104, 4112, whole.length - 50, whole.length - 1]) {
      const turned = Buffer.from(whole);
      turned[at] = (turned[at] ?? 0) ^ 1;
      writeFileSync(bad, turned);
      expect(runHere(['undo', image, bad]), `byte ${at}`).toMatchObject({ status: 3 });
    }
    for (const length of [0, 1, 4095, 4159, whole.length - 1]) {
      writeFileSync(bad, whole);
      truncateSync(bad, length);
      expect(runHere(['undo', image, bad]), `${length} bytes`).toMatchObject({ status: 3 });
    }
    expect(runHere(['undo', image, image])).toMatchObject({ status: 3 });
    expect(runHere(['undo', image, folder])).toMatchObject({ status: 3 });
    expect(runHere(['undo', image, join(folder, 'none')])).toMatchObject({ status: 5 });
    expect(readFileSync(image).equals(now)).toBe(true);
  });

  test('a file that exists is not replaced by an undo file', () => {
    const image = copyOf('ppc64le-64k', folder);
    const undo = join(folder, 'there');
    writeFileSync(undo, 'precious');
    expect(runHere(['apply', image, ...ADD, '--save-undo', undo])).toMatchObject({ status: 5 });
    expect(readFileSync(undo, 'latin1')).toBe('precious');
    expect(readFileSync(image).equals(readFileSync(fixtureImage('ppc64le-64k')))).toBe(true);
  });
});
