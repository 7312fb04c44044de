import { spawnSync } from 'node:child_process';
import { closeSync, copyFileSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { FileSystem } from '../../src/file/file-system.js';
import { nodeFileSystem } from '../../src/file/node-file-system.js';
import { fixtureImage } from '../helpers/fixtures.js';
import { has, run, scratchFolder } from '../helpers/run.js';
import { runHere } from '../helpers/run-here.js';
import { randomFrom } from '../patch/power-cut-model.js';
import { LoggedDisk, missingForLoggedDisks, must, Replay, sparse, waitForRelease, type LogEntry } from './logged-disk.js';

/*
 * Power cuts of real file systems: the program patches an image on a disk whose writes and flushes are logged, and then for each moment the disk
 * is made that may have been there: all writes before the last flush, and any of those after it. It is mounted, which replays the file system's
 * own journal, and the image has to read as, and recover to, a version that is promised.
 */

const folder = scratchFolder();
const reason = missingForLoggedDisks();
if (reason !== undefined) console.warn(`no disk can be logged here, ${reason}: the replay of real file systems is skipped`);

const MIB = 1 << 20;
/** Sizes are the smallest that each is made with. */
const FILE_SYSTEMS = [
  { name: 'ext4', size: 64 * MIB, make: ['-E', 'nodiscard'], subsets: 3, states: 150 },
  { name: 'xfs', size: 300 * MIB, make: ['-K'], subsets: 1, states: 30 },
  { name: 'btrfs', size: 120 * MIB, make: ['-K'], subsets: 1, states: 80 },
];

/** After a power cut it is another boot. */
const nextBoot: FileSystem = {
  ...nodeFileSystem,
  readStart: (path, limit) =>
    path.endsWith('/boot_id') ? Buffer.from('another boot'.padEnd(36, '.')).subarray(0, limit) : nodeFileSystem.readStart(path, limit),
};

interface Recorded {
  readonly base: string;
  readonly log: string;
  readonly entries: readonly LogEntry[];
  /** Log entries at the end of each command, after that at which the first began. */
  readonly ends: readonly number[];
  readonly versions: readonly Buffer[];
}

const mounts = join(folder, 'mounts');
mkdirSync(mounts);
afterAll(() => {
  spawnSync('sh', ['-c', 'for at in "$0"/*; do umount "$at"; done', mounts], { stdio: 'ignore' });
});

/** Patches that grow the elfcorehdr and the FDT, one that is rolled back, and one after it. */
function record({ name, size, make }: (typeof FILE_SYSTEMS)[number]): Recorded {
  const disk = new LoggedDisk(join(folder, name), size);
  const at = join(mounts, name);
  try {
    disk.mount(name, make, at);
    const image = join(at, 'image');
    copyFileSync(fixtureImage('ppc64le-64k-no-hotplug'), image);
    must('sync', '-f', image);
    const base = join(folder, `${name}.base`);
    const versions = [readFileSync(image)];
    const ends = [disk.length];
    copyFileSync(disk.disk, base);
    for (const args of [
      ['apply', image, '--add-memory', '0x80000000+256M', '--add-cpu', '2', '--save-undo', join(at, 'undo')],
      ['undo', image, join(at, 'undo')],
      ['apply', image, '--add-cpu', '2-5'],
    ]) {
      expect(run(args)).toMatchObject({ status: 0 });
      ends.push(disk.length);
      versions.push(readFileSync(image));
    }
    disk.unmount(at);
    return { base, log: disk.log, entries: disk.entries(ends.at(-1) ?? 0), ends, versions };
  } finally {
    spawnSync('umount', [at]);
    disk.end();
  }
}

describe.skipIf(reason !== undefined)('a power cut of a real disk', () => {
  test.each(FILE_SYSTEMS.filter(({ name }) => has(`mkfs.${name}`) || spawnSync(`mkfs.${name}`, ['-V']).status === 0))(
    '$name: the image is old or new, whatever had reached the disk',
    (kind) => {
      const { base, log, entries, ends, versions } = record(kind);
      const random = randomFrom(7);
      const replay = new Replay(log);
      const durable = openSync(base, 'r+');
      const state = sparse(join(folder, `${kind.name}.state`), kind.size);
      const seen = new Map<number, number>();
      let states = 0;
      let pending: Extract<LogEntry, { kind: 'write' }>[] = [];
      for (let done = ends[0] ?? 0; done <= entries.length; done += 1) {
        const allowed = versions.filter((_, index) => (ends[index - 1] ?? 0) < done && done < (ends[index + 1] ?? Infinity));
        const all = pending.length;
        check(pending, done, allowed);
        for (let i = 0; i < Math.min(kind.subsets, all); i += 1) {
          const density = random();
          check(
            pending.filter(({ isForced }) => isForced || random() < density),
            done,
            allowed,
          );
        }
        const entry = entries[done];
        if (entry?.kind === 'write') pending.push(entry);
        if (entry?.kind === 'flush') {
          for (const write of pending) replay.write(durable, write);
          pending = [];
        }
      }
      replay.end();
      closeSync(durable);
      console.info(
        `${kind.name}: ${entries.length - (ends[0] ?? 0)} writes and flushes, ${states} states, of each version ${[...seen.values()].join(', ')}`,
      );
      expect(states).toBeGreaterThanOrEqual(kind.states);
      // Every version was met, so the cuts were where something happened.
      expect(seen.size).toBe(new Set(versions.map((version) => version.toString('latin1'))).size);

      function check(kept: readonly Extract<LogEntry, { kind: 'write' }>[], done: number, allowed: readonly Buffer[]): void {
        states += 1;
        must('cp', '--sparse=always', base, state);
        const disk = openSync(state, 'r+');
        for (const write of kept) replay.write(disk, write);
        closeSync(disk);
        const at = join(mounts, 'state');
        mkdirSync(at, { recursive: true });
        must('mount', '-t', kind.name, '-o', 'loop', state, at);
        try {
          const image = join(at, 'image');
          const where = `cut after entry ${done}, ${kept.length} of ${pending.length} writes`;
          const described = (): string => {
            const { status, stdout, stderr } = runHere(['inspect', image, '--json'], { fileSystem: nextBoot });
            const { interrupted, ...said } = JSON.parse(stdout) as { interrupted: boolean };
            const note = interrupted ? `a patch of ${image} was interrupted; this is what recover makes of it\n` : '';
            expect({ status, stderr }, where).toEqual({ status: 0, stderr: note });
            return JSON.stringify({ ...said, findings: null });
          };
          const shown = described();
          expect(runHere(['recover', image], { fileSystem: nextBoot }), where).toMatchObject({ status: 0, stderr: '' });
          expect(described() === shown, `${where}: what inspect shows before and after recover`).toBe(true);
          const now = readFileSync(image);
          expect(
            allowed.some((version) => version.equals(now)),
            `${where}: bytes`,
          ).toBe(true);
          const version = versions.findIndex((each) => each.equals(now));
          seen.set(version, (seen.get(version) ?? 0) + 1);
        } finally {
          must('umount', at);
          waitForRelease(state);
        }
      }
    },
  );
});
