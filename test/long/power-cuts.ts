import { expect, test } from 'vitest';
import { withoutStacks } from '../helpers/without-stacks.js';
import { runModel } from '../patch/power-cut-run.js';

/** As test/patch/power-cut.test.ts, with other patches and more states of each. Two files of it run at a time. */
export function cutEverywhere(firstSeed: number): void {
  test('a power cut, or a kill, at any moment: more patches, and more states of each', () => {
    const seeds = Array.from({ length: 24 }, (_, i) => firstSeed + i);
    const { states, distinct, recoveryStates, recoveryDistinct, recoveryPlain, problems } = withoutStacks(() => runModel(seeds, 120, 60));
    console.info(
      `${states} states (${distinct} distinct), and ${recoveryStates} (${recoveryDistinct}, ${recoveryPlain} plain) during recovery`,
    );
    expect(problems).toEqual([]);
    expect(states).toBeGreaterThanOrEqual(1_000_000);
    expect(recoveryStates).toBeGreaterThanOrEqual(300_000);
    expect(recoveryPlain).toBeGreaterThanOrEqual(50_000);
  });
}
