import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';

test('the fuzzer finds its way from the seeds on: it reaches more than they do, and the same in each run', () => {
  const run = (): number[] => {
    const output = execFileSync(process.execPath, ['scripts/fuzz.mjs', '--forget', '--seconds', '10', 'region table'], {
      encoding: 'utf8',
    });
    expect(output).toMatch(
      /^region table: \d+ executions in \d+ s \(\d+\/s\), branches \d+ -> \d+, with counts \d+ -> \d+, \d+ new inputs, \d+ in the corpus\n$/,
    );
    return (/branches (\d+) -> (\d+), with counts (\d+)/.exec(output) ?? []).slice(1).map(Number);
  };
  const [first, second] = [run(), run()];
  // What the corpus reaches is counted without noise.
  expect([second[0], second[2]]).toEqual([first[0], first[2]]);
  expect(first[1]).toBeGreaterThanOrEqual(first[0] ?? 0);
});
