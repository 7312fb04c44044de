import { expect, test } from 'vitest';
import { fuzz, report } from '../fuzz/fuzz.js';
import { targets } from '../fuzz/targets.js';

// A million damaged device trees, printed and edited where they are taken.

const COUNTS = new Map([['FDT', 1_000_000]]);

test.each(
  targets
    .map((make) => make(20260201))
    .filter(({ name }) => COUNTS.has(name))
    .map((target) => [target.name, target] as const),
)('%s: only a KdumpError, no write, no input that takes long', (name, target) => {
  const count = COUNTS.get(name) ?? 0;
  const result = fuzz(target, count);
  console.info(report(result));
  expect(result.inputs).toBe(count);
  expect(result.accepted).toBeGreaterThan(count / 1000);
  expect(target.writes?.() ?? 0).toBe(0);
});
