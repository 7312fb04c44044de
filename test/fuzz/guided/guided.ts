import { withoutStacks } from '../../helpers/without-stacks.js';
import { LIMIT_MILLISECONDS, finding, isAccepted, type FuzzTarget } from '../fuzz.js';
import { Mutator, type Seed } from '../mutator.js';
import { Random } from '../random.js';
import { MAX_INPUT, readCorpus } from './corpus.js';
import { Features, type Coverage } from './features.js';
import { targets } from '../targets.js';

/*
 * Fuzzing that follows coverage: an input that makes the code do something new is kept, and changed further. scripts/fuzz.mjs runs it on code that
 * counts its branches.
 */

export interface GuidedResult {
  readonly name: string;
  readonly executions: number;
  readonly seconds: number;
  /** Before the first changed input, from the corpus alone, and at the end. */
  readonly branches: readonly [number, number];
  readonly features: readonly [number, number];
  /** Inputs that were kept beside those of the corpus. */
  readonly added: number;
  /** Inputs that it takes, beside the seeds, to reach all that was reached. */
  readonly corpus: readonly Uint8Array[];
}

export { writeCorpus } from './corpus.js';

interface Entry extends Seed {
  readonly features: readonly number[];
  mutator?: Mutator;
}

/** Code that counts takes longer, and the machine may do something else. */
const SLOWER = 8;
const STACK = 20;
/** Executions between two looks at the clock. */
const ROUND = 64;

export function targetNames(): string[] {
  return targets.map((make) => make(1).name);
}

/**
 * Fuzzes one target, from its corpus on.
 *
 * @throws Error with the input, for the first one that breaks a promise
 */
export function fuzzGuided(name: string, seconds: number, seed: number, coverage: Coverage): GuidedResult {
  const target = targets.map((make) => make(seed)).find((each) => each.name === name);
  if (target === undefined) throw new Error(`no target ${name}; there are ${targetNames().join(', ')}`);
  return withoutStacks(() => new GuidedRun(target, seed, new Features(coverage)).run(seconds));
}

class GuidedRun {
  private readonly random: Random;
  private readonly entries: Entry[] = [];
  private executions = 0;

  private readonly target: FuzzTarget;
  private readonly features: Features;

  constructor(target: FuzzTarget, seed: number, features: Features) {
    this.target = target;
    this.features = features;
    this.random = new Random(seed);
  }

  run(seconds: number): GuidedResult {
    const { target, features } = this;
    const known = readCorpus(target.name);
    for (const seed of target.seeds) this.keep(seed.bytes, seed.fields, this.execute(seed.bytes));
    for (const bytes of known) this.keepIfNew(bytes, []);
    const before = features.found;
    const started = performance.now();
    const end = started + seconds * 1000;
    let added = 0;
    while (performance.now() < end) {
      for (let left = ROUND; left > 0; left -= 1) {
        const entry = this.pick();
        if (this.keepIfNew(this.changed(entry), entry.fields)) added += 1;
      }
    }
    const { branches, features: all } = features.found;
    return {
      name: target.name,
      executions: this.executions,
      seconds: (performance.now() - started) / 1000,
      branches: [before.branches, branches],
      features: [before.features, all],
      added,
      corpus: this.smallest(),
    };
  }

  /** Those that were found last are tried most: nobody has looked behind them yet. */
  private pick(): Entry {
    const { random, entries } = this;
    const from = random.below(2) === 0 ? 0 : Math.max(0, entries.length - 16);
    return entries[from + random.below(entries.length - from)] as Entry;
  }

  private changed(entry: Entry): Uint8Array {
    const { target, random, entries } = this;
    entry.mutator ??= new Mutator(random, [entry, random.pick(entries)], target.words);
    const input = entry.mutator.next();
    return target.repair === undefined || random.below(4) === 0 ? input : target.repair(input);
  }

  private keepIfNew(bytes: Uint8Array, fields: Seed['fields']): boolean {
    if (bytes.length > MAX_INPUT) return false;
    const features = this.execute(bytes);
    if (!features.some((each) => this.features.isNew(each))) return false;
    this.keep(bytes, fields, features);
    return true;
  }

  private keep(bytes: Uint8Array, fields: Seed['fields'], features: readonly number[]): void {
    this.features.add(features);
    this.entries.push({ bytes: Uint8Array.from(bytes), fields, features });
  }

  /** @returns what the input made the code do */
  private execute(bytes: Uint8Array): number[] {
    const { target, features } = this;
    // The turn chooses what is done with an accepted input; made of the input, so that the same input always does the same.
    const turn = bytes.length + (bytes[bytes.length >>> 1] ?? 0);
    const input = Uint8Array.from(bytes);
    this.executions += 1;
    features.clear();
    const from = performance.now();
    isAccepted(target, input, turn, STACK);
    const took = performance.now() - from;
    if (took > LIMIT_MILLISECONDS * SLOWER * target.commands) throw finding(target, turn, bytes, `${Math.round(took)} ms`);
    return features.collect();
  }

  /** The smallest inputs first, as many as it takes to have every feature; then without those that later ones made superfluous. */
  private smallest(): Uint8Array[] {
    const sorted = [...this.entries].sort((a, b) => a.bytes.length - b.bytes.length || b.features.length - a.features.length);
    /** By how many of what is kept each feature is had. */
    const have = new Map<number, number>();
    const keep = ({ features }: Entry): void => {
      for (const each of features) have.set(each, (have.get(each) ?? 0) + 1);
    };
    // A seed is made anew each time, and need not be kept.
    for (const entry of this.entries) if (this.target.seeds.some((seed) => Buffer.compare(seed.bytes, entry.bytes) === 0)) keep(entry);
    const kept = sorted.filter((entry) => {
      const isNew = entry.features.some((each) => !have.has(each));
      if (isNew) keep(entry);
      return isNew;
    });
    return kept
      .reverse()
      .filter(({ features }) => {
        const isNeeded = features.some((each) => have.get(each) === 1);
        if (!isNeeded) for (const each of features) have.set(each, (have.get(each) ?? 0) - 1);
        return isNeeded;
      })
      .map(({ bytes }) => bytes);
  }
}
