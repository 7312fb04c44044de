import { Checker, checkRecovery, checkTrace, randomFrom, REAL_STEPS, type Trace } from './power-cut-model.js';
import { commitTrace, example, planTrace, undoTrace } from './traces.js';

export interface Tally {
  states: number;
  distinct: number;
  recoveryStates: number;
  recoveryDistinct: number;
  /** Of the recovery's, those that were judged as a reader sees them that knows nothing of journals. */
  recoveryPlain: number;
  readonly problems: string[];
}

/** Every kind of run that changes an image: patches of several shapes, those that fail half way and are rolled back, and undo. */
export function* tracesOf(seed: number): Generator<{ readonly name: string; readonly trace: Trace }> {
  const small = example(seed, 3 + (seed % 6), 1 + (seed % 3));
  const large = example(seed + 1000, 20 + (seed % 10));
  yield { name: 'tiny', trace: commitTrace(example(seed + 2000, 2, 2)) };
  yield { name: 'small', trace: commitTrace(small) };
  const other = seed % 8 < 4 ? large : small;
  if (seed % 4 === 0) yield { name: 'large', trace: commitTrace(large) };
  if (seed % 4 === 1) yield { name: 'sparse', trace: commitTrace(other, { sparse: true }) };
  if (seed % 4 === 2) yield { name: 'live', trace: commitTrace(large, { live: true }) };
  if (seed % 4 === 3) yield { name: 'undo', trace: undoTrace(other) };
  const failing = FAILING[seed % FAILING.length];
  yield { name: 'failing', trace: commitTrace(seed % 4 < 2 ? small : large, failing === undefined ? {} : { failing }) };
  if (seed === 0) yield { name: 'plan', trace: planTrace() };
}

/** Calls that fail, once or from then on: the journal's write and sync, the image's, the unlink, and the last sync. */
const FAILING = [
  { call: 'write', index: 1 },
  { call: 'write', index: 2 },
  { call: 'write', index: 3 },
  { call: 'sync', index: 1 },
  { call: 'sync', index: 2 },
  { call: 'sync', index: 3 },
  { call: 'sync', index: 4 },
  { call: 'sync', index: 5 },
  { call: 'sync', index: 6 },
  { call: 'removeIn', index: 1 },
  { call: 'write', index: 4, forever: true },
  { call: 'sync', index: 4, forever: true },
  { call: 'sync', index: 5, forever: true },
] as const;

/** Enough of one trace's recoveries: each has more steps than a patch, and is cut three times over. */
const RECOVERY_STATES = 12_000;

/** Cuts the power everywhere in the traces of `seeds`, and in the recoveries of what that leaves. */
export function runModel(seeds: readonly number[], samples: number, recoveries: number): Tally {
  const tally: Tally = { states: 0, distinct: 0, recoveryStates: 0, recoveryDistinct: 0, recoveryPlain: 0, problems: [] };
  for (const seed of seeds) {
    const random = randomFrom(seed + 99);
    const sampling = { random, samples, exhaustive: 14 };
    for (const { name, trace } of tracesOf(seed)) {
      const checker = new Checker(trace.versions, REAL_STEPS, trace.machine);
      const left = checkTrace(checker, trace, sampling);
      tally.states += checker.states;
      tally.distinct += checker.distinct;
      const recovery = new Checker(trace.versions, REAL_STEPS, trace.machine);
      for (let i = 0; i < recoveries && recovery.states < RECOVERY_STATES && name !== 'tiny'; i += 1) {
        const disk = left[Math.floor(random() * left.length)];
        if (disk !== undefined)
          checkRecovery(recovery, disk, trace.machine.boot + 1, REAL_STEPS, { random, samples: samples / 4, exhaustive: 7 }, 3);
      }
      tally.recoveryStates += recovery.states;
      tally.recoveryDistinct += recovery.distinct;
      tally.recoveryPlain += recovery.plainStates;
      tally.problems.push(...[...checker.problems, ...recovery.problems].map((problem) => `seed ${seed}, ${name}: ${problem}`));
    }
  }
  return tally;
}
