import { spawnSync } from 'node:child_process';
import {
  close,
  closeSync,
  constants,
  copyFileSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  read,
  readdirSync,
  readlinkSync,
  readSync,
  realpathSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  writeSync,
  type BigIntStats,
} from 'node:fs';
import { dirname, resolve } from 'node:path';
import { KdumpError } from '../errors.js';
import { assertPosition, readPosition, safePosition } from '../bytes/position.js';
import { codeOf, errnoOf, reasonOf, systemError } from './system-error.js';
import type { DirectoryEntry, FileStatus, FileSystem, OpenMode } from './file-system.js';
import { modeWithin } from './new-file.js';
import { nameUnnamed, openUnnamed } from './unnamed-file.js';

const FLAGS: Record<OpenMode, number> = {
  // O_NONBLOCK: opening a FIFO returns at once instead of waiting for a writer.
  read: constants.O_RDONLY | constants.O_NONBLOCK,
  modify: constants.O_RDWR | constants.O_NONBLOCK,
  create: constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
  replace: constants.O_RDWR | constants.O_CREAT | constants.O_TRUNC,
};

const paths = new Map<number, string>();

/** The real file system, and the only place that calls node:fs. */
export const nodeFileSystem: FileSystem = {
  open(path, mode, shown = path) {
    const descriptor = attempt('open', shown, () => openSync(path, FLAGS[mode], 0o666));
    paths.set(descriptor, shown);
    return descriptor;
  },
  close(descriptor) {
    attempt('close', descriptor, () => {
      closeSync(descriptor);
    });
    paths.delete(descriptor);
  },
  status(descriptor) {
    return attempt('stat', descriptor, () => statusOf(fstatSync(descriptor, { bigint: true })));
  },
  read(descriptor, into, position) {
    return attempt('read', descriptor, () => {
      const start = readPosition(position);
      let done = 0;
      while (done < into.length) {
        const from = done;
        const count = uninterrupted(() => readSync(descriptor, into, from, into.length - from, readPosition(start + BigInt(from))));
        if (count === 0) break;
        done += count;
      }
      return done;
    });
  },
  write(descriptor, bytes, position) {
    attempt('write', descriptor, () => {
      // A short write hides its errno; writing the rest brings it out.
      assertPosition(position);
      for (let done = 0; done < bytes.length;) {
        const from = done;
        const count = uninterrupted(() => writeSync(descriptor, bytes, from, bytes.length - from, safePosition(position + from)));
        if (count === 0) throw new KdumpError('io', 'cannot write: the device takes no more bytes', { file: nameOf(descriptor) });
        done += count;
      }
    });
  },
  sync(descriptor) {
    attempt('sync', descriptor, () => {
      fsyncSync(descriptor);
    });
  },
  remove(path) {
    attempt('remove', path, () => {
      rmSync(path, { force: true });
    });
  },
  rename(from, to) {
    attempt('rename', to, () => {
      renameSync(from, to);
    });
  },
  link(from, to) {
    attempt('link', to, () => {
      linkSync(from, to);
    });
  },
  openUnnamed(path) {
    const descriptor = openUnnamed(dirname(path));
    if (descriptor !== undefined) paths.set(descriptor, path);
    return descriptor;
  },
  nameUnnamed,
  copy(from, to, copied) {
    if (attempt('copy', to, () => isCloned(from, to))) return;
    const { size } = nodeFileSystem.status(from);
    attempt('copy', to, () => {
      ftruncateSync(to, 0);
      ftruncateSync(to, safePosition(size));
    });
    copyData(from, to, copied);
  },
  exists(path) {
    return attempt('stat', path, () => lstatSync(path, { throwIfNoEntry: false })) !== undefined;
  },
  kindOf(path) {
    return attempt('stat', path, () => statusOf(statSync(path, { bigint: true })).kind);
  },
  readStart(path, limit) {
    const descriptor = nodeFileSystem.open(path, 'read');
    try {
      return attempt('read', path, () => readStream(descriptor, limit, fstatSync(descriptor).size));
    } finally {
      nodeFileSystem.close(descriptor);
    }
  },
  readAhead(path) {
    try {
      const descriptor = openSync(path, FLAGS.read);
      read(descriptor, Buffer.alloc(PIECE), 0, PIECE, null, () => {
        close(descriptor);
      });
    } catch {
      // Whoever reads it afterwards is told.
    }
  },
  readStandardInput(limit) {
    const bytes = attempt('read', 'standard input', () => readStream(0, limit + 1, 0));
    if (bytes.length > limit) {
      throw new KdumpError('input', 'too much input', {
        file: 'standard input',
        found: `more than ${limit} bytes`,
        expected: `at most ${limit}`,
      });
    }
    return bytes;
  },
  makeDirectory(path) {
    // mkdirSync with `recursive` never returns for a path below /proc (Node 20).
    const missing: string[] = [];
    for (let at = resolve(path); !nodeFileSystem.exists(at); at = dirname(at)) missing.push(at);
    for (const at of missing.reverse()) {
      attempt('make directory', at, () => {
        mkdirSync(at);
      });
    }
  },
  realPath(path) {
    return attempt('resolve', path, () => realpathSync(path));
  },
  linkTarget(path) {
    try {
      return readlinkSync(path);
    } catch {
      return undefined;
    }
  },
  openDirectory(path) {
    const descriptor = attempt('open', path, () => openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW));
    paths.set(descriptor, path);
    return descriptor;
  },
  statusIn(directory, name) {
    const path = pathIn(directory, name);
    const stat = attempt('stat', nameIn(directory, name), () => lstatSync(path, { bigint: true, throwIfNoEntry: false }));
    return stat === undefined ? undefined : statusOf(stat);
  },
  openIn(directory, name, mode) {
    const shown = nameIn(directory, name);
    const descriptor = attempt('open', shown, () => openSync(pathIn(directory, name), FLAGS[mode] | constants.O_NOFOLLOW, 0o600));
    paths.set(descriptor, shown);
    return descriptor;
  },
  removeIn(directory, name) {
    attempt('remove', nameIn(directory, name), () => {
      rmSync(pathIn(directory, name), { force: true });
    });
  },
  setAttributes(descriptor, { user, group, mode }) {
    // Only root may give files away; another user's journal stays its own, and nobody of that user's group may read it who may not read the image.
    const isRoot = process.geteuid?.() === 0;
    if (isRoot) {
      attempt('set the owner of', descriptor, () => {
        fchownSync(descriptor, user, group);
      });
    }
    attempt('set the mode of', descriptor, () => {
      fchmodSync(descriptor, isRoot ? mode : modeWithin(mode, fstatSync(descriptor).gid, [{ mode, group }]));
    });
  },
  lock(descriptor, kind) {
    // Node has no flock(2), but the lock belongs to the open file, which flock(1) inherits and this process keeps.
    const { status, error } = spawnSync('flock', ['-n', kind === 'exclusive' ? '-x' : '-s', '3'], {
      stdio: ['ignore', 'ignore', 'ignore', descriptor],
    });
    if (error !== undefined || (status !== 0 && status !== 1)) {
      throw new KdumpError('io', 'cannot lock: flock(1) does not work here', {
        file: nameOf(descriptor),
        found: error === undefined ? `exit code ${status ?? 'none'}` : reasonOf(error),
        ...(errnoOf(error) === 'ENOENT' ? { remedy: 'install util-linux' } : { code: codeOf(error) }),
      });
    }
    return status === 0;
  },
  volumeType(path) {
    return attempt('stat the file system of', path, () => statfsSync(path, { bigint: true }).type);
  },
  now() {
    return BigInt(Date.now()) * 1_000_000n;
  },
  pause(milliseconds) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
  },
  list(path) {
    return attempt('list', path, () =>
      // Not with file types: a process that ends meanwhile makes listing /proc with them fail. Most callers look at names alone.
      readdirSync(path).map((name): DirectoryEntry => ({
        name,
        get kind() {
          const stat = lstatSync(`${path}/${name}`, { throwIfNoEntry: false });
          return stat?.isFile() === true ? 'file' : stat?.isDirectory() === true ? 'directory' : 'other';
        },
      })),
    );
  },
};

