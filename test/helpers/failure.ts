import { expect } from 'vitest';
import type { ErrorJson } from '../../src/cli/render/error-json.js';
import type { RunResult } from './run.js';

/** Fails unless a command ended with `status` and said nothing but why: on standard error, and with --json in a document on standard output. */
export function expectFailure(result: RunResult, args: readonly string[], status: number): void {
  expect(result.status).toBe(status);
  if (!args.includes('--json')) {
    expect(result.stdout).toBe('');
    return;
  }
  const { error } = JSON.parse(result.stdout) as ErrorJson;
  expect(result.stderr).toBe(`kdump-hotplug: ${error.message}\n`);
}
