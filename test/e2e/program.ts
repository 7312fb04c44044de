import { expect } from 'vitest';
import { run } from '../helpers/run.js';
import type { Guest } from './guest.js';

/** Runs the program on the guest's memory while the guest stands still. It has to succeed. */
export async function patchPaused(guest: Guest, pauses: number[], args: readonly string[]): Promise<void> {
  const [command = '', ...more] = args;
  // Nothing outside a QEMU shows that it was stopped by QMP, so the program has to be told.
  const { result, milliseconds } = await guest.paused(() => run([command, guest.ram, '--live', '--force', ...more]));
  pauses.push(milliseconds);
  expect(result, result.stderr).toMatchObject({ status: 0 });
}
