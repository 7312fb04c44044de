import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { FileSystem } from '../../src/file/file-system.js';
import { nodeFileSystem } from '../../src/file/node-file-system.js';
import { journalNameOf } from '../../src/journal/find-journal.js';
import { commitPatch } from '../../src/patch/commit.js';
import { closeTarget, openTarget } from '../../src/patch/target.js';
import { copyOf, fixtureImage } from '../helpers/fixtures.js';
import { scratchFolder } from '../helpers/run.js';
import { thrown } from '../helpers/thrown.js';
import { runHere } from '../helpers/run-here.js';

const folder = scratchFolder();
const ADD = ['--add-memory', '0x90000000+16M'];
const original = readFileSync(fixtureImage('tiny-ppc64'));
const isRoot = process.geteuid?.() === 0;

describe('what is patched', () => {
  test('keeps its inode, mode, owner, size and name', () => {
    const image = copyOf('tiny-ppc64', folder);
    chmodSync(image, 0o640);
    if (isRoot) chownSync(image, 1234, 5678);
    const before = statSync(image);
    expect(runHere(['apply', image, ...ADD]).status).toBe(0);
    const { ino, mode, uid, gid, size, nlink } = statSync(image);
    expect({ ino, mode, uid, gid, size, nlink }).toEqual({
      ino: before.ino,
      mode: before.mode,
      uid: before.uid,
      gid: before.gid,
      size: before.size,
      nlink: 1,
    });
  });

  test('a link is followed, and the journal lies beside the file it leads to', () => {
    const image = copyOf('tiny-ppc64', folder);
    const links = join(folder, 'links');
    mkdirSync(links);
    const link = join(links, 'image');
    symlinkSync(image, link);
    let seen: string[] = [];
    const watching = new Proxy(nodeFileSystem, {
      get: (target, name) => {
        if (name !== 'write') return Reflect.get(target, name) as unknown;
        return (descriptor: number, bytes: Uint8Array, position: number) => {
          seen = execFileSync('ls', ['-A', dirname(image), links], { encoding: 'utf8' }).split('\n');
          target.write(descriptor, bytes, position);
        };
      },
    });
    const target = openTarget(watching, link);
    commitPatch(
      target,
      { runs: [{ position: 100, before: original.subarray(100, 102), after: Uint8Array.of(1, 2) }], markers: [0] },
      { live: false },
    );
    closeTarget(target);
    expect(seen.filter((name) => name.includes('journal'))).toEqual([journalNameOf(basename(image))]);
    expect(statSync(link).ino).toBe(statSync(image).ino);
  });

  test.each<[string, (path: string) => void, number]>([
    [
      'a directory',
      (path) => {
        mkdirSync(path);
      },
      3,
    ],
    [
      'a FIFO',
      (path) => {
        execFileSync('mkfifo', [path]);
      },
      3,
    ],
    [
      'a link that leads nowhere',
      (path) => {
        symlinkSync('/nowhere/at/all', path);
      },
      5,
    ],
    [
      'a link to itself',
      (path) => {
        symlinkSync(path, path);
      },
      5,
    ],
    [
      'a link to /dev/null',
      (path) => {
        symlinkSync('/dev/null', path);
      },
      3,
    ],
    [
      'a file with two names',
      (path) => {
        writeFileSync(path, original);
        linkSync(path, `${path}.second`);
      },
      4,
    ],
    [
      'a setuid file',
      (path) => {
        writeFileSync(path, original);
        chmodSync(path, 0o4755);
      },
      4,
    ],
  ])('is not %s', (_, make, code) => {
    const path = join(folder, `special-${code}-${_.replaceAll(/\W/g, '')}`);
    make(path);
    for (const args of [
      ['apply', path, ...ADD],
      ['recover', path],
    ])
      expect(runHere(args).status).toBe(code);
  });

  test('is not a file that was replaced meanwhile', () => {
    const image = copyOf('tiny-ppc64', folder);
    const other = `${image}.other`;
    writeFileSync(other, original);
    let replaced = false;
    const fileSystem: FileSystem = new Proxy(nodeFileSystem, {
      get: (target, name) => {
        if (name !== 'sync') return Reflect.get(target, name) as unknown;
        return (descriptor: number) => {
          target.sync(descriptor);
          if (!replaced) renameSync(other, image);
          replaced = true;
        };
      },
    });
    const target = openTarget(fileSystem, image);
    const patch = { runs: [{ position: 100, before: original.subarray(100, 102), after: Uint8Array.of(1, 2) }], markers: [] };
    const error = thrown(() => {
      commitPatch(target, patch, { live: false });
    });
    expect(error.message).toContain('replaced');
    expect(Buffer.from(target.file.read(0, Number(target.file.size))).equals(original)).toBe(true);
    closeTarget(target);
    expect(readFileSync(image).equals(original)).toBe(true);
    expect(runHere(['recover', image]).stdout).toContain('no patch was interrupted');
  });

  test('its directory may be moved meanwhile', () => {
    const place = join(folder, 'place');
    mkdirSync(place);
    const image = join(place, 'image');
    writeFileSync(image, original);
    const target = openTarget(nodeFileSystem, image);
    renameSync(place, `${place}-moved`);
    mkdirSync(place);
    commitPatch(
      target,
      { runs: [{ position: 100, before: original.subarray(100, 102), after: Uint8Array.of(1, 2) }], markers: [0] },
      { live: false },
    );
    closeTarget(target);
    expect(readFileSync(join(`${place}-moved`, 'image')).subarray(100, 102)).toEqual(Buffer.of(1, 2));
    expect(spawnSync('ls', ['-A', place], { encoding: 'utf8' }).stdout).toBe('');
  });

  test('is refused when it holds other bytes than those that were planned with', () => {
    const image = copyOf('tiny-ppc64', folder);
    const target = openTarget(nodeFileSystem, image);
    const patch = { runs: [{ position: 100, before: Uint8Array.of(0xee, 0xef), after: Uint8Array.of(1, 2) }], markers: [] };
    const error = thrown(() => {
      commitPatch(target, patch, { live: false });
    });
    expect(error.kind).toBe('refused');
    closeTarget(target);
    expect(readFileSync(image).equals(original)).toBe(true);
  });

  test('another process that patches it is waited for by nobody: busy, exit 5', () => {
    const image = copyOf('tiny-ppc64', folder);
    const target = openTarget(nodeFileSystem, image);
    expect(runHere(['apply', image, ...ADD])).toMatchObject({
      status: 5,
      stderr: expect.stringContaining('another process is patching it') as string,
    });
    closeTarget(target);
    expect(runHere(['apply', image, ...ADD])).toMatchObject({ status: 0 });
  });
});

