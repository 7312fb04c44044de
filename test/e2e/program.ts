import { expect } from 'vitest';
import { run } from '../helpers/run.js';
import { start } from '../helpers/start.js';
import type { Guest } from './guest.js';

/** Runs the program on the guest's memory while the guest stands still. It has to succeed. */
export async function patchPaused(guest: Guest, pauses: number[], args: readonly string[]): Promise<void> {
  const [command = '', ...more] = args;
  // Nothing outside a QEMU shows that it was stopped by QMP, so the program has to be told.
  const { result, milliseconds } = await guest.paused(() => run([command, guest.ram, '--live', '--force', ...more]));
  pauses.push(milliseconds);
  expect(result, result.stderr).toMatchObject({ status: 0 });
}

/** Runs the program with the guest's monitor and no other name for its image. The guest has to run on. */
export async function patchByMonitor(guest: Guest, pauses: number[], args: readonly string[]): Promise<void> {
  const [command = '', ...more] = args;
  const result = await start([command, '--qmp', guest.programSocket, '--json', ...more]).ended;
  expect(result, result.stderr).toMatchObject({ status: 0 });
  const { file, applied, pausedMs } = JSON.parse(result.stdout) as { file: string; applied: boolean; pausedMs: number };
  expect({ file, applied }).toEqual({ file: guest.ram, applied: true });
  pauses.push(pausedMs);
  expect(await guest.runs()).toBe(true);
}

/** A watcher of the guest, which has its monitor and nothing else. */
export class Watcher {
  private readonly program;

  private readonly guest: Guest;

  constructor(guest: Guest) {
    this.guest = guest;
    this.program = start(['watch', '--qmp', guest.programSocket, '--json']);
  }

  async says(text: string): Promise<void> {
    await this.program.says(text);
  }

  /** Ends it. All that it saw it has to have applied. */
  async end(pauses: number[]): Promise<void> {
    this.program.process.kill('SIGTERM');
    const { status, stdout, stderr } = await this.program.ended;
    expect(status, stderr).toBe(0);
    const reports = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { outcome: string; write: number; pausedMs: number });
    for (const { outcome } of reports) expect(outcome).toBe('applied');
    pauses.push(...new Map(reports.map(({ write, pausedMs }) => [write, pausedMs])).values());
    expect(await this.guest.runs()).toBe(true);
  }
}
