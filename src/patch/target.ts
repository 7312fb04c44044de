import { basename, dirname } from 'node:path';
import { KdumpError } from '../errors.js';
import type { FileStatus, FileSystem } from '../file/file-system.js';
import { InputFile, notRegular } from '../file/input-file.js';
import { FileMemory } from '../memory-source/file-memory.js';
import type { PatchableMemory, PhysicalMemory } from '../memory-source/physical-memory.js';
import { otherNames } from '../journal/other-names.js';

/** An image file that may be written: open, locked, and held by its directory so that neither can be exchanged behind our back. */
export interface PatchTarget {
  readonly fileSystem: FileSystem;
  readonly file: InputFile;
  /** Descriptor of the directory that holds the file. */
  readonly directory: number;
  readonly name: string;
  readonly status: FileStatus;
}

/** A {@link PatchTarget} whose image was read: where its memory is in the file. */
export interface ImageTarget extends PatchTarget {
  readonly memory: PatchableMemory;
}

const HUGETLBFS = 0x958458f6n;
const SETUID_SETGID = 0o6000;

/**
 * Opens the image at `path` for patching and locks it. A link is followed once, here; from then on the file is the one that was opened.
 *
 * @throws KdumpError `input` when it is no regular file; `refused` when it is of a kind that cannot be patched safely; `io` when another process
 *   holds it
 */
export function openTarget(fileSystem: FileSystem, path: string): PatchTarget {
  // Reading it waits for a grace period of RCU, 5 to 15 ms, unless that was done just before: usersOf reads it a moment later.
  fileSystem.readAhead('/proc/locks');
  const real = fileSystem.realPath(path);
  const directory = fileSystem.openDirectory(dirname(real));
  try {
    const name = basename(real);
    const entry = fileSystem.statusIn(directory, name);
    if (entry === undefined) throw goneOrNoProc(fileSystem, path, real);
    if (entry.kind !== 'file') throw notRegular(path, entry.kind);
    const descriptor = fileSystem.openIn(directory, name, 'modify');
    try {
      const status = fileSystem.status(descriptor);
      checkKind(fileSystem, path, real, status, entry);
      refuseOtherNames(fileSystem, path, descriptor, directory, status);
      if (!fileSystem.lock(descriptor, 'exclusive')) {
        throw new KdumpError('io', 'another process is patching it', {
          code: 'busy',
          file: path,
          remedy: 'nothing was written; try again when it has finished',
        });
      }
      return { fileSystem, file: new InputFile(fileSystem, path, descriptor, status.size), directory, name, status };
    } catch (error) {
      fileSystem.close(descriptor);
      throw error;
    }
  } catch (error) {
    fileSystem.close(directory);
    throw error;
  }
}

/** Releases the lock with the descriptor. */
export function closeTarget({ fileSystem, file, directory }: PatchTarget): void {
  // Everything is on the disk by now; a failing close must not hide what went wrong before.
  for (const descriptor of [file.descriptor, directory]) {
    try {
      fileSystem.close(descriptor);
    } catch {
      continue;
    }
  }
}

/** `memory` as what can be written to. @throws KdumpError `refused` when its bytes are not in the file as they are in memory */
export function patchableMemory(memory: PhysicalMemory): PatchableMemory {
  if (memory instanceof FileMemory) return memory;
  throw new KdumpError('refused', 'this kind of file can only be read', { file: memory.path, remedy: 'capture the image, and patch that' });
}

/** Whether the file is still the one that its path leads to. */
export function isStillInPlace({ fileSystem, directory, name, status }: PatchTarget): boolean {
  const now = fileSystem.statusIn(directory, name);
  return now?.inode === status.inode && now.device === status.device;
}

/** Names in an open directory are looked up through /proc. */
function goneOrNoProc(fileSystem: FileSystem, path: string, real: string): KdumpError {
  return fileSystem.exists(real)
    ? new KdumpError('io', 'cannot open: /proc is not mounted', { file: path, remedy: 'mount it: mount -t proc proc /proc' })
    : new KdumpError('io', 'it went away while it was opened', { code: 'changed', file: path });
}

function checkKind(fileSystem: FileSystem, path: string, real: string, status: FileStatus, entry: FileStatus): void {
  const refuse = (found: string, remedy: string): KdumpError => notPatched(path, found, remedy);
  if (status.kind !== 'file') throw notRegular(path, status.kind);
  if (status.inode !== entry.inode || status.device !== entry.device) throw refuse('it was exchanged while it was opened', 'try again');
  if ((status.mode & SETUID_SETGID) !== 0) throw refuse('it is setuid or setgid', 'an image needs neither; take them away');
  if (fileSystem.volumeType(real) === HUGETLBFS) {
    throw refuse('it is on hugetlbfs, which does not take write(2)', 'give the guest memory from a file on tmpfs or a disk');
  }
}

/** A journal beside one name of a file is not seen from its others. */
function refuseOtherNames(fileSystem: FileSystem, path: string, descriptor: number, directory: number, status: FileStatus): void {
  const why = otherNames(fileSystem, descriptor, directory, status);
  if (why === undefined) return;
  throw notPatched(
    path,
    `${why}, and a journal beside one name is not seen from the others`,
    status.links === 1n ? 'mount its directory instead, or patch a copy (-o)' : 'patch a copy (-o)',
  );
}

function notPatched(file: string, found: string, remedy: string): KdumpError {
  return new KdumpError('refused', 'this file is not patched', { file, found, remedy });
}
