import { join } from 'node:path';
import { afterAll, describe, test } from 'vitest';
import { has, scratchFolder } from '../helpers/run.js';
import { proberOf, SCENARIOS } from '../patch/kill-scenarios.js';

describe.skipIf(!has('strace'))('killed at every call that changes a file', () => {
  const folder = scratchFolder();
  let kills = 0;
  afterAll(() => {
    console.log(`${kills} kills`);
  });

  test.each(SCENARIOS.map((scenario) => [scenario.name, scenario] as const))('%s', (_, scenario) => {
    const { points, probe } = proberOf(scenario, join(folder, 'scenario'));
    for (const point of points) {
      probe(point);
      kills += 1;
    }
  });
});
