import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { World } from '../../src/cli/program.js';
import type { FileSystem } from '../../src/file/file-system.js';
import { nodeFileSystem } from '../../src/file/node-file-system.js';
import { Capture } from '../helpers/capture-image.js';
import { fixtureImage } from '../helpers/fixtures.js';
import { runHere } from '../helpers/run-here.js';
import { run, scratchFolder } from '../helpers/run.js';

// Long work shows how far it is, on the terminal that standard error is, and nowhere else.

const folder = scratchFolder();
const IMAGE = fixtureImage('ppc64le-64k');
const REMOVE = '\r\u001b[K';

/** Its clock goes on by `nanoseconds` with each mebibyte that is read or written, or part of one. */
function slowFileSystem(nanoseconds: bigint): FileSystem {
  let time = 10n ** 18n;
  const took = (bytes: number): void => {
    time += BigInt(Math.ceil(bytes / (1 << 20))) * nanoseconds;
  };
  return {
    ...nodeFileSystem,
    now: () => time,
    read: (descriptor, into, position) => {
      took(into.length);
      return nodeFileSystem.read(descriptor, into, position);
    },
    write: (descriptor, bytes, position) => {
      took(bytes.length);
      nodeFileSystem.write(descriptor, bytes, position);
    },
    copy: (from, to, copied) => {
      nodeFileSystem.copy(from, to, (bytes) => {
        took(bytes);
        copied?.(bytes);
      });
    },
  };
}

function drawings(args: readonly string[], world: Partial<World>): string[] {
  const { status, stderr } = runHere(args, { errorIsTerminal: true, errorColumns: 80, ...world });
  expect([0, 1]).toContain(status);
  return stderr.split(REMOVE).slice(1);
}

const memory = new Capture('ppc64le-6.12-64k').ramFile(folder);
const SLOW = slowFileSystem(4_000_000n); // 0.26 GB/s

describe('on a terminal', () => {
  test('what, how much of it, how fast, how long still; removed at the end', () => {
    const lines = drawings(['inspect', memory.path], { fileSystem: SLOW });
    expect(lines.length).toBeGreaterThan(10);
    expect(lines.pop()).toBe('');
    for (const line of lines) expect(line).toMatch(/^(\d+%, 0\.2\d GB\/s, \d+ s left|0\.2\d GB\/s): looking for the image in /);
    const percents = lines.flatMap((line) => (line.includes('%') ? [parseInt(line, 10)] : []));
    expect(percents).toEqual([...percents].sort((a, b) => a - b));
    expect(percents.at(-1)).toBeGreaterThan(95);
    expect(percents.at(-1)).toBeLessThanOrEqual(100);
  });

  test('nothing in the first half second, then at most ten times a second', () => {
    const fileSystem = slowFileSystem(4_000_000n);
    const began = fileSystem.now();
    const times: number[] = [];
    const writeError = (): void => {
      times.push(Number(fileSystem.now() - began) / 1e6);
    };
    runHere(['inspect', memory.path], { fileSystem, errorIsTerminal: true, errorColumns: 80, writeError });
    times.pop();
    expect(times[0]).toBeGreaterThanOrEqual(500);
    expect(Math.min(...times.slice(1).map((time, index) => time - (times[index] ?? 0)))).toBeGreaterThanOrEqual(100);
    expect(times.length).toBeGreaterThan(60);
    expect(drawings(['inspect', memory.path], { fileSystem: slowFileSystem(200_000n) })).toEqual([]);
  });

  test('a line is never longer than the terminal is wide', () => {
    for (const line of drawings(['inspect', memory.path], { fileSystem: SLOW, errorColumns: 40 })) expect(line.length).toBeLessThan(40);
  });

  const slower = slowFileSystem(700_000_000n);
  test.each<[string, string[], RegExp]>([
    ['capture', ['capture', memory.path, '-o', join(folder, 'captured'), '--overwrite'], /^\d+%.*: writing .*captured$/],
    ['pack', ['pack', '--manifest', join(folder, 'parts/manifest.json'), '-o', join(folder, 'packed')], /^\d+%.*: writing .*packed$/],
    ['extract', ['extract', IMAGE, '-d', join(folder, 'again')], /^\d+%.*: writing .*again$/],
    ['apply -o', ['apply', IMAGE, '--add-cpu', '2', '-o', join(folder, 'applied')], /^\d+%.*: copying .*64k.kdump$/],
    ['inspect --verify', ['inspect', IMAGE, '--verify'], /^\d+%.*: checking the purgatory's digest$/],
    ['check', ['check', IMAGE], /^\d+%.*: checking the purgatory's digest$/],
    ['diff', ['diff', IMAGE, fixtureImage('ppc64le-64k-no-hotplug')], /^\d+%.*: comparing$/],
    [
      'a plan that changes the digest',
      ['plan', fixtureImage('ppc64le-64k-no-hotplug'), '--add-cpu', '2'],
      /^\d+%.*: checking the purgatory's digest$/,
    ],
  ])('%s', (name, args, wanted) => {
    if (name === 'pack') expect(run(['extract', IMAGE, '-d', join(folder, 'parts'), '--manifest']).status).toBe(0);
    const lines = drawings(args, { fileSystem: slower, errorColumns: 300 });
    expect(lines.filter((line) => wanted.test(line))).not.toEqual([]);
    expect(lines.at(-1)).toBe('');
  });

  test('it is removed before an error is said', () => {
    const path = join(folder, 'empty.ram');
    writeFileSync(path, '');
    truncateSync(path, 2 ** 28);
    const { status, stderr } = runHere(['inspect', path], { fileSystem: SLOW, errorIsTerminal: true });
    expect(status).toBe(3);
    expect(stderr).toMatch(/looking for the image/);
    expect(stderr.slice(stderr.lastIndexOf(REMOVE) + REMOVE.length)).toMatch(/^kdump-hotplug: [^\n]+\n$/);
  });

  test('what is done is escaped', () => {
    const path = join(folder, 'evil\u001b[2J.ram');
    writeFileSync(path, '');
    truncateSync(path, 2 ** 28);
    const { stderr } = runHere(['inspect', path], { fileSystem: SLOW, errorIsTerminal: true, errorColumns: 300 });
    expect(stderr.replaceAll(REMOVE, '')).not.toContain('\u001b');
  });
});

describe('nothing at all', () => {
  /** How often the clock was asked, and what was said. */
  function looked(args: readonly string[], world: Partial<World>): { stderr: string; asked: number } {
    let asked = 0;
    const slow = slowFileSystem(700_000_000n);
    const fileSystem = {
      ...slow,
      now: () => {
        asked += 1;
        return slow.now();
      },
    };
    const { stderr } = runHere(['inspect', IMAGE, '--verify', ...args], { ...world, fileSystem });
    return { stderr, asked };
  }
  const without = looked([], {});

  test.each<[string, string[], Partial<World>]>([
    ['when standard error is no terminal', [], { errorIsTerminal: false }],
    ['with --quiet', ['--quiet'], { errorIsTerminal: true }],
    ['with --json', ['--json'], { errorIsTerminal: true }],
  ])('%s, and then nothing is counted', (_, args, world) => {
    expect(looked(args, world)).toEqual(without);
  });

  test('and with a terminal there would have been something', () => {
    const { stderr, asked } = looked([], { errorIsTerminal: true });
    expect(stderr).not.toBe('');
    expect(asked).toBeGreaterThan(without.asked);
  });

  test('in the program itself, in a pipe', () => {
    expect(run(['inspect', memory.path])).toMatchObject({ status: 0, stderr: '' });
  });
});
