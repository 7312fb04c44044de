import { fstatSync, readFileSync } from 'node:fs';
import { run, type World } from '../../src/cli/program.js';
import type { FileSystem } from '../../src/file/file-system.js';
import { nodeFileSystem } from '../../src/file/node-file-system.js';
import type { RunResult } from './run.js';

let skipped = 0n;

/**
 * The real file system, for tests whose files nobody else writes to meanwhile: the clock runs on while nobody waits, and flock(1) is started only
 * where somebody holds a lock.
 */
export const hastyFileSystem: FileSystem = {
  ...nodeFileSystem,
  lock: (descriptor, kind) => !isLocked(descriptor) || nodeFileSystem.lock(descriptor, kind),
  now: () => nodeFileSystem.now() + skipped,
  pause: (milliseconds) => {
    skipped += BigInt(milliseconds) * 1_000_000n;
  },
};

/** `N: FLOCK ADVISORY WRITE pid major:minor:inode start end` */
function isLocked(descriptor: number): boolean {
  return readFileSync('/proc/locks', 'latin1').includes(`:${fstatSync(descriptor).ino} `);
}

interface Surroundings extends Partial<World> {
  /** What standard input holds. */
  readonly input?: string | Uint8Array;
  readonly env?: NodeJS.ProcessEnv;
}

/** Runs a command line in this process, which is much faster than starting the program. Not for commands that wait for events. */
export function runHere(args: readonly string[], { input = '', env = {}, ...world }: Surroundings = {}): RunResult & { status: number } {
  let [stdout, stderr] = ['', ''];
  const status = run(args, {
    fileSystem: { ...hastyFileSystem, readStandardInput: () => new Uint8Array(Buffer.from(input)) },
    version: 'test',
    environment: env,
    isTerminal: false,
    writeOut: (text) => {
      stdout += text;
    },
    writeError: (text) => {
      stderr += text;
    },
    ...world,
  });
  if (typeof status !== 'number') throw new Error('the command did not end at once');
  return { status, stdout, stderr };
}
