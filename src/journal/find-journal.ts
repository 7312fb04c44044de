import { createHash } from 'node:crypto';
import { basename, dirname, join } from 'node:path';
import { KdumpError } from '../errors.js';
import type { FileStatus, FileSystem } from '../file/file-system.js';
import { MAX_JOURNAL, markersOfTorn, parseJournal, type Journal } from './journal.js';

const LONGEST_NAME = 255;

/** Name of the journal of the image called `name`, in the same directory. */
export function journalNameOf(name: string): string {
  const plain = `.${name}.kdhp-journal`;
  if (Buffer.byteLength(plain) <= LONGEST_NAME) return plain;
  return `.kdhp-${createHash('sha256').update(name).digest('hex').slice(0, 32)}.journal`;
}

/** The whole journal of a patch that was interrupted. */
export interface HotJournal {
  readonly state: 'hot';
  readonly journal: Journal;
  /** In the directory of the image. */
  readonly name: string;
}

/** A journal that is not whole. The image was never touched, unless the disk damaged the journal since. */
export interface ColdJournal {
  readonly state: 'cold';
  /** In the directory of the image. */
  readonly name: string;
  /** Positions in the image that are zero if it was touched; null where the journal does not tell. */
  readonly markers: readonly number[] | null;
}

/** `hot`: a patch was interrupted. */
export type JournalState = { readonly state: 'none' } | ColdJournal | HotJournal;

/**
 * The journal beside an image.
 *
 * A journal says what is written into the image, so one that another user could have put there is refused: it has to be a regular file with one
 * name, owned by the image's owner, root or the user of this process, and writable by nobody else. Whether it is right for the bytes of the image
 * is for `outcomeOf` to say.
 *
 * @throws KdumpError `refused` for a planted journal; `io` when it cannot be read
 */
export function findJournal(fileSystem: FileSystem, directory: number, name: string, image: FileStatus, path: string): JournalState {
  const journalName = journalNameOf(name);
  const entry = fileSystem.statusIn(directory, journalName);
  if (entry === undefined) return { state: 'none' };
  const trusted = entry.kind === 'file' && entry.links === 1n && (entry.mode & 0o022) === 0 && isOwner(entry.user, image.user);
  if (!trusted) throw notOurs(path, journalName, 'something that another user could have put there');
  if (entry.size > MAX_JOURNAL) return { state: 'cold', name: journalName, markers: null };
  const descriptor = fileSystem.openIn(directory, journalName, 'read');
  let bytes: Uint8Array;
  try {
    const opened = fileSystem.status(descriptor);
    if (opened.inode !== entry.inode || opened.device !== entry.device)
      throw notOurs(path, journalName, 'a file that was exchanged meanwhile');
    bytes = new Uint8Array(Number(opened.size));
    bytes = bytes.subarray(0, fileSystem.read(descriptor, bytes, 0));
  } finally {
    fileSystem.close(descriptor);
  }
  const journal = parsed(bytes);
  if (journal === undefined) return { state: 'cold', name: journalName, markers: markersOfTorn(bytes, image.size) };
  if (journal.kind !== 'journal') throw notOurs(path, journalName, 'an undo file');
  return { state: 'hot', journal, name: journalName };
}

/** @throws KdumpError `refused` when a new image at `path` would find the journal of another one beside it */
export function refuseForeignJournal(fileSystem: FileSystem, path: string): void {
  const journalName = journalNameOf(basename(path));
  if (!fileSystem.exists(join(dirname(path), journalName))) return;
  throw new KdumpError('refused', `where the new image is to be lies ${journalName}, the journal of an interrupted patch`, {
    file: path,
    remedy: 'run recover on the image that has this name, or give another name',
  });
}

/** Differs from boot to boot. */
export function bootIdOf(fileSystem: FileSystem): string {
  return Buffer.from(fileSystem.readStart('/proc/sys/kernel/random/boot_id', 36)).toString('latin1');
}

function parsed(bytes: Uint8Array): Journal | undefined {
  try {
    return parseJournal(bytes);
  } catch (error) {
    if (error instanceof KdumpError && error.kind === 'input') return undefined;
    throw error;
  }
}

function isOwner(user: number, imageUser: number): boolean {
  return user === imageUser || user === 0 || user === process.geteuid?.();
}

function notOurs(file: string, journalName: string, found: string): KdumpError {
  return new KdumpError('refused', `beside the image lies ${journalName}, which is not used`, {
    file,
    found,
    expected: 'the journal of an interrupted patch of this file',
    remedy: 'find out where it comes from, and move it elsewhere',
  });
}
