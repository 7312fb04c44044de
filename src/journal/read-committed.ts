import { basename, dirname } from 'node:path';
import { KdumpError } from '../errors.js';
import type { FileStatus, FileSystem } from '../file/file-system.js';
import { InputFile } from '../file/input-file.js';
import { findJournal, type JournalState } from './find-journal.js';

const ATTEMPTS = 40;
const PAUSE = 25;
/** Times of last writes are taken from a clock that moves in steps of up to 10 ms. */
const CLOCK_STEP = 20_000_000n;
const FUTURE = 60_000_000_000n;

/**
 * Opens the file at `path` and reads from it with `read`, so that what is read is a committed state: no write went on meanwhile, and where a patch
 * was interrupted the bytes that it began with lie over the file's. Nothing is written.
 *
 * The file stays open when this returns.
 *
 * @throws what `read` throws; KdumpError `io` when another process goes on patching the file for more than a second
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
        const result = attemptTo(() =>
          read(
            before.state === 'hot'
              ? file.overlaid(before.journal.records.map(({ position, before: bytes }) => ({ position, bytes })))
              : file,
          ),
        );
        if (isQuiet(status.modified, fileSystem.status(file.descriptor).modified, started) && isSame(before, look())) {
          if ('error' in result) throw result.error;
          return result.value;
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

/** Whether nothing was written since `started`. A time of last write in the future says only that, while it stays as it is. */
function isQuiet(before: bigint, after: bigint, started: bigint): boolean {
  return after < started - CLOCK_STEP || (before === after && after > started + FUTURE);
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
