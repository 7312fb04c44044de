import { spawnSync } from 'node:child_process';
import { existsSync, accessSync, constants, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';

export const PROGRAM = fileURLToPath(new URL('../../dist/kdump-hotplug.cjs', import.meta.url));

export interface RunResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the bundled program. A run that hangs ends with status null. */
export function run(
  args: readonly string[],
  { input = '', env = {}, cwd }: { input?: string | Uint8Array; env?: NodeJS.ProcessEnv; cwd?: string } = {},
): RunResult {
  const { status, stdout, stderr } = spawnSync(process.execPath, [PROGRAM, ...args], {
    input,
    env: { PATH: process.env.PATH, ...env },
    encoding: 'utf8',
    timeout: 25_000,
    maxBuffer: 1 << 28,
    ...(cwd === undefined ? {} : { cwd }),
  });
  return { status, stdout, stderr };
}

/** Whether `program` can be started; tests that need it say so and are skipped otherwise. */
export function has(program: string): boolean {
  const found = spawnSync(program, ['--version'], { stdio: 'ignore' }).error === undefined;
  if (!found) console.warn(`${program} is not installed: the tests that compare with it are skipped`);
  return found;
}

/**
 * A folder for the files of one test file, removed after it. In shared memory where there is some: disk file systems read the holes of a
 * sparse file slowly.
 */
export function scratchFolder(): string {
  const folder = mkdtempSync(join(memoryFolder() ?? tmpdir(), 'kdump-hotplug-test-'));
  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

function memoryFolder(): string | undefined {
  const folder = '/dev/shm';
  try {
    if (!existsSync(folder)) return undefined;
    accessSync(folder, constants.W_OK);
    return folder;
  } catch {
    return undefined;
  }
}
