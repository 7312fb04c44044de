import { expect, test } from 'vitest';
import { fuzz, report } from './fuzz.js';
import { targets } from './targets.js';

// As many damaged inputs as fit into 0.2 s each; test/long has a million for each parser.

const SECONDS = 0.2;
const MILLION = 1_000_000;

// Else nothing behind the first checks would ever run.
test.each(targets.map((make) => [make(1).name, make(1)] as const))('%s: what nobody damaged is accepted', (_, target) => {
  for (const input of target.good) expect(target.take(Uint8Array.from(input), 0)).toBe(true);
});

test.each(targets.map((make) => [make(1).name, make] as const))('%s: only a KdumpError, no write, no input that takes long', (_, make) => {
  const target = make(20260101);
  const result = fuzz(target, MILLION, SECONDS);
  console.info(report(result));
  expect(result.inputs).toBeGreaterThan(50);
  expect(result.accepted).toBeGreaterThan(result.inputs / 20);
  expect(target.writes?.() ?? 0).toBe(0);
});
