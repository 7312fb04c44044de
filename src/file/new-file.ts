import { KdumpError } from '../errors.js';
import type { FileSystem } from './file-system.js';

/**
 * Makes the file at `path` in one step: `fill` writes under a temporary name beside it, which is renamed once everything is on the disk. A
 * failure leaves nothing behind.
 *
 * @throws KdumpError `io` when something is at `path` already and `overwrite` is not set
 */
export function makeFile(fileSystem: FileSystem, path: string, overwrite: boolean, fill: (descriptor: number) => void): void {
  refuseExisting(fileSystem, path, overwrite);
  const temporary = `${path}.partial`;
  const descriptor = fileSystem.open(temporary, 'replace');
  try {
    try {
      fill(descriptor);
      fileSystem.sync(descriptor);
    } finally {
      fileSystem.close(descriptor);
    }
    fileSystem.rename(temporary, path);
  } catch (error) {
    fileSystem.remove(temporary);
    throw error;
  }
}

/** @throws KdumpError `io` when something is at `path` already and `overwrite` is not set */
export function refuseExisting(fileSystem: FileSystem, path: string, overwrite: boolean): void {
  if (!overwrite && fileSystem.exists(path)) {
    throw new KdumpError('io', 'it exists already', { file: path, remedy: 'give another name, or --overwrite' });
  }
}
