import { KdumpError } from '../errors.js';
import { bootIdOf, findJournal, journalNameOf } from '../journal/find-journal.js';
import type { Journal } from '../journal/journal.js';
import { writeBack } from './commit.js';
import { refuseUse, usersOf } from './in-use.js';
import type { PatchTarget } from './target.js';

/**
 * - `none`: no patch was interrupted
 * - `untouched`: one was, before it touched the image; its journal was removed
 * - `taken back`, `finished`
 */
export type Recovery = 'none' | 'untouched' | 'taken back' | 'finished';

/** How far recovery may go. */
export interface RecoverOptions {
  /** Finish the patch instead of taking it back. */
  readonly forward?: boolean | undefined;
  /** Even if somebody else wrote to the image since, or the host restarted under a guest. */
  readonly force?: boolean | undefined;
  /** The file is somebody's memory, such as that of a paused guest. */
  readonly live?: boolean | undefined;
  /** The caller has paused the guest by its monitor, which /proc does not show. */
  readonly paused?: boolean | undefined;
}

/**
 * Brings an image whose patch was interrupted back to what it was, or on to what it was to be. Doing so is idempotent, so an interrupted recovery
 * is simply done again.
 *
 * Within one boot the page cache keeps the order of writes, so a byte that is neither old nor new nor a marker proves that somebody else wrote.
 * After a restart a sector may hold anything, and the journal is right.
 *
 * @throws KdumpError `refused` when somebody else wrote, or the journal is that of a guest that is gone; `io`
 */
export function recover(
  target: PatchTarget,
  { forward = false, force = false, live = false, paused = false }: RecoverOptions = {},
): Recovery {
  const { fileSystem, file, directory, name, status } = target;
  const found = findJournal(fileSystem, directory, name, status, file.path);
  if (found.state === 'none') {
    // Whoever removed a journal last may have been killed before that reached the disk.
    fileSystem.sync(directory);
    return 'none';
  }
  if (found.state === 'cold') {
    fileSystem.removeIn(directory, journalNameOf(name));
    fileSystem.sync(directory);
    return 'untouched';
  }
  refuseUse(file.path, usersOf(fileSystem, status), live, force || paused);
  const { journal } = found;
  const sameBoot = journal.bootId === bootIdOf(fileSystem);
  if (!force) {
    if (!sameBoot && journal.live) {
      throw new KdumpError('refused', 'the host restarted since a patch of a running guest was interrupted', {
        file: file.path,
        remedy: 'the memory in this file is of a guest that is gone; recover --force takes the patch back all the same',
      });
    }
    const foreign = sameBoot ? foreignByte(target, journal) : undefined;
    if (foreign !== undefined) {
      throw new KdumpError('refused', 'somebody else wrote to the image after its patch was interrupted', {
        file: file.path,
        offset: foreign,
        found: 'a byte that is neither the old nor the new one',
        remedy: 'recover --force takes the patch back all the same, recover --forward --force finishes it',
      });
    }
  }
  writeBack(target, journal.records, journal.markers, forward ? 'after' : 'before', journal.live);
  return forward ? 'finished' : 'taken back';
}

/** Position of a byte in the journal's records that is neither old nor new nor a marker. */
function foreignByte({ file }: PatchTarget, { records, markers }: Journal): number | undefined {
  const marked = new Set(markers);
  for (const { position, before, after } of records) {
    const now = file.read(position, before.length);
    const at = now.findIndex((byte, i) => byte !== before[i] && byte !== after[i] && !(byte === 0 && marked.has(position + i)));
    if (at >= 0) return position + at;
  }
  return undefined;
}
