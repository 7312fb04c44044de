import { expect, test } from 'vitest';
import { fuzz, report } from './fuzz.js';
import { targets } from './targets.js';

// test/long has a million for each parser.

const COUNT = 1000;

// Else nothing behind the first checks would ever run.
test.each(targets.map((make) => [make(1).name, make(1)] as const))('%s: what nobody damaged is accepted', (_, target) => {
  for (const { bytes } of target.seeds) expect(target.take(Uint8Array.from(bytes), 0)).toBe(true);
});

test.each(targets.map((make) => [make(1).name, make] as const))('%s: only a KdumpError, no write, no input that takes long', (_, make) => {
  const target = make(20260101);
  const result = fuzz(target, COUNT);
  console.info(report(result));
  expect(result.accepted).toBeGreaterThan(COUNT / 20);
  expect(result.accepted).toBeLessThan(COUNT);
  expect(target.writes?.() ?? 0).toBe(0);
});
