import { describe, expect, test } from 'vitest';
import { KdumpError } from '../../src/errors.js';
import type { FileSystem } from '../../src/file/file-system.js';
import { nodeFileSystem } from '../../src/file/node-file-system.js';
import { refuseUse, usersOf, type Users } from '../../src/patch/in-use.js';
import { thrown } from '../helpers/thrown.js';

// What /proc says of others who use a file, as inode 77 of device 0:3.

const map = (permissions: string, device = '00:03', inode = 77): string =>
  `7f0000000000-7f0040000000 ${permissions} 00000000 ${device} ${inode} /ram\n`;
const GUEST = map('rw-s');

/** Who uses it, by the files of /proc; a file that is undefined cannot be read. */
function users(files: Record<string, string | undefined>, exists = true): Users {
  const fileSystem: FileSystem = {
    ...nodeFileSystem,
    list: (path) =>
      [
        ...new Set(
          Object.keys(files).flatMap((each) => (each.startsWith(`${path}/`) ? (each.slice(path.length + 1).split('/')[0] ?? []) : [])),
        ),
      ].map((name) => ({ name, kind: 'directory' })),
    readStart: (path) => {
      const text = path === '/proc/locks' ? (files[path] ?? '') : files[path];
      if (text === undefined) throw new KdumpError('io', 'cannot read');
      return Buffer.from(text);
    },
    exists: () => exists,
  };
  return usersOf(fileSystem, { ...nodeFileSystem.status(0), device: 3n, inode: 77n });
}
const NONE: Users = { mapping: [], locking: [], unknown: 0 };

describe('a process maps the file', () => {
  test('if it could change it: shared and writable', () => {
    expect(users({ '/proc/7/maps': map('r--p') + GUEST, '/proc/7/task/7/status': 'State:\tS (sleeping)\n' })).toEqual({
      ...NONE,
      mapping: [{ pid: 7, stopped: false }],
    });
    for (const permissions of ['r--s', 'rw-p', 'r-xp']) expect(users({ '/proc/7/maps': map(permissions) })).toEqual(NONE);
  });

  test('and not another one', () => {
    for (const other of [map('rw-s', '00:04'), map('rw-s', '00:03', 78), map('rw-s', '00:03', 777), '', 'malformed 77 line'])
      expect(users({ '/proc/7/maps': other })).toEqual(NONE);
  });

  test('stands still only if all of its threads do', () => {
    const stopped = (...states: string[]): unknown =>
      users({
        '/proc/7/maps': GUEST,
        ...Object.fromEntries(states.map((state, index) => [`/proc/7/task/${7 + index}/status`, `Name:\tT\nState:\t${state}\n`])),
      }).mapping;
    expect(stopped('T (stopped)', 't (tracing stop)')).toEqual([{ pid: 7, stopped: true }]);
    expect(stopped('T (stopped)', 'S (sleeping)')).toEqual([{ pid: 7, stopped: false }]);
  });

  test('unless it is this one, or no process', () => {
    expect(users({ [`/proc/${process.pid}/maps`]: GUEST, '/proc/self/maps': GUEST, '/proc/7.5/maps': GUEST })).toEqual(NONE);
  });

  test('which is not known where it cannot be looked at; one that ended uses nothing', () => {
    expect(users({ '/proc/7/maps': undefined, '/proc/8/maps': undefined })).toEqual({ ...NONE, unknown: 2 });
    expect(users({ '/proc/7/maps': undefined }, false)).toEqual(NONE);
  });
});

test('a process locks the file by a lock of its own or of an open file, held on it and not on another', () => {
  const locks = [
    '1: POSIX  ADVISORY  WRITE 7 00:03:77 0 EOF',
    '2: OFDLCK ADVISORY  READ  -1 00:03:77 100 100',
    '3: FLOCK  ADVISORY  WRITE 9 00:03:77 0 EOF',
    '4: POSIX  ADVISORY  WRITE 10 00:03:78 0 EOF',
    '5: POSIX  ADVISORY  WRITE 11 00:04:77 0 EOF',
    '5: -> POSIX  ADVISORY  WRITE 12 00:03:77 0 EOF',
  ];
  expect(users({ '/proc/locks': `${locks.join('\n')}\n` })).toEqual({ ...NONE, locking: [7, -1] });
});

describe('a file that is in use', () => {
  const refused = (more: Partial<Users>, live = false, force = false): KdumpError =>
    thrown(() => {
      refuseUse('image', { ...NONE, ...more }, live, force);
    });
  const running = { pid: 7, stopped: false };

  test('is not written to, and the processes are named once', () => {
    expect(refused({ mapping: [running, { pid: 8, stopped: true }], locking: [7, -1] })).toMatchObject({
      kind: 'io',
      code: 'busy',
      problem: 'another process has it in use',
      details: { file: 'image', found: 'process 7, 8', expected: 'nobody', remedy: expect.stringContaining('--live') as string },
    });
    expect(refused({ locking: [-1] }).details.found).toBe('a lock on a part of it');
    // Not even with --force, which is for the memory of a guest.
    expect(refused({ locking: [7] }, false, true).kind).toBe('io');
  });

  test('with --live is, where the guest stands still, or by force', () => {
    expect(refused({ mapping: [running, { pid: 8, stopped: true }, { pid: 9, stopped: false }] }, true)).toMatchObject({
      kind: 'refused',
      problem: 'nothing shows that the guest is paused',
      details: { file: 'image', found: 'process 7, 9 maps the file and is not stopped', forcible: true },
    });
    refuseUse('image', { ...NONE, mapping: [{ pid: 8, stopped: true }], locking: [8] }, true, false);
    refuseUse('image', { ...NONE, mapping: [running] }, true, true);
    refuseUse('image', { ...NONE, unknown: 5 }, false, false);
  });
});
