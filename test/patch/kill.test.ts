import { join } from 'node:path';
import { describe, test } from 'vitest';
import { has, scratchFolder } from '../helpers/run.js';
import { proberOf, SCENARIOS } from './kill-scenarios.js';

// One kill of each scenario; test/long kills at every call.

describe.skipIf(!hasTracer())('killed in the middle', () => {
  const folder = scratchFolder();

  test.each(SCENARIOS.map((scenario, index) => [scenario.name, scenario, index] as const))('%s', (_, scenario, index) => {
    const { points, probe } = proberOf(scenario, join(folder, 'scenario'));
    const point = points[(index * 3 + 4) % points.length];
    if (point === undefined) throw new Error('nothing to kill at');
    probe(point);
  });
});

function hasTracer(): boolean {
  return has('strace');
}
