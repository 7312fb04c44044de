import { expect, test } from 'vitest';
import { buildJudge, compare } from '../fuzz/libfdt.js';
import { scratchFolder } from '../helpers/run.js';

// As test/fuzz/libfdt.test.ts, with more of them.

const judge = buildJudge(scratchFolder());

test.skipIf(judge === undefined)(
  '300,000 damaged device trees: the verdicts are those of libfdt, but for the rules that are stricter here',
  () => {
    const result = compare(judge ?? '', 300_000, 20260202);
    console.info(`libfdt: ${result.inputs} inputs, ${result.bothTake} taken by both, ${result.crashes} crashed libfdt`, result.stricter);
    expect(result.unexplained).toEqual([]);
    expect(result.inputs).toBe(300_000);
    expect(result.bothTake).toBeGreaterThan(60_000);
    expect(result.bothRefuse).toBeGreaterThan(60_000);
    expect(result.crashes).toBeLessThan(300);
  },
);
