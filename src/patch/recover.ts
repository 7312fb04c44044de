import { findJournal } from '../journal/find-journal.js';
import { outcomeOf, refuseTouched } from '../journal/interrupted-patch.js';
import { writeBack } from './commit.js';
import { refuseUse, usersOf } from './in-use.js';
import type { PatchTarget } from './target.js';

/**
 * - `none`: no patch was interrupted
 * - `untouched`: one was, before it touched the image; its journal was removed
 * - `rolled back`, `rolled forward`
 */
export type Recovery = 'none' | 'untouched' | 'rolled back' | 'rolled forward';

/** How far recovery may go. */
export interface RecoverOptions {
  /** Finish the patch instead of taking it back. */
  readonly rollForward?: boolean | undefined;
  /** Even if somebody else wrote to the image since, or the host restarted under a guest. */
  readonly force?: boolean | undefined;
  /** The file is somebody's memory, such as that of a paused guest. */
  readonly live?: boolean | undefined;
  /** The caller has paused the guest by its monitor, which /proc does not show. */
  readonly paused?: boolean | undefined;
}

/**
 * Brings an image whose patch was interrupted back to what it was, or on to what it was to be where all of that was written or `rollForward` is set.
 * Doing so is idempotent, so an interrupted recovery is simply done again.
 *
 * @throws KdumpError `refused` when somebody else wrote, the journal is damaged and the image may be half written, or the journal is of another file or of a guest that is gone; `io`
 */
export function recover(
  target: PatchTarget,
  { rollForward = false, force = false, live = false, paused = false }: RecoverOptions = {},
): Recovery {
  const { fileSystem, file, directory, name, status } = target;
  const found = findJournal(fileSystem, directory, name, status, file.path);
  if (found.state === 'none') {
    // Whoever removed a journal last may have been killed before that reached the disk.
    fileSystem.sync(directory);
    return 'none';
  }
  if (found.state === 'cold') {
    if (!force) refuseTouched(found, file);
    fileSystem.removeIn(directory, found.name);
    fileSystem.sync(directory);
    return 'untouched';
  }
  refuseUse(file.path, usersOf(fileSystem, status), live, force || paused);
  const { journal } = found;
  const { side, isThere } = outcomeOf(fileSystem, found, file, status, { force, rollForward });
  // What is there already may not be on the disk: it is written again. Marks would make a whole image half of one.
  const markers = isThere ? [] : journal.markers;
  writeBack(target, journal.records, markers, side, journal.live);
  return side === 'after' ? 'rolled forward' : 'rolled back';
}