describe.skipIf(!isRoot)('as root', () => {
  test('an immutable or append-only file is left alone', () => {
    for (const flag of ['i', 'a']) {
      const image = copyOf('tiny-ppc64', folder);
      if (spawnSync('chattr', [`+${flag}`, image]).status !== 0) continue;
      try {
        expect(runHere(['apply', image, ...ADD])).toMatchObject({ status: 5 });
      } finally {
        spawnSync('chattr', [`-${flag}`, image]);
      }
      expect(readFileSync(image).equals(original)).toBe(true);
    }
  });

  test('a read-only mount is left alone', () => {
    const mount = join(folder, 'read-only');
    mkdirSync(mount);
    if (spawnSync('mount', ['-t', 'tmpfs', 'none', mount]).status !== 0) return;
    try {
      const image = join(mount, 'image');
      writeFileSync(image, original);
      expect(spawnSync('mount', ['-o', 'remount,ro', mount]).status).toBe(0);
      expect(runHere(['inspect', image]).status).toBe(0);
      expect(runHere(['apply', image, ...ADD])).toMatchObject({ status: 5, stderr: expect.stringContaining('EROFS') as string });
      expect(readFileSync(image).equals(original)).toBe(true);
    } finally {
      spawnSync('umount', [mount]);
    }
  });
});

test('a time of last write in the future does not stop readers', () => {
  const image = copyOf('tiny-ppc64', folder);
  utimesSync(image, new Date('2099-01-01'), new Date('2099-01-01'));
  expect(runHere(['inspect', image]).status).toBe(0);
  unlinkSync(image);
});
