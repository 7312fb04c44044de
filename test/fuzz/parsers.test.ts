import { expect, test } from 'vitest';
import { fuzz, report } from './fuzz.js';
import { targets } from './targets.js';

// As many damaged inputs as fit into a few seconds each; test/long has a million for each parser.

const SECONDS = 4;
const MILLION = 1_000_000;

test.each(targets.map((make) => [make(1).name, make] as const))('%s: only a KdumpError, no write, no input that takes long', (_, make) => {
  const target = make(20260101);
  // The good ones are taken, else nothing behind the first check would ever run.
  const result = fuzz(target, MILLION, SECONDS);
  console.info(report(result));
  expect(result.inputs).toBeGreaterThan(500);
  expect(result.accepted).toBeGreaterThan(result.inputs / 1000);
  expect(target.writes?.() ?? 0).toBe(0);
});
