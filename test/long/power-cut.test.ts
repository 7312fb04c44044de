import { expect, test } from 'vitest';
import { runModel } from '../patch/power-cut-run.js';

test('a power cut, or a kill, at any moment: more patches, and more states of each', () => {
  Error.stackTraceLimit = 0;
  const seeds = Array.from({ length: 72 }, (_, i) => 100 + i);
  const { states, distinct, recoveryStates, recoveryDistinct, problems } = runModel(seeds, 120, 60);
  console.log(`${states} states (${distinct} distinct), and ${recoveryStates} (${recoveryDistinct}) during recovery`);
  expect(problems).toEqual([]);
  expect(states).toBeGreaterThanOrEqual(3_000_000);
  expect(recoveryStates).toBeGreaterThanOrEqual(500_000);
});
