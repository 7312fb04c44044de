import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { has, scratchFolder } from '../helpers/run.js';
import { proberOf, type Scenario } from '../patch/kill-scenarios.js';

/** Kills each scenario at every call that changes a file. */
export function killEverywhere(scenarios: readonly Scenario[]): void {
  describe.skipIf(!has('strace'))('killed at every call that changes a file', () => {
    const folder = scratchFolder();
    let kills = 0;
    afterAll(() => {
      console.info(`${kills} kills`);
    });

    test.each(scenarios.map((scenario) => [scenario.name, scenario] as const))('%s', (_, scenario) => {
      const { points, probe } = proberOf(scenario, join(folder, 'scenario'));
      for (const point of points) {
        probe(point);
        kills += 1;
      }
      // The shortest, `recover`, has this many: a trace that is misread must not pass for a command without calls.
      expect(points.length).toBeGreaterThan(9);
    });
  });
}
