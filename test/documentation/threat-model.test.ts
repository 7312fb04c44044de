import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

// The threat model promises nothing that no test holds: below each promise stand its tests, by file and name.

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PAGE = readFileSync(join(ROOT, 'docs/threat-model.md'), 'utf8');
const PROMISED = /^## Promised$([^]*?)^## /m.exec(PAGE)?.[1] ?? '';

/** A promise, and what is said of each of its tests. */
const promises = PROMISED.split(/^(?=\d+\. )/m)
  .slice(1)
  .map((item) => ({
    promise: item.split('\n')[0] ?? '',
    tests: [...item.matchAll(/^ +- (.*)$/gm)].map(([, named = '']) => named),
  }));

/** What is wrong with what is said of a test, by file and name. */
function problemOf(named: string): string | undefined {
  const [, file = '', name = ''] = /^`(test\/\S+\.ts)`: (.+)$/.exec(named) ?? [];
  if (!existsSync(join(ROOT, file)) || name === '') return `${named}: no such file`;
  const source = readFileSync(join(ROOT, file), 'utf8').replace(/\s+/g, ' ');
  // A name stands before the body of its test, or of its group.
  const isThere = ["'", '"', '`'].some((quote) => [', (', ', async ('].some((body) => source.includes(`${quote}${name}${quote}${body}`)));
  if (!isThere) return `${named}: no such test`;
  return file.endsWith('.test.ts') || isRunBeside(file) ? undefined : `${named}: nothing runs it`;
}

/** Whether a test file of the same folder imports this one. */
function isRunBeside(file: string): boolean {
  const folder = join(ROOT, dirname(file));
  return readdirSync(folder)
    .filter((name) => name.endsWith('.test.ts'))
    .some((name) => readFileSync(join(folder, name), 'utf8').includes(`'./${basename(file, '.ts')}.js'`));
}

test('each promise names a test', () => {
  expect(promises.length).toBeGreaterThan(30);
  expect(promises.filter(({ tests }) => tests.length === 0)).toEqual([]);
});

test('each test that a promise names is there', () => {
  expect(promises.flatMap(({ tests }) => tests.flatMap((named) => problemOf(named) ?? []))).toEqual([]);
});

test('what is trusted is said before what is promised', () => {
  const headings = [...PAGE.matchAll(/^## (.*)$/gm)].map(([, heading]) => heading);
  expect(headings.slice(0, 2)).toEqual(['Trusted', 'Not trusted']);
  expect(headings[2]).toBe('Promised');
});

test.each([
  ['`test/patch/no-such.test.ts`: the journal', 'no such file'],
  ['`test/patch/recover.test.ts`: a journal that the disk damage', 'no such test'],
  ['`test/guest/qemu.test.ts`: qemu-system-ppc64', 'no such test'],
  ['test/patch/recover.test.ts: a journal that the disk damaged', 'no such file'],
])('a wrong name is found: %s', (named, problem) => {
  expect(problemOf(named)).toContain(problem);
});
