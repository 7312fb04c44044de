import { spawnSync } from 'node:child_process';
import { copyFileSync, constants, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { PROGRAM } from '../helpers/run.js';
import type { Guest } from './guest.js';

/**
 * Starts a patch of the guest's memory, and kills the program before its second write there: something is patched then, and something is not.
 * Which of its writes that is comes from a rehearsal with a copy of the memory.
 */
export function killHalfWay(guest: Guest, args: readonly string[]): void {
  const copy = join(guest.folder, 'rehearsal');
  const trace = join(guest.folder, 'trace');
  copyFileSync(guest.ram, copy, constants.COPYFILE_FICLONE);
  const rehearsal = traced(['-y', '-o', trace, '-e', 'trace=pwrite64'], copy, args);
  rmSync(copy);
  expect(rehearsal, rehearsal.stderr).toMatchObject({ status: 0 });
  const writes = readFileSync(trace, 'latin1').split('\n');
  const toMemory = writes.flatMap((line, index) => (line.includes(`<${copy}>`) ? [index] : []));
  expect(toMemory.length).toBeGreaterThan(1);

  const when = (toMemory[1] ?? 0) + 1;
  const { signal, status } = traced(['-o', '/dev/null', '-e', `inject=pwrite64:signal=SIGKILL:when=${when}`], guest.ram, args);
  expect(signal === 'SIGKILL' || status === 137).toBe(true);
}

function traced(options: readonly string[], memory: string, [command = '', ...more]: readonly string[]): ReturnType<typeof straceResult> {
  return straceResult([...options, process.execPath, PROGRAM, command, memory, '--live', '--force', ...more]);
}

function straceResult(args: readonly string[]): { status: number | null; signal: string | null; stderr: string } {
  // All threads count together in the trace; each counts for itself in an injection. The program writes in one.
  return spawnSync('strace', ['-f', ...args], { encoding: 'utf8', timeout: 60_000 });
}
