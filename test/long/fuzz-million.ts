import { expect, test } from 'vitest';
import { fuzz, report } from '../fuzz/fuzz.js';
import { targets } from '../fuzz/targets.js';

/** A test for each of the named targets, with so many damaged inputs. Several files, so that two of them run at a time. */
export function fuzzEach(seed: number, counts: Readonly<Record<string, number>>): void {
  test.each(Object.entries(counts))('%s: %d damaged inputs, only a KdumpError, no write, no input that takes long', (name, count) => {
    const target = targets.map((make) => make(seed)).find((each) => each.name === name);
    if (target === undefined) throw new Error(`no target ${name}`);
    const result = fuzz(target, count);
    console.info(report(result));
    // Were hardly any accepted, nothing behind the first checks would have run.
    expect(result.accepted).toBeGreaterThan(count / 20);
    expect(target.writes?.() ?? 0).toBe(0);
  });
}
