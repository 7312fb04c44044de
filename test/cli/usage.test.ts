import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { copyOf, fixtureImage } from '../helpers/fixtures.js';
import { nodeFileSystem } from '../../src/file/node-file-system.js';
import { runHere as run } from '../helpers/run-here.js';
import { scratchFolder } from '../helpers/run.js';

// What is wrong with the command line or a change file: exit code 2, nothing on standard output, nothing written.

const folder = scratchFolder();
const IMAGE = fixtureImage('ppc64le-64k');
let path = '';

beforeEach(() => {
  path = copyOf('ppc64le-64k', folder);
});

function expectUsageError(args: readonly string[], words: RegExp, input = ''): void {
  const result = run(args, { fileSystem: { ...nodeFileSystem, readStandardInput: () => Buffer.from(input) } });
  expect(result).toMatchObject({ status: 2, stdout: '' });
  expect(result.stderr).toMatch(/^kdump-hotplug: [^\n]+\n/);
  expect(result.stderr).toMatch(words);
}

const ADD = ['--add-memory', '0x80000000+256M'];

test.each([
  ['an unknown command', ['inspekt', IMAGE], /inspekt.*\n?.*inspect/],
  ['an unknown option', ['inspect', IMAGE, '--verfy'], /--verfy[^]*--verify/],
  ['a missing argument', ['inspect'], /image/],
  ['one argument too many', ['inspect', IMAGE, IMAGE], /too many arguments/],
  ['one image for diff', ['diff', IMAGE], /after/],
  ['a missing option', ['capture', IMAGE], /--output/],
  ['an option without its value', ['inspect', IMAGE, '--kexec-log'], /--kexec-log/],
  ['an unknown format', ['inspect', IMAGE, '--format', 'zip'], /zip.*packed.*elf-core.*raw/],
  ['a base that is no number', ['inspect', IMAGE, '--base', '1e9'], /--base.*1e9/],
  ['a hexadecimal number without 0x', ['inspect', IMAGE, '--base', 'a0000'], /0x/],
  ['a base for a packed image', ['inspect', IMAGE, '--base', '0x1000'], /--base/],
  ['a map for a packed image', ['inspect', IMAGE, '--map', '0:0:4096'], /--map/],
  ['a map that is none', ['inspect', IMAGE, '--map', '0:0'], /--map/],
  ['a crashkernel range that is none', ['inspect', IMAGE, '--crash-kernel', '512M'], /range/],
  ['an unknown colour choice', ['inspect', IMAGE, '--color', 'sometimes'], /sometimes/],
  ['pack with nothing', ['pack', '-o', 'never.kdump'], /manifest/],
  ['pack with an unknown architecture', ['pack', '-o', 'never.kdump', '--architecture', 'vax', '--segment', 'kernel=x@0'], /vax/],
  ['pack with a segment that is none', ['pack', '-o', 'never.kdump', '--architecture', 'ppc64le', '--segment', 'kernel'], /kernel/],
  ['an unknown segment', ['extract', IMAGE, 'turnip', '-d', 'never'], /turnip/],
])('%s', (_, args, words) => {
  expectUsageError(args, words);
  expect(existsSync('never.kdump') || existsSync('never')).toBe(false);
});

describe.each(['plan', 'apply'])('%s', (command) => {
  test.each([
    ['no change', [], /no change/],
    ['no range', ['--add-memory', '0x80000000'], /range/],
    ['an empty range', ['--add-memory', '0x80000000+0'], /empty/],
    ['a range that runs backwards', ['--add-memory', '0x90000000-0x80000000'], /backwards.*did you mean 0x80000000-0x90000000/],
    ['a range that passes 2^64', ['--add-memory', '0xffffffffffffffff+2'], /address space/],
    ['a start of 2^64', ['--add-memory', '0x10000000000000000+1'], /large/],
    ['a negative start', ['--add-memory', '-1+4096'], /negative/],
    ['just 0x', ['--add-memory', '0x+4096'], /number/],
    ['an exponent', ['--add-memory', '1e9+4096'], /number/],
    ['digits that are not ASCII', ['--add-memory', '٣+4096'], /number/],
    ['65 digits', ['--add-memory', `${'1'.repeat(65)}+4096`], /long/],
    ['an unknown unit', ['--add-memory', '0x80000000+1Q'], /size/],
    ['no CPU ids', ['--add-cpu', 'two'], /two/],
    ['CPU ids that run backwards', ['--add-cpu', '4-2'], /backwards/],
    ['too many CPU ids', ['--add-cpu', '0-99999999'], /too many/],
    ['an unknown kernel', [...ADD, '--compat', 'hurd'], /hurd/],
    ['apply and plan take no second image', [...ADD, 'other'], /too many/],
  ])('%s', (_, args, words) => {
    const before = readFileSync(path);
    expectUsageError([command, path, ...args], words);
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  test.each([
    ['not JSON', 'add memory', /line 1|JSON/],
    ['empty', '', /change/],
    ['an unknown key at the top', '{"changes":[],"colour":1}', /colour/],
    ['an unknown key in a change', '{"changes":[{"action":"add","memory":{"start":"0x80000000","size":"256M"},"node":1}]}', /node/],
    ['an unknown key in memory', '{"changes":[{"action":"add","memory":{"start":"0x80000000","size":"256M","end":1}}]}', /end/],
    ['__proto__', '{"changes":[{"action":"add","cpu":{"id":2},"__proto__":{}}]}', /__proto__/],
    ['a key twice', '{"changes":[{"action":"add","action":"remove","cpu":{"id":2}}]}', /action/],
    ['an unknown action', '{"changes":[{"action":"double","cpu":{"id":2}}]}', /double/],
    ['neither memory nor CPU', '{"changes":[{"action":"add"}]}', /memory/],
    ['both memory and CPU', '{"changes":[{"action":"add","cpu":{"id":2},"memory":{"start":0,"size":1}}]}', /memory/],
    ['1e400', '{"changes":[{"action":"add","cpu":{"id":1e400}}]}', /1e400/],
    ['nested too deeply', '['.repeat(100_000), /deep/],
  ])('a change file that is wrong: %s', (_, text, words) => {
    const before = readFileSync(path);
    const file = join(folder, 'changes.json');
    writeFileSync(file, text);
    expectUsageError([command, path, '--changes', file], words);
    expectUsageError([command, path, '--changes', file], /changes\.json/);
    expectUsageError([command, path, '--changes', '-'], /standard input/, text);
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  test('a change file that is not there: exit code 5', () => {
    expect(run([command, path, '--changes', join(folder, 'nothing')])).toMatchObject({ status: 5, stdout: '' });
  });
});

test('an option that is wrong is reported before the image is opened', () => {
  expect(run(['apply', join(folder, 'nothing'), '--add-memory', '1e9+1']).status).toBe(2);
});

test.each([[['--help']], [['--version']], [['apply', '--help']]])('%j: on standard output, exit code 0', (args) => {
  const result = run(args);
  expect(result).toMatchObject({ status: 0, stderr: '' });
  expect(result.stdout).not.toBe('');
});

test('no command: exit code 2', () => {
  expect(run([])).toMatchObject({ status: 2, stdout: '' });
});
