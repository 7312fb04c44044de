import { expect, test } from 'vitest';
import { withoutStacks } from '../helpers/without-stacks.js';
import { isAccepted } from './fuzz.js';
import { readCorpus } from './guided/corpus.js';
import { targets } from './targets.js';

// What fuzzing that follows coverage found worth keeping (npm run fuzz).

test.each(targets.map((make) => [make(1).name, make] as const))('%s: each input of the corpus, whatever is done with it', (name, make) => {
  const target = make(1);
  const corpus = readCorpus(name);
  expect(corpus.length).toBeGreaterThan(10);
  const { stackTraceLimit } = Error;
  withoutStacks(() => {
    for (const input of corpus) for (const turn of [0, 1]) isAccepted(target, Uint8Array.from(input), turn, stackTraceLimit);
  });
  expect(target.writes?.() ?? 0).toBe(0);
});
