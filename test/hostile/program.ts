import { createHash } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { expect } from 'vitest';
import { expectFailure } from '../helpers/failure.js';
import { runHere } from '../helpers/run-here.js';
import type { RunResult } from '../helpers/run.js';

export const ONE_LINE = /^kdump-hotplug: [^\p{Cc}]+\n$/u;

/** Everything about a file that a refused command must leave alone. */
export function stateOf(path: string): unknown {
  if (!existsSync(path)) return 'nothing';
  const { size, mtimeNs, mode, ino, nlink } = statSync(path, { bigint: true });
  const sha256 = size < 1n << 28n ? createHash('sha256').update(readFileSync(path)).digest('hex') : 'large';
  return { size, mtimeNs, mode, ino, nlink, sha256 };
}

/** The program ends with `status` and one line that matches `words`, and leaves `path` as it was. */
export function expectRefused(
  path: string,
  args: readonly string[],
  status: number,
  words = /./,
  surroundings: Parameters<typeof runHere>[1] = {},
): RunResult {
  const before = stateOf(path);
  const result = runHere(args, surroundings);
  expectFailure(result, args, status);
  expect(result.stderr).toMatch(ONE_LINE);
  expect(result.stderr).toMatch(words);
  expect(stateOf(path)).toEqual(before);
  return result;
}

/** As {@link expectRefused}, for reading and for writing. */
export function expectDamaged(path: string, words = /./, more: readonly string[] = []): void {
  expectRefused(path, ['inspect', path, ...more], 3, words);
  expectRefused(path, ['apply', path, ...more, '--add-memory', '0x80000000+256M'], 3, words);
}
