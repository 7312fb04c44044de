import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { COMMANDS } from '../../src/cli/commands.js';
import { examplesOf } from '../../src/cli/examples.js';
import { runHere as run } from '../helpers/run-here.js';
import { has } from '../helpers/run.js';

// The page is made at each build and not kept, so it is made here too.

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PAGE = `${ROOT}/man/kdump-hotplug.1`;
execFileSync(process.execPath, ['scripts/man.mjs'], { cwd: ROOT });
const source = readFileSync(PAGE, 'utf8');
/** The page as text, before it is filled and justified. */
const text = source
  .replaceAll(/\\f[BIR]/g, '')
  .replaceAll('\\-', '-')
  .replaceAll('\\&', '')
  .replaceAll('\\e', '\\');

test('it has every command, with every option of its help', () => {
  for (const name of Object.keys(COMMANDS)) {
    expect(text).toContain(`\n.SS ${name}\nkdump-hotplug ${name} `);
    const help = run(['help', name]).stdout.split('Examples:')[0] ?? '';
    const options = [...help.matchAll(/^ {2}(?:-\w, )?(--[\w-]+)/gm)].map(([, long = '']) => long);
    expect(options.length).toBeGreaterThan(4);
    for (const option of options) expect(text).toMatch(new RegExp(`^(-\\w, )?${option}( |$)`, 'm'));
  }
});

test('it has every example as it is typed, and the sections of a man page in their order', () => {
  for (const name of Object.keys(COMMANDS)) for (const [, line] of examplesOf(name)) expect(text).toContain(`\n${line}\n`);
  expect([...text.matchAll(/^\.SH (.*)$/gm)].map(([, title]) => title)).toEqual([
    'NAME',
    'SYNOPSIS',
    'DESCRIPTION',
    'COMMANDS',
    'OPTIONS',
    'EXIT STATUS',
    'ENVIRONMENT',
    'FILES',
    'EXAMPLES',
    'SEE ALSO',
  ]);
  for (const code of [0, 1, 2, 3, 4, 5]) expect(text).toContain(`\n.TP\n${code}\n`);
  expect(text).toContain('.IMAGE.kdhp-journal');
});

test('it is shipped in the package', () => {
  const { man, files } = JSON.parse(readFileSync(`${ROOT}/package.json`, 'utf8')) as { man: string; files: string[] };
  expect(`${ROOT}/${man}`).toBe(PAGE);
  expect(files).toContain('man');
});

test.skipIf(!has('man'))('groff has nothing to say against it', () => {
  const { status, stderr } = spawnSync('man', ['--warnings', '-l', PAGE], { encoding: 'utf8', env: { ...process.env, MANWIDTH: '80' } });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
});

test.skipIf(spawnSync('mandoc', ['-T', 'lint', '/dev/null']).error !== undefined)('mandoc has no warning', () => {
  const { stdout, stderr } = spawnSync('mandoc', ['-T', 'lint', '-W', 'warning', PAGE], { encoding: 'utf8' });
  expect(stdout + stderr).toBe('');
});
