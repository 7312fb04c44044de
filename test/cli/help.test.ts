import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, cpSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { COMMANDS } from '../../src/cli/commands.js';
import { examplesOf } from '../../src/cli/examples.js';
import { build, packedFile, partsOf } from '../helpers/build-image.js';
import { Capture } from '../helpers/capture-image.js';
import { cpusDirectory } from '../helpers/cpus-directory.js';
import { expectFailure } from '../helpers/failure.js';
import { FIXTURES, fixtureImage } from '../helpers/fixtures.js';
import { runHere } from '../helpers/run-here.js';
import { PROGRAM, scratchFolder, run } from '../helpers/run.js';

const folder = scratchFolder();
const NAMES = Object.keys(COMMANDS);
const helpOf = (...args: string[]): string => {
  const { status, stdout, stderr } = runHere(args);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout;
};

describe.each(NAMES)('help of %s', (name) => {
  test('is the same in all three ways to ask for it', () => {
    const help = helpOf(name, '--help');
    expect(helpOf(name, '-h')).toBe(help);
    expect(helpOf('help', name)).toBe(help);
  });

  test('has a usage line, the options by group, and examples', () => {
    const help = helpOf('help', name);
    expect(help).toMatch(new RegExp(`^Usage: kdump-hotplug ${name} `));
    expect(help).toMatch(/^Common options:\n( .*\n)* {2}--json /m);
    expect(help).toMatch(/^Examples:\n {2}# .+\n {2}\S/m);
    for (const [, line] of examplesOf(name)) expect(help).toContain(`  ${line}\n`);
  });

  test('fits 80 columns, but for examples, which are to be copied; on a terminal it uses the width', () => {
    const [options = ''] = helpOf('help', name).split('Examples:');
    expect(Math.max(...options.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
    const [wide = ''] = runHere(['help', name], { isTerminal: true, columns: 200 }).stdout.split('Examples:');
    expect(wide.split('\n').length).toBeLessThanOrEqual(options.split('\n').length);
    if (name === 'apply') expect(Math.max(...wide.split('\n').map((line) => line.length))).toBeGreaterThan(100);
  });
});

test('help of the program: every command, and examples', () => {
  const help = helpOf('--help');
  for (const name of NAMES) expect(help).toMatch(new RegExp(`^ {2}${name} +\\S`, 'm'));
  expect(helpOf('help')).toBe(help);
  for (const [, line] of examplesOf('')) expect(help).toContain(line);
});

test('docs/cli.md has a section on every command', () => {
  const page = readFileSync(new URL('../../docs/cli.md', import.meta.url), 'utf8');
  const sections = [...page.matchAll(/^## (.+)$/gm)].flatMap(([, title = '']) => title.split(', '));
  for (const name of NAMES) expect(sections).toContain(name);
});

test('options that belong together stand together', () => {
  const groups = [...helpOf('help', 'apply').matchAll(/^([A-Z][a-z ]+):$/gm)].map(([, group]) => group);
  expect(groups).toEqual(expect.arrayContaining(['Arguments', 'Changes', 'Writing', 'Image options', 'Common options']));
  expect(groups.at(-1)).toBe('Examples');
  expect(new Set(groups).size).toBe(groups.length);
});

describe('mistyped', () => {
  test.each([
    [['inspct', 'x'], /unknown command 'inspct'.*inspect/],
    [['inspct', 'x', '--jsno'], /unknown command 'inspct'.*inspect/],
    [['help', 'inspct'], /unknown command 'inspct'.*inspect/],
    [['inspect', 'x', '--jsno'], /unknown option '--jsno'.*--json/],
    [['apply', 'x', '--add-memry', '1'], /unknown option '--add-memry'.*--add-memory/],
    [['--json', 'inspect', 'x'], /unknown option '--json'; options come after the command/],
    [['inspect', 'x', '--format', 'rwa'], /'rwa' is invalid.*packed, elf-core, raw/],
    [['extract', 'x', 'fdtt'], /'fdtt' is invalid.*fdt/],
  ])('%j', (args, words) => {
    const result = runHere(args);
    expectFailure(result, args, 2);
    expect(result.stderr).toMatch(words);
    expect(result.stderr).toMatch(/^kdump-hotplug: [^\n]+\n$/);
  });
});

/** What the examples name. */
function makeInputs(directory: string): void {
  const captures = join(FIXTURES, 'captures/ppc64le-6.12-64k');
  mkdirSync(join(directory, 'device-tree'));
  execFileSync('tar', ['xf', join(captures, '02-mem-add-256M/device-tree.tar.gz'), '-C', join(directory, 'device-tree')]);
  copyFileSync(join(captures, '02-mem-add-256M/iomem.txt'), join(directory, 'iomem.txt'));
  copyFileSync(join(captures, 'kexec-debug.log'), join(directory, 'kexec.log'));
  for (const name of ['image.kdump', 'before.kdump', 'after.kdump']) copyFileSync(fixtureImage('ppc64le-64k'), join(directory, name));
  packedFile(join(directory, 'x86.kdump'), build(partsOf('x86_64')));
  writeFileSync(join(directory, 'x86-iomem.txt'), '00000000-04ffffff : System RAM\n  02000000-02ffffff : Crash kernel\n');
  mkdirSync(join(directory, 'x86-cpus'));
  const [possible, present, online] = ['0-2', '0-2', '0-2'];
  const notes = [0, 1, 2].map((cpu) => [cpu, 0x700000n + 0x1000n * BigInt(cpu), 0x170n] as const);
  cpusDirectory(join(directory, 'x86-cpus'), { possible, present, online, notes });
  writeFileSync(join(directory, 'changes.json'), '{ "changes": [{ "action": "add", "cpu": { "id": 2 } }] }');
  const kdump = (...args: string[]): void => {
    expect(run(args, { cwd: directory })).toMatchObject({ status: 0, stderr: '' });
  };
  kdump('extract', 'image.kdump', '-d', 'parts', '--manifest');
  kdump('apply', 'after.kdump', '--add-cpu', '2');
  for (const path of ['bin', '.local/share/bash-completion/completions', '.zsh/completions', '.config/fish/completions'])
    mkdirSync(join(directory, path), { recursive: true });
  writeFileSync(join(directory, 'bin/kdump-hotplug'), `#!/bin/sh\nexec "${process.execPath}" "${PROGRAM}" "$@"\n`);
  chmodSync(join(directory, 'bin/kdump-hotplug'), 0o755);
}

describe('the examples are true', () => {
  const inputs = join(folder, 'inputs');
  const ram = new Capture('ppc64le-6.12-64k').ramFile(folder).path;
  beforeAll(() => {
    mkdirSync(inputs);
    makeInputs(inputs);
  }, 60_000);

  const examples = ['', ...NAMES].flatMap((name) => examplesOf(name).map(([, line]) => ({ name, line })));
  test.each(examples)('$line', ({ name, line }) => {
    const directory = join(folder, 'run');
    rmSync(directory, { recursive: true, force: true });
    cpSync(inputs, directory, { recursive: true });
    // 2 GiB that nobody writes to.
    linkSync(ram, join(directory, 'guest.ram'));
    const inShell = (command: string): ReturnType<typeof spawnSync> =>
      spawnSync('bash', ['-c', command], {
        cwd: directory,
        env: { HOME: directory, PATH: `${join(directory, 'bin')}:${process.env.PATH ?? ''}` },
        encoding: 'utf8',
      });
    // What the examples of other commands make.
    if (name === 'undo') expect(inShell(examplesOf('apply')[0]?.[1] ?? '').status).toBe(0);
    const { status, stdout, stderr } = inShell(line);
    // watch tells there what it does.
    if (name !== 'watch') expect(stderr).toBe('');
    expect(stderr).not.toContain('kdump-hotplug: ');
    expect(/^kdump-hotplug (check|diff)/.test(line) ? [0, 1] : [0]).toContain(status);
    if (!line.includes('>')) expect(stdout).not.toBe('');
  });
});