/** Whether the file system made `to` a clone of `from`, sharing all blocks. */
function isCloned(from: number, to: number): boolean {
  const { mode } = fstatSync(to);
  try {
    copyFileSync(`/proc/self/fd/${from}`, `/proc/self/fd/${to}`, constants.COPYFILE_FICLONE_FORCE);
    return true;
  } catch {
    return false;
  } finally {
    // libuv gives the copy the permissions of the original first, cloned or not.
    fchmodSync(to, mode);
  }
}

/** Copies all but zeros, which a new file has anyway: what was a hole stays one. */
function copyData(source: number, target: number, copied?: (bytes: number) => void): void {
  const buffer = new Uint8Array(PIECE);
  const zeros = new Uint8Array(PIECE);
  for (let position = 0; ; position += PIECE) {
    const bytes = buffer.subarray(0, nodeFileSystem.read(source, buffer, position));
    if (Buffer.compare(bytes, zeros.subarray(0, bytes.length)) !== 0) nodeFileSystem.write(target, bytes, position);
    copied?.(bytes.length);
    if (bytes.length < PIECE) return;
  }
}

const PIECE = 1 << 16;
/** For what comes a few kilobytes at a time, such as the many files of /proc. */
const piece = new Uint8Array(PIECE);

/**
 * At most `limit` bytes, from where the descriptor stands; memory grows with what comes, not with `limit`.
 *
 * @param size what the file is said to have, which is nothing for files of /proc: so much is read without a copy
 */
