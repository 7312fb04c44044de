import { spawnSync, type SpawnSyncReturns } from 'node:child_process';
import { constants, existsSync, lstatSync, openSync } from 'node:fs';
import { KdumpError, printable } from '../errors.js';

// Files without a name: O_TMPFILE of open(2). The kernel gives them up with the process, however that ends.

/** Node does not export it. asm-generic/fcntl.h: __O_TMPFILE | O_DIRECTORY; architectures differ in O_DIRECTORY alone. */
const O_TMPFILE = 0o20000000 | constants.O_DIRECTORY;

let canName: boolean | undefined;

/** Opens a new file without a name in the folder; undefined where the file system has none, or `ln` could not name it. */
export function openUnnamed(folder: string): number | undefined {
  canName ??= existsSync('/proc/self/fd') && spawnSync('ln', ['-L', '--version'], { stdio: 'ignore' }).status === 0;
  if (!canName) return undefined;
  try {
    return openSync(folder, constants.O_RDWR | O_TMPFILE, 0o666);
  } catch {
    // Whatever the reason is, making a file with a name tells it.
    return undefined;
  }
}

/**
 * Gives the file its name. Node has no linkat(2) with AT_SYMLINK_FOLLOW, which that takes; `ln -L` calls it.
 *
 * @throws KdumpError `io`, also where something has that name
 */
export function nameUnnamed(descriptor: number, path: string): void {
  const { status, error, stderr } = ln(descriptor, path);
  if (status === 0) return;
  if (lstatSync(path, { throwIfNoEntry: false }) !== undefined)
    throw new KdumpError('io', 'it exists already', { code: 'exists', file: path });
  const reason = error?.message ?? stderr.trim().replace(/^.*: /s, '');
  throw new KdumpError('io', `cannot name the new file: ${printable(reason)}`, { file: path });
}

function ln(descriptor: number, path: string): SpawnSyncReturns<string> {
  return spawnSync('ln', ['-L', '-T', '--', '/proc/self/fd/3', path], {
    stdio: ['ignore', 'ignore', 'pipe', descriptor],
    encoding: 'utf8',
    env: { ...process.env, LC_ALL: 'C' },
  });
}
