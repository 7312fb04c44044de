import { readFileSync, statSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { expectFailure } from '../helpers/failure.js';
import { copyOf, section, type FixtureImage } from '../helpers/fixtures.js';
import { runHere as run } from '../helpers/run-here.js';
import { scratchFolder } from '../helpers/run.js';
import { tightFdt } from '../helpers/tight-fdt.js';

// A change that was understood and is not made: one line, exit code 4, and not a byte of the file is touched.

const folder = scratchFolder();
const ONE_LINE = /^kdump-hotplug: [^\n]+\n$/;

function expectRefused(path: string, args: readonly string[], words: RegExp): void {
  const [before, { mtimeNs }] = [readFileSync(path), statSync(path, { bigint: true })];
  for (const command of [
    ['plan', path],
    ['apply', path],
    ['apply', path, '--json'],
    ['apply', path, '--dry-run'],
    ['apply', path, '-o', `${path}.out`],
  ]) {
    const result = run([...command, ...args]);
    expectFailure(result, command, 4);
    expect(result.stderr).toMatch(ONE_LINE);
    expect(result.stderr).toMatch(words);
    expect(result.stderr).toContain(path);
  }
  expect(Buffer.compare(readFileSync(path), before)).toBe(0);
  expect(statSync(path, { bigint: true }).mtimeNs).toBe(mtimeNs);
  expect(() => statSync(`${path}.out`)).toThrow();
}

describe.each([
  ['memory that is listed in part', 'ppc64le-64k', ['--add-memory', '0x7ff00000+2M'], /0x40000000-0x7fffffff.*listed already/],
  ['memory around listed memory', 'ppc64le-64k', ['--add-memory', '0x10000-0xffffffff'], /listed already/],
  ['memory in the crashkernel range', 'ppc64le-64k', ['--add-memory', '0x30000000+16M'], /crashkernel/],
  ['memory that runs into the crashkernel range', 'tiny-ppc64', ['--add-memory', '0x600000+1M'], /crashkernel/],
  ['removal of memory that is not there', 'ppc64le-64k', ['--remove-memory', '0x80000000+256M'], /not listed/],
  ['removal of memory that is there in part', 'ppc64le-64k', ['--remove-memory', '0x7ff00000+2M'], /not listed/],
  ['removal of the crashkernel range', 'ppc64le-64k', ['--remove-memory', '0x20000000+512M'], /kdump image uses/],
  ['removal of a CPU that is not there', 'ppc64le-64k', ['--remove-cpu', '9'], /no such CPU/],
  ['removal of the last CPU', 'tiny-ppc64', ['--remove-cpu', '0', '--prune-cpus'], /last/],
  ['a CPU without a connector', 'ppc64le-64k', ['--add-cpu', '99'], /drc/],
  ['a good change and a bad one', 'ppc64le-64k', ['--add-memory', '0x80000000+256M', '--remove-memory', '0x90000000+256M'], /not listed/],
  ['a good memory change and a bad CPU change', 'ppc64le-64k', ['--add-memory', '0x80000000+256M', '--remove-cpu', '9'], /no such CPU/],
] as const)('%s', (_, image, args, words) => {
  test('is refused', () => {
    expectRefused(copyOf(image satisfies FixtureImage, folder), args, words);
  });
});

test('the same changes without what is wrong with them are made', () => {
  const path = copyOf('ppc64le-64k', folder);
  expect(run(['apply', path, '--add-memory', '0x80000000+256M', '--remove-memory', '0x80000000+256M'])).toMatchObject({ status: 0 });
});

test('a full elfcorehdr: every range that fits is made, the next is refused', () => {
  // 72 program headers of 56 bytes behind the 64 of the header: 5 are there, so 67 ranges that touch no other fit.
  const path = copyOf('tiny-ppc64', folder);
  const range = (index: number): string[] => ['--add-memory', `0x${(0x10000000 + index * 0x200000).toString(16)}+1M`];
  const ranges = (count: number): string[] => Array.from({ length: count }, (_, index) => range(index)).flat();
  expectRefused(path, ranges(68), /does not fit the elfcorehdr.*4096/);
  expect(run(['apply', path, ...ranges(67)])).toMatchObject({ status: 0, stderr: '' });
  expect(section(path, '.kexec.elfcorehdr').bytes.readUInt16BE(56)).toBe(72);
  expect(run(['inspect', path, '--verify', '--json']).stdout).toContain('"memoryRanges": 0');
  expectRefused(path, range(67), /does not fit the elfcorehdr/);
  // What joins a neighbour needs no program header.
  expect(run(['apply', path, '--add-memory', '0x10100000+1M'])).toMatchObject({ status: 0 });
});

/** What a script may tell the refusal by. */
function codeOf(path: string, changes: readonly string[]): unknown {
  const { stdout } = run(['plan', path, ...changes, '--json']);
  return (JSON.parse(stdout) as { error: { code: string } }).error.code;
}

test('an FDT without room is refused, with the bytes that are missing', () => {
  const { path, used } = tightFdt(folder, 'full', (size) => size);
  expectRefused(path, ['--add-cpu', '2'], new RegExp(String(used)));
  expect(codeOf(path, ['--add-cpu', '2'])).toBe('no-room');
});

test('an FDT whose segment is in use behind totalsize is refused', () => {
  const { path } = tightFdt(folder, 'occupied', () => 0x7000, Uint8Array.of(0, 0, 0, 0, 1));
  expectRefused(path, ['--add-cpu', '2'], /not free/);
  expect(codeOf(path, ['--add-cpu', '2'])).toBe('no-room');
});