function readStream(descriptor: number, limit: number, size: number): Uint8Array {
  const whole = new Uint8Array(Math.min(limit, size > PIECE ? size + 1 : 0));
  let total = 0;
  for (let count = 1; count > 0 && total < whole.length; total += count) count = readAvailable(descriptor, whole.subarray(total));
  if (total < whole.length || total === limit) return whole.subarray(0, total);
  const pieces = [whole];
  while (total < limit) {
    const count = readAvailable(descriptor, piece.subarray(0, limit - total));
    if (count === 0) break;
    pieces.push(piece.slice(0, count));
    total += count;
  }
  return Buffer.concat(pieces);
}

/** A terminal or pipe that another process set to non-blocking answers EAGAIN until there is something. */
function readAvailable(descriptor: number, into: Uint8Array): number {
  for (;;) {
    try {
      return uninterrupted(() => readSync(descriptor, into));
    } catch (error) {
      if (errnoOf(error) !== 'EAGAIN') throw error;
      nodeFileSystem.pause(10);
    }
  }
}

/** Calls again what a signal interrupted. */
function uninterrupted<T>(call: () => T): T {
  for (;;) {
    try {
      return call();
    } catch (error) {
      if (errnoOf(error) !== 'EINTR') throw error;
    }
  }
}

let hasBirthTimes: boolean | undefined;

/** Where statx(2) is refused, as by old seccomp profiles, libuv gives the time of the last change for that of birth: even in /proc, which has none. */
function birthTimeOf({ birthtimeNs }: BigIntStats): bigint {
  hasBirthTimes ??= lstatSync('/proc/self', { bigint: true, throwIfNoEntry: false })?.birthtimeNs === 0n;
  return hasBirthTimes ? birthtimeNs : 0n;
}

function statusOf(stat: BigIntStats): FileStatus {
  return {
    kind: stat.isFile() ? 'file' : stat.isDirectory() ? 'directory' : 'other',
    size: stat.size,
    device: stat.dev,
    inode: stat.ino,
    links: stat.nlink,
    allocated: stat.blocks * 512n,
    mode: Number(stat.mode) & 0o7777,
    user: Number(stat.uid),
    group: Number(stat.gid),
    birthTime: birthTimeOf(stat),
    modified: stat.mtimeNs,
  };
}

/** A name in an open directory, wherever that directory is moved to meanwhile: what openat(2) would do. */
function pathIn(directory: number, name: string): string {
  return `/proc/self/fd/${directory}/${name}`;
}

function nameIn(directory: number, name: string): string {
  return `${paths.get(directory) ?? '.'}/${name}`;
}

function attempt<T>(what: string, target: string | number, action: () => T): T {
  try {
    return action();
  } catch (error) {
    const file = typeof target === 'string' ? target : nameOf(target);
    throw error instanceof KdumpError ? error.within({ file }) : systemError(what, file, error);
  }
}

function nameOf(descriptor: number): string {
  return paths.get(descriptor) ?? `descriptor ${descriptor}`;
}
