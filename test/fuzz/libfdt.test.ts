import { expect, test } from 'vitest';
import { scratchFolder } from '../helpers/run.js';
import { buildJudge, compare } from './libfdt.js';

// 300,000 in test/long. parseFdt against libfdt's fdt_check_full(): stricter where stricter.ts says so, never laxer.

const judge = buildJudge(scratchFolder());

test.skipIf(judge === undefined)(
  'damaged device trees: the verdicts are those of libfdt, but for the rules that are stricter here',
  { timeout: 120_000 },
  () => {
    const result = compare(judge ?? '', 1_000, 20260102);
    console.info(
      `libfdt: ${result.inputs} inputs, ${result.bothTake} taken by both, ${result.bothRefuse} refused by both, ${result.crashes} crashed libfdt`,
      result.stricter,
    );
    expect(result.unexplained).toEqual([]);
    expect(result.bothTake).toBeGreaterThan(200);
    expect(result.bothRefuse).toBeGreaterThan(200);
  },
);
