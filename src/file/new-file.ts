import { randomBytes } from 'node:crypto';
import { basename, dirname, join } from 'node:path';
import { KdumpError } from '../errors.js';
import type { FileStatus, FileSystem } from './file-system.js';

/** A file to be made. */
export interface NewFile {
  readonly path: string;
  /** Writes it, and may read what it wrote; what it throws is a failure. */
  fill(descriptor: number): void;
}

/** Who may read something that a new file is made from. */
export type Readers = Pick<FileStatus, 'mode' | 'group'>;

/** As {@link makeFiles}, of one file. @returns what `fill` does */
export function makeFile<T>(
  fileSystem: FileSystem,
  path: string,
  overwrite: boolean,
  from: readonly Readers[],
  fill: (descriptor: number) => T,
): T {
  let result: { readonly value: T } | undefined;
  makeFiles(fileSystem, overwrite, from, [
    {
      path,
      fill(descriptor) {
        result = { value: fill(descriptor) };
      },
    },
  ]);
  return (result as unknown as { readonly value: T }).value;
}

/**
 * Makes files, each in one step: it gets its name once it, and all others, are whole and on the disk. Until then it has none where the file system
 * can do that, else a random one. A failure leaves nothing behind. Nobody but its owner may read one who may not read everything in `from`.
 *
 * @throws KdumpError `io` when something is at a path already and `overwrite` is not set, whenever it came there; `refused` when that is no file
 */
export function makeFiles(fileSystem: FileSystem, overwrite: boolean, from: readonly Readers[], files: readonly NewFile[]): void {
  for (const { path } of files) refuseExisting(fileSystem, path, overwrite);
  const made: Unplaced[] = [];
  try {
    for (const each of files) {
      const file = begin(fileSystem, each.path);
      made.push(file);
      narrow(fileSystem, file.descriptor, from);
      each.fill(file.descriptor);
      fileSystem.sync(file.descriptor);
    }
    for (const file of made) (overwrite ? replace : place)(fileSystem, file);
    for (const folder of new Set(files.map(({ path }) => dirname(path)))) syncFolder(fileSystem, folder);
  } catch (error) {
    for (const { path, temporary, isNew } of made) {
      for (const left of [...(temporary === undefined ? [] : [temporary]), ...(isNew ? [path] : [])])
        attempt(() => {
          fileSystem.remove(left);
        });
    }
    throw error;
  } finally {
    for (const { descriptor } of made)
      attempt(() => {
        fileSystem.close(descriptor);
      });
  }
}

/** What has the name of a new file, until it is certain that the new one stays. */
export interface Earlier {
  /** It has its name again; where there was none, nothing has. */
  readonly restore: () => void;
  readonly forget: () => void;
}

/** Keeps what is at `path` under a random name, for a new file that takes its place. @throws KdumpError `io` */
export function keepEarlier(fileSystem: FileSystem, path: string): Earlier {
  const remove = (left: string): void => {
    attempt(() => {
      fileSystem.remove(left);
    });
  };
  if (!fileSystem.exists(path))
    return {
      restore: () => {
        remove(path);
      },
      forget: () => undefined,
    };
  const kept = randomName(path);
  try {
    fileSystem.link(path, kept);
  } catch {
    // Some file systems have no second names.
    fileSystem.rename(path, kept);
  }
  return {
    restore: () => {
      attempt(() => {
        fileSystem.rename(kept, path);
        // Of two names of one file both stay.
        fileSystem.remove(kept);
      });
    },
    forget: () => {
      remove(kept);
    },
  };
}

/** @throws KdumpError `io` when something is at `path` already and `overwrite` is not set; `refused` when a file cannot take its place */
export function refuseExisting(fileSystem: FileSystem, path: string, overwrite: boolean): void {
  if (!fileSystem.exists(path)) return;
  const kind = kindAt(fileSystem, path);
  if (kind !== 'file') {
    throw new KdumpError('refused', 'no file is made there', {
      file: path,
      found: kind === 'directory' ? 'a directory' : 'a device, pipe or socket',
      expected: 'the name of a new file',
    });
  }
  if (!overwrite) throw existing(path);
}

function existing(file: string): KdumpError {
  return new KdumpError('io', 'it exists already', { code: 'exists', file, remedy: 'give another name, or --overwrite' });
}

