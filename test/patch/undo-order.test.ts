import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseJournal } from '../../src/journal/journal.js';
import { copyOf, fixtureImage, type FixtureImage } from '../helpers/fixtures.js';
import { runHere } from '../helpers/run-here.js';
import { scratchFolder } from '../helpers/run.js';

// Patches undone in another order than the last one first.

const folder = scratchFolder();
const ADD_MEMORY = ['--add-memory', '0x80000000+256M'];
const ADD_CPU = ['--add-cpu', '2'];
let files = 0;

/** Applies `changes`, and says where their undo file is. */
function applied(image: string, changes: readonly string[]): string {
  files += 1;
  const undo = join(folder, `undo-${files}`);
  expect(runHere(['apply', image, ...changes, '--save-undo', undo])).toMatchObject({ status: 0, stderr: '' });
  return undo;
}

/** What a fixture is with `changes` and nothing else. */
function imageWith(source: FixtureImage, changes: readonly string[]): Buffer {
  const image = copyOf(source, folder);
  applied(image, changes);
  return readFileSync(image);
}

function shareBytes(first: string, second: string): boolean {
  const [ours, theirs] = [first, second].map((path) => parseJournal(readFileSync(path)).records);
  return (ours ?? []).some((a) =>
    (theirs ?? []).some((b) => a.position < b.position + b.before.length && b.position < a.position + a.before.length),
  );
}

/** The image must not change, and the refusal says why. */
function expectRefused(image: string, undo: string, reason = 'undo later patches first'): void {
  const before = readFileSync(image);
  const { status, stderr } = runHere(['undo', image, undo]);
  expect(status).toBe(4);
  expect(stderr).toContain(reason);
  expect(readFileSync(image).equals(before)).toBe(true);
}

describe('the first of two patches is undone first', () => {
  // Memory is listed in the elfcorehdr and CPUs in the FDT, and the digest of this image covers neither.
  test.each([
    ['memory, then a CPU', ADD_MEMORY, ADD_CPU],
    ['a CPU, then memory', ADD_CPU, ADD_MEMORY],
  ])('%s, which share no byte: what is left is the second alone, and then nothing', (_, first, second) => {
    const image = copyOf('ppc64le-64k', folder);
    const [undoFirst, undoSecond] = [applied(image, first), applied(image, second)];
    expect(shareBytes(undoFirst, undoSecond)).toBe(false);
    expect(runHere(['undo', image, undoFirst])).toMatchObject({ status: 0, stderr: '' });
    expect(readFileSync(image).equals(imageWith('ppc64le-64k', second))).toBe(true);
    expectRefused(image, undoFirst, 'undone already');
    expect(runHere(['undo', image, undoSecond])).toMatchObject({ status: 0, stderr: '' });
    expect(readFileSync(image).equals(readFileSync(fixtureImage('ppc64le-64k')))).toBe(true);
  });

  test('both change the digest: refused, and in turn both go', () => {
    const image = copyOf('ppc64le-64k-no-hotplug', folder);
    const [undoFirst, undoSecond] = [applied(image, ADD_MEMORY), applied(image, ADD_CPU)];
    expect(shareBytes(undoFirst, undoSecond)).toBe(true);
    expectRefused(image, undoFirst);
    for (const undo of [undoSecond, undoFirst]) expect(runHere(['undo', image, undo]).status).toBe(0);
    expect(readFileSync(image).equals(readFileSync(fixtureImage('ppc64le-64k-no-hotplug')))).toBe(true);
  });

  test('a range between others moved those, and one of them grew since: refused', () => {
    const image = copyOf('ppc64le-64k', folder);
    for (const range of ['0x200000000+1G', '0x300000000+1G']) applied(image, ['--add-memory', range]);
    const undo = applied(image, ['--add-memory', '0x100000000+256M']);
    applied(image, ['--add-memory', '0x240000000+1G']);
    expectRefused(image, undo);
  });

  /*
   * The nodes of two CPUs differ in few bytes, so pruning one changes few bytes of the next one's. A property of that one in between would
   * become the other's.
   */
  test('a pruned CPU moved the next one, of which a property was set since: refused', () => {
    const image = copyOf('ppc64le-64k', folder);
    for (const cpu of ['4', '2']) applied(image, ['--add-cpu', cpu]);
    const undo = applied(image, ['--remove-cpu', '4', '--prune-cpus']);
    const changes = join(folder, 'property.json');
    writeFileSync(changes, '{"action":"add","cpu":{"id":2,"properties":{"timebase-frequency":512000001}}}');
    applied(image, ['--changes', changes]);
    expectRefused(image, undo);
  });
});
