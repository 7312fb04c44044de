import { randomBytes } from 'node:crypto';
import { KdumpError, within } from '../errors.js';
import { differences, equalBytes, lengthWithoutTrailingZeros } from '../bytes/compare.js';
import type { FileSystem } from '../file/file-system.js';
import { InputFile } from '../file/input-file.js';
import { keepEarlier, makeFile, refuseExisting } from '../file/new-file.js';
import { bootIdOf } from '../journal/find-journal.js';
import { MAX_JOURNAL, encodeJournal, parseJournal } from '../journal/journal.js';
import { GAP, bytesChanged, type SegmentPlan } from '../plan/segment-plan.js';
import type { Plan } from '../plan/plan.js';
import { commitPatch, type Patch } from './commit.js';
import { refuseUse, usersOf } from './in-use.js';
import { patchOf, type ApplyOptions } from './apply.js';
import { patchableMemory, type PatchTarget } from './target.js';

/**
 * What an undo file of `plan` holds: all of each segment that changes, not only the bytes that differ. Taking a patch back after a later one is
 * right only where nothing else of the segment changed: bytes that are the same before and after may have moved.
 */
export function undoOf(plan: Plan): Patch {
  const memory = patchableMemory(plan.image.memory);
  const whole = plan.segments.filter((segment) => bytesChanged(segment) > 0).map(withoutTail);
  const runs = whole.map(({ address, before, after }) => ({ position: memory.fileOffset(address, after.length), before, after }));
  return { runs: runs.sort((a, b) => a.position - b.position), markers: patchOf(plan, memory).markers };
}

/** Without the zeros behind the contents, which the file may not store. */
function withoutTail({ name, address, before, after }: SegmentPlan): SegmentPlan {
  const end = Math.max(lengthWithoutTrailingZeros(before), lengthWithoutTrailingZeros(after));
  return { name, address, before: before.subarray(0, end), after: after.subarray(0, end) };
}

/** An undo file whose patch is still to be made. */
export interface SavedUndo {
  /** It goes again, and what it took the place of is back. */
  drop(): void;
  /** What it took the place of is gone for good. */
  keep(): void;
}

/**
 * Writes what takes `patch` back to a file of its own, before the patch is made. What had its name is kept under a random one until `drop` or
 * `keep` is called.
 *
 * @throws KdumpError `io`
 */
export function saveUndo(
  fileSystem: FileSystem,
  path: string,
  target: Pick<PatchTarget, 'status'>,
  patch: Patch,
  overwrite: boolean,
): SavedUndo {
  const bytes = encodeJournal({
    kind: 'undo',
    live: false,
    transaction: randomBytes(16),
    image: target.status,
    bootId: bootIdOf(fileSystem),
    records: patch.runs,
    markers: patch.markers,
  });
  refuseExisting(fileSystem, path, overwrite);
  const earlier = keepEarlier(fileSystem, path);
  try {
    makeFile(fileSystem, path, overwrite, [target.status], (descriptor) => {
      fileSystem.write(descriptor, bytes, 0);
    });
  } catch (error) {
    earlier.restore();
    throw error;
  }
  return { drop: earlier.restore, keep: earlier.forget };
}

/**
 * Saves what takes `patch` back, then makes it with `apply`. Where that fails, the undo file goes again, and an earlier one is back, unless the
 * image holds the patch all the same.
 *
 * @throws what `apply` throws; KdumpError `io`
 */
export function withUndo<T>(target: PatchTarget, undo: { path: string; overwrite: boolean }, patch: Patch, apply: () => T): T {
  const saved = saveUndo(target.fileSystem, undo.path, target, patch, undo.overwrite);
  try {
    const result = apply();
    saved.keep();
    return result;
  } catch (error) {
    settleUndo(target, saved, patch);
    throw error;
  }
}

/** Drops the undo file of a patch that failed, unless the image holds the patch all the same, or cannot be read. */
export function settleUndo({ file }: PatchTarget, saved: SavedUndo, { runs }: Patch): void {
  let isMade = true;
  try {
    isMade = runs.every(({ position, after }) => equalBytes(file.read(position, after.length), after));
  } catch {
    // Why the patch failed is what counts.
  }
  if (isMade) saved.keep();
  else saved.drop();
}

/**
 * Undoes the patch that the undo file at `path` was saved with. The image may be a copy by now; it has to hold what that patch wrote.
 *
 * @returns the number of bytes written
 * @throws KdumpError `input` when it is not an undo file; `refused` when the image holds something else; `io`
 */
export function undoPatch(target: PatchTarget, path: string, { live = false, force = false }: ApplyOptions = {}): number {
  const { fileSystem, file } = target;
  const undo = readUndo(fileSystem, path);
  if (undo.image.size !== file.size) {
    throw new KdumpError('refused', 'the undo file is of another image', {
      file: path,
      found: `one of ${undo.image.size} bytes`,
      expected: `${file.size} bytes`,
    });
  }
  for (const { position, after } of undo.records) {
    if (equalBytes(file.read(position, after.length), after)) continue;
    if (undo.records.every((each) => equalBytes(file.read(each.position, each.before.length), each.before))) {
      throw new KdumpError('refused', 'the patch is undone already', { file: file.path, remedy: 'nothing is left to do' });
    }
    throw new KdumpError('refused', 'the image does not hold what is to be undone', {
      file: file.path,
      offset: position,
      found: 'other bytes than the patch wrote',
      expected: `the state that ${path} was saved for`,
      remedy: 'undo later patches first',
    });
  }
  const runs = undo.records.flatMap(({ position, before, after }) =>
    differences(after, before, GAP).map(({ offset, ...bytes }) => ({ position: position + offset, ...bytes })),
  );
  if (runs.length === 0) return 0;
  refuseUse(file.path, usersOf(fileSystem, target.status), live, force);
  commitPatch(target, { runs, markers: undo.markers }, { live });
  return runs.reduce((sum, { after }) => sum + after.length, 0);
}

function readUndo(fileSystem: FileSystem, path: string): ReturnType<typeof parseJournal> {
  const journal = within({ file: path }, () => parseJournal(readAtMost(fileSystem, path, MAX_JOURNAL)));
  if (journal.kind === 'undo') return journal;
  throw new KdumpError('input', 'not an undo file', { file: path, found: 'a journal', remedy: 'recover uses it by itself' });
}

function readAtMost(fileSystem: FileSystem, path: string, limit: number): Uint8Array {
  const file = InputFile.open(fileSystem, path);
  try {
    if (file.size <= limit) return file.readStart(limit);
    throw new KdumpError('input', 'the file is too large', { file: path, found: `${file.size} bytes`, expected: `at most ${limit}` });
  } finally {
    file.close();
  }
}
