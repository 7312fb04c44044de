import { writeSync } from 'node:fs';
import { nodeFileSystem } from './node-file-system.js';

/**
 * Writes text to standard output (1) or standard error (2) before it returns, so that an exit loses nothing.
 *
 * @returns false when it could not be written. A reader that has seen enough and closed the pipe is no failure.
 */
export function writeStandard(descriptor: 1 | 2, text: string): boolean {
  const bytes = Buffer.from(text);
  for (let done = 0; done < bytes.length;) {
    try {
      done += writeSync(descriptor, bytes, done);
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : undefined;
      if (code === 'EPIPE') return true;
      // Somebody else who has the pipe too set it to non-blocking.
      if (code !== 'EAGAIN') return false;
      nodeFileSystem.pause(1);
    }
  }
  return true;
}
