import { basename, dirname } from 'node:path';
import { KdumpError } from '../errors.js';
import type { FileStatus, FileSystem } from '../file/file-system.js';
import { InputFile } from '../file/input-file.js';
import { findJournal, type HotJournal, type JournalState } from './find-journal.js';
import { outcomeOf, refuseTouched } from './interrupted-patch.js';
import { otherNames } from './other-names.js';

const ATTEMPTS = 40;
const PAUSE = 25;
/** Times of last writes are taken from a clock that moves in steps of up to 10 ms. */
const CLOCK_STEP = 20_000_000n;

/**
 * Opens the file at `path` and reads from it with `read`, so that what is read is a committed state: no write went on meanwhile, and where a patch
 * was interrupted, what `recover` would write lies over the file's bytes. Nothing is written.
 *
 * The file stays open when this returns.
 *
 * @throws what `read` throws; KdumpError `refused` where `recover` would refuse; `io` when another process goes on patching the file for more than a
 *   second
 */
export function readCommitted<T>(fileSystem: FileSystem, path: string, read: (file: InputFile) => T): T {
  for (let attempt = 1; ; attempt += 1) {
    const file = InputFile.open(fileSystem, path);
    const started = fileSystem.now();
    const isLast = attempt >= ATTEMPTS;
    let directory: number | undefined;
    try {
      const place = fileSystem.realPath(path);
      directory = fileSystem.openDirectory(dirname(place));
      const status = fileSystem.status(file.descriptor);
      const hidden = otherNames(fileSystem, file.descriptor, directory, status);
      const look = journalLooker(fileSystem, directory, basename(place), path, file, status);
      const before = look();
      if (before === 'busy') {
        if (isLast)
          throw new KdumpError('io', 'another process is patching it', {
            code: 'busy',
            file: path,
            remedy: 'try again when it has finished',
          });
      } else {
        const result = attemptTo(() => {
          if (before.state === 'hot') return read(recovered(fileSystem, before, file, status));
          if (before.state === 'cold') refuseTouched(before, file);
          return read(hidden === undefined ? file : file.withUnknownJournal());
        });
        const { modified } = fileSystem.status(file.descriptor);
        if (isQuiet(status.modified, modified, started, fileSystem.now()) && isSame(before, look())) {
          if (!('error' in result)) return result.value;
          throw hidden === undefined ? result.error : withHidden(result.error, hidden);
        }
        if (isLast)
          throw new KdumpError('io', 'another process goes on writing to it', {
            code: 'busy',
            file: path,
            remedy: 'try again when it has finished',
          });
      }
    } catch (error) {
      file.close();
      throw error;
    } finally {
      if (directory !== undefined) fileSystem.close(directory);
    }
    file.close();
    fileSystem.pause(PAUSE);
  }
}

/**
 * Makes the open file `to` a copy of the file at `path` in a committed state, as {@link readCommitted} reads it.
 *
 * @returns whether a patch of it was interrupted; null where that cannot be seen
 */
export function copyCommitted(fileSystem: FileSystem, path: string, to: number): boolean | null {
  const file = readCommitted(fileSystem, path, (source) => {
    fileSystem.copy(source.descriptor, to);
    for (const { position, bytes } of source.overlays) fileSystem.write(to, bytes, position);
    return source;
  });
  file.close();
  return file.isInterrupted;
}

/**
 * Whether nothing was written between `started` and `finished`: the time of the last write is from before, or it is from the future, where a write
 * would have taken it back to the present.
 */
function isQuiet(before: bigint, after: bigint, started: bigint, finished: bigint): boolean {
  return after < started - CLOCK_STEP || (before === after && after > finished + CLOCK_STEP);
}

/** The file as `recover` would leave it. @throws KdumpError `refused` where that would refuse */
function recovered(fileSystem: FileSystem, found: HotJournal, file: InputFile, status: FileStatus): InputFile {
  const { side } = outcomeOf(fileSystem, found, file, status);
  return file.overlaid(found.journal.records.map((record) => ({ position: record.position, bytes: record[side] })));
}

/** What makes no sense may be half of a patch whose journal lies elsewhere. */
function withHidden(error: unknown, hidden: string): unknown {
  if (!(error instanceof KdumpError) || error.kind !== 'input' || error.details.remedy !== undefined) return error;
  const remedy = `${hidden}: if a patch of it was interrupted, its journal lies elsewhere; run recover where the patch was made`;
  return new KdumpError(error.kind, error.problem, { ...error.details, remedy });
}

function attemptTo<T>(action: () => T): { value: T } | { error: unknown } {
  try {
    return { value: action() };
  } catch (error) {
    return { error };
  }
}

/** Looks for the journal of an open file; `busy` while the patch that it belongs to is under way. */
function journalLooker(
  fileSystem: FileSystem,
  directory: number,
  name: string,
  path: string,
  file: InputFile,
  status: FileStatus,
): () => JournalState | 'busy' {
  return () => {
    const found = findJournal(fileSystem, directory, name, status, path);
    return found.state === 'none' || fileSystem.lock(file.descriptor, 'shared') ? found : 'busy';
  };
}

function isSame(before: JournalState, after: JournalState | 'busy'): boolean {
  if (after === 'busy' || before.state !== after.state) return false;
  return before.state !== 'hot' || after.state !== 'hot' || Buffer.compare(before.journal.transaction, after.journal.transaction) === 0;
}
