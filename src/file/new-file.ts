import { dirname } from 'node:path';
import { KdumpError } from '../errors.js';
import type { FileSystem } from './file-system.js';

/**
 * Makes the file at `path` in one step: `fill` writes under a temporary name beside it, which is renamed once everything is on the disk. A
 * failure leaves nothing behind.
 *
 * @param check looks at the new file under its temporary name; what it throws is a failure
 * @throws KdumpError `io` when something is at `path` already and `overwrite` is not set
 */
export function makeFile(
  fileSystem: FileSystem,
  path: string,
  overwrite: boolean,
  fill: (descriptor: number) => void,
  check: (temporary: string) => void = () => undefined,
): void {
  refuseExisting(fileSystem, path, overwrite);
  const temporary = temporaryName(path);
  // Made anew, so that a link that somebody put there is not followed.
  fileSystem.remove(temporary);
  const descriptor = fileSystem.open(temporary, 'create');
  try {
    try {
      fill(descriptor);
      fileSystem.sync(descriptor);
    } finally {
      fileSystem.close(descriptor);
    }
    check(temporary);
    moveIntoPlace(fileSystem, temporary, path);
  } catch (error) {
    fileSystem.remove(temporary);
    throw error;
  }
}

/** Gives a whole file its name, and brings that to the disk. */
export function moveIntoPlace(fileSystem: FileSystem, temporary: string, path: string): void {
  fileSystem.rename(temporary, path);
  const directory = fileSystem.openDirectory(dirname(fileSystem.realPath(path)));
  try {
    fileSystem.sync(directory);
  } finally {
    fileSystem.close(directory);
  }
}

/** The name that a new file has until it is whole. */
export function temporaryName(path: string): string {
  return `${path}.partial`;
}

/** @throws KdumpError `io` when something is at `path` already and `overwrite` is not set */
export function refuseExisting(fileSystem: FileSystem, path: string, overwrite: boolean): void {
  if (!overwrite && fileSystem.exists(path)) {
    throw new KdumpError('io', 'it exists already', { code: 'exists', file: path, remedy: 'give another name, or --overwrite' });
  }
}
