import { KdumpError } from '../errors.js';
import type { FileStatus, FileSystem } from '../file/file-system.js';
import type { InputFile } from '../file/input-file.js';
import { bootIdOf, type ColdJournal, type HotJournal } from './find-journal.js';
import type { Journal } from './journal.js';

/** What an interrupted patch is to become. */
export interface Outcome {
  /** Which bytes of the journal's records the image is to have. */
  readonly side: 'before' | 'after';
  /** Whether it has them already. */
  readonly isThere: boolean;
}

/**
 * What an interrupted patch is to become, for readers and `recover` alike: `after` where its last byte was written already, else `before`.
 *
 * Every recorded byte of the image has to be the old one, the new one, or a zero at a marker: anything else was written by somebody who knows
 * nothing of the journal, and its old bytes are of another state.
 *
 * Inode, size and time of birth say which file the journal was made for. The number of the device does not: it changes when a file system is
 * mounted again. Where the file is another one, as after `cp -a`, its bytes have to show that taking the patch back loses nothing: a marker stands,
 * or all of them are old.
 *
 * @param rollForward `after` in any case
 * @param force also where somebody else wrote, or the guest whose memory it is has gone, or the file is another one whose bytes are all new
 * @throws KdumpError `refused`
 */
export function outcomeOf(
  fileSystem: FileSystem,
  { journal, name }: HotJournal,
  file: InputFile,
  status: FileStatus,
  { force = false, rollForward = false }: { readonly force?: boolean; readonly rollForward?: boolean } = {},
): Outcome {
  const { foreign, isMarked, isBefore, isAfter } = contentsOf(file, journal);
  if (!isOf(journal, status)) {
    if (journal.image.size !== status.size || foreign !== undefined) throw ofAnotherFile(file.path, name, foreign, false);
    if (!isMarked && !isBefore && !force) throw ofAnotherFile(file.path, name, undefined, true);
  }
  if (!force) refuseUnsafe(fileSystem, journal, file, foreign);
  const side = rollForward || (isAfter && !force) ? 'after' : 'before';
  return { side, isThere: side === 'after' ? isAfter : isBefore };
}

/**
 * Refuses to take an image for untouched whose journal is not whole and may be damaged: where one of its markers stands, or where it is neither a
 * journal nor the part of one that reached the disk.
 *
 * @throws KdumpError `refused`
 */
export function refuseTouched({ name, markers }: ColdJournal, file: InputFile): void {
  const marked = markers?.find((position) => file.read(position, 1)[0] === 0);
  if (markers !== null && marked === undefined) return;
  throw new KdumpError('refused', `beside the image lies ${name}, which is damaged`, {
    file: file.path,
    ...(marked === undefined ? {} : { offset: marked }),
    found: marked === undefined ? 'bytes of no journal' : 'a half-written image',
    expected: 'the whole journal of the patch that was interrupted',
    remedy:
      'keep copies of both: old bytes may still be in it (docs/journal.md); recover --force then removes it, and leaves the image as it is',
  });
}

function refuseUnsafe(fileSystem: FileSystem, journal: Journal, file: InputFile, foreign: number | undefined): void {
  if (journal.live && journal.bootId !== bootIdOf(fileSystem)) {
    throw new KdumpError('refused', 'the host restarted since a patch of a running guest was interrupted', {
      file: file.path,
      remedy: 'the memory in this file is of a guest that is gone; recover --force rolls the patch back all the same',
    });
  }
  if (foreign !== undefined) {
    throw new KdumpError('refused', 'somebody else wrote to the image after its patch was interrupted', {
      file: file.path,
      offset: foreign,
      found: 'a byte that is neither the old nor the new one',
      remedy:
        'if the image was replaced, move its journal elsewhere; else recover --force rolls the patch back all the same, ' +
        'recover --roll-forward --force rolls it forward. Keep copies of both',
    });
  }
}

/** A time of birth of 0 is not known. */
function isOf({ image: { inode, size, birthTime } }: Journal, status: FileStatus): boolean {
  const isBorn = birthTime === status.birthTime || birthTime === 0n || status.birthTime === 0n;
  return inode === status.inode && size === status.size && isBorn;
}

interface Contents {
  /** Position of a byte that is neither old nor new nor a marker. */
  readonly foreign: number | undefined;
  /** Whether the zero of a marker is there: no reader takes what it begins for whole. */
  readonly isMarked: boolean;
  readonly isBefore: boolean;
  readonly isAfter: boolean;
}

function contentsOf(file: InputFile, { records, markers }: Journal): Contents {
  const marked = new Set(markers);
  let foreign: number | undefined;
  let [isMarked, isBefore, isAfter] = [false, true, true];
  for (const { position, before, after } of records) {
    if (position + before.length > file.size) return { foreign: position, isMarked, isBefore: false, isAfter: false };
    file.read(position, before.length).forEach((byte, i) => {
      if (byte !== before[i]) isBefore = false;
      if (byte !== after[i]) isAfter = false;
      if (byte === before[i] || byte === after[i]) return;
      if (byte === 0 && marked.has(position + i)) isMarked = true;
      else foreign ??= position + i;
    });
  }
  return { foreign, isMarked, isBefore, isAfter };
}

function ofAnotherFile(path: string, journalName: string, foreign: number | undefined, forcible: boolean): KdumpError {
  return new KdumpError('refused', `beside the image lies ${journalName}, the journal of another file`, {
    file: path,
    ...(foreign === undefined ? {} : { offset: foreign }),
    found: forcible ? 'another inode or time of birth, and the new bytes of that patch' : 'another file, with other bytes',
    expected: 'the file whose patch was interrupted',
    remedy: forcible
      ? 'if journal and image belong together, recover --force rolls the patch back, recover --roll-forward --force rolls it forward; else move the journal elsewhere, and keep it'
      : 'move the journal to the image that it belongs to, and keep it: it may be the only copy of the old bytes',
  });
}
