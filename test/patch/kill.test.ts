import { join } from 'node:path';
import { describe, test } from 'vitest';
import { has, scratchFolder } from '../helpers/run.js';
import { proberOf, SCENARIOS } from './kill-scenarios.js';

// One kill of every third scenario; test/long kills all of them, at every call.

const sample = SCENARIOS.map((scenario, index) => [scenario.name, scenario, index] as const).filter(([, , index]) => index % 3 === 0);

describe.skipIf(!has('strace'))('killed in the middle', () => {
  const folder = scratchFolder();

  test.each(sample)('%s', (_, scenario, index) => {
    const { points, probe } = proberOf(scenario, join(folder, 'scenario'));
    const point = points[(index * 3 + 4) % points.length];
    if (point === undefined) throw new Error('nothing to kill at');
    probe(point);
  });
});
