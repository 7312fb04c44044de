import { describe, expect, test } from 'vitest';
import { withoutStacks } from '../helpers/without-stacks.js';
import { runModel } from './power-cut-run.js';

// One of each kind of run; test/long has more than a million states of each half.

describe('a power cut, or a kill, at any moment', () => {
  test('leaves the old image or the new one, and after exit 0 the new one', () => {
    const seeds = Array.from({ length: 2 }, (_, i) => i);
    const started = performance.now();
    const { states, distinct, recoveryStates, recoveryDistinct, recoveryPlain, problems } = withoutStacks(() => runModel(seeds, 40, 10));
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    console.log(`${states} states (${distinct} distinct), and ${recoveryStates} (${recoveryDistinct}) during recovery, in ${seconds} s`);
    expect(problems).toEqual([]);
    expect(states).toBeGreaterThanOrEqual(50_000);
    expect(recoveryStates).toBeGreaterThanOrEqual(9_000);
    // The rest holds garbage, which is refused, or began with some.
    expect(recoveryPlain).toBeGreaterThanOrEqual(1_000);
  }, 400_000);
});