function isThere(fileSystem: FileSystem, path: string): boolean {
  try {
    return fileSystem.exists(path);
  } catch {
    return false;
  }
}

/** A link that leads nowhere is like a file: a new one may take its place. */
function kindAt(fileSystem: FileSystem, path: string): ReturnType<FileSystem['kindOf']> {
  try {
    return fileSystem.kindOf(path);
  } catch {
    return 'file';
  }
}

/** A file on its way to its name. */
interface Unplaced {
  readonly path: string;
  readonly descriptor: number;
  temporary: string | undefined;
  /** Has its name, which was nobody's before. */
  isNew: boolean;
}

function begin(fileSystem: FileSystem, path: string): Unplaced {
  const unnamed = fileSystem.openUnnamed(path);
  if (unnamed !== undefined) return { path, descriptor: unnamed, temporary: undefined, isNew: false };
  const temporary = randomName(path);
  return { path, descriptor: fileSystem.open(temporary, 'create', path), temporary, isNew: false };
}

/** Who may read what is at `path`: nobody else where that has no name, such as a pipe. A directory counts by itself. @throws KdumpError `io` */
export function readersOf(fileSystem: FileSystem, path: string): Readers {
  const real = fileSystem.realPath(path);
  const directory = fileSystem.openDirectory(dirname(real));
  try {
    return fileSystem.statusIn(directory, basename(real)) ?? { mode: 0o600, group: -1 };
  } finally {
    fileSystem.close(directory);
  }
}

/** Takes from a new file, which is empty yet, the permissions that something it is made from does not give. */
function narrow(fileSystem: FileSystem, descriptor: number, from: readonly Readers[]): void {
  const { mode, user, group } = fileSystem.status(descriptor);
  const narrowed = modeWithin(mode, group, from);
  if (narrowed !== mode) fileSystem.setAttributes(descriptor, { user, group, mode: narrowed });
}

/**
 * The permissions of a file of this group that nobody but its owner may read who may not read all of `from`. Who is in which group is not known:
 * those of another one may be in that of the source, or not.
 */
export function modeWithin(mode: number, group: number, from: readonly Readers[]): number {
  return from.reduce((allowed, source) => {
    const groupReads = (source.mode & 0o040) !== 0;
    const allRead = groupReads && (source.mode & 0o004) !== 0;
    return allowed & (allRead ? ~0 : groupReads && source.group === group ? ~0o007 : ~0o077);
  }, mode);
}

function randomName(path: string): string {
  return join(dirname(path), `.kdhp-${randomBytes(12).toString('hex')}.new`);
}

/** Gives a whole file its name in place of what has it. */
function replace(fileSystem: FileSystem, file: Unplaced): void {
  if (file.temporary === undefined) {
    const temporary = randomName(file.path);
    fileSystem.nameUnnamed(file.descriptor, temporary);
    file.temporary = temporary;
  }
  fileSystem.rename(file.temporary, file.path);
  file.temporary = undefined;
}

/** Gives a whole file its name, and replaces nothing, though it came there this moment. */
function place(fileSystem: FileSystem, file: Unplaced): void {
  const { path, descriptor, temporary } = file;
  try {
    if (temporary === undefined) fileSystem.nameUnnamed(descriptor, path);
    else giveName(fileSystem, temporary, path);
  } catch (error) {
    throw isThere(fileSystem, path) ? existing(path) : error;
  }
  file.isNew = true;
  if (temporary !== undefined) fileSystem.remove(temporary);
  file.temporary = undefined;
}

/** Some file systems have no second names; there the name is taken first, by an empty file. */
function giveName(fileSystem: FileSystem, temporary: string, path: string): void {
  try {
    fileSystem.link(temporary, path);
    return;
  } catch {
    fileSystem.close(fileSystem.open(path, 'create'));
  }
  try {
    fileSystem.rename(temporary, path);
  } catch (error) {
    attempt(() => {
      fileSystem.remove(path);
    });
    throw error;
  }
}

function syncFolder(fileSystem: FileSystem, folder: string): void {
  const directory = fileSystem.openDirectory(fileSystem.realPath(folder));
  try {
    fileSystem.sync(directory);
  } finally {
    fileSystem.close(directory);
  }
}

/** What went wrong before is what counts. */
function attempt(action: () => void): void {
  try {
    action();
  } catch {
    return;
  }
}
