import { createHash } from 'node:crypto';
import { KdumpError } from '../errors.js';
import type { FileStatus, FileSystem } from '../file/file-system.js';
import { MAX_JOURNAL, parseJournal, type Journal } from './journal.js';

const LONGEST_NAME = 255;

/** Name of the journal of the image called `name`, in the same directory. */
export function journalNameOf(name: string): string {
  const plain = `.${name}.kdhp-journal`;
  if (Buffer.byteLength(plain) <= LONGEST_NAME) return plain;
  return `.kdhp-${createHash('sha256').update(name).digest('hex').slice(0, 32)}.journal`;
}

/**
 * - `none`
 * - `cold`: not whole, so the image was never touched
 * - `hot`: a patch was interrupted
 */
export type JournalState = { readonly state: 'none' } | { readonly state: 'cold' } | { readonly state: 'hot'; readonly journal: Journal };

/**
 * The journal beside an image.
 *
 * A journal says what is written into the image, so one that another user could have put there is refused: it has to be a regular file with one
 * name, owned by the image's owner, root or the user of this process, and writable by nobody else.
 *
 * @throws KdumpError `refused` for a planted journal and for one that is of another file; `io` when it cannot be read
 */
export function findJournal(fileSystem: FileSystem, directory: number, name: string, image: FileStatus, path: string): JournalState {
  const journalName = journalNameOf(name);
  const entry = fileSystem.statusIn(directory, journalName);
  if (entry === undefined) return { state: 'none' };
  const trusted = entry.kind === 'file' && entry.links === 1n && (entry.mode & 0o022) === 0 && isOwner(entry.user, image.user);
  if (!trusted) throw notOurs(path, journalName, 'something that another user could have put there');
  if (entry.size > MAX_JOURNAL) return { state: 'cold' };
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
  if (journal === undefined) return { state: 'cold' };
  if (journal.kind !== 'journal') throw notOurs(path, journalName, 'an undo file');
  const { device, inode, size, birthTime } = journal.image;
  // Device numbers are given out anew at every boot.
  const sameDevice = device === image.device || journal.bootId !== bootIdOf(fileSystem);
  const same = sameDevice && inode === image.inode && size === image.size && birthTime === image.birthTime;
  if (!same) throw notOurs(path, journalName, 'the journal of another file');
  return { state: 'hot', journal };
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
    remedy: 'find out where it comes from, then remove it',
  });
}
