type Counters = Record<string, number> | Uint32Array;

/** What istanbul counts of one file: how often each function and branch ran. */
interface FileCounts {
  f: Counters;
  readonly b: Record<string, number[] | Uint32Array>;
}

/** What is counted under the name that scripts/fuzz.mjs has istanbul give it. */
export type Coverage = Record<string, FileCounts>;

const BUCKETS = 8;

/**
 * What an input made the code do, as libFuzzer sees it: each counter together with how often it went, in steps of about two. One input gives the
 * same features each time, whatever else the machine does.
 */
export class Features {
  private readonly counters: Uint32Array;
  private readonly seen: Uint8Array;

  /** Has `coverage` counted in one array from here on, which is cleared and read many times as fast as its thousands of objects. */
  constructor(coverage: Coverage) {
    const files = Object.values(coverage);
    const size = ({ f, b }: FileCounts): number => Object.values(b).reduce((sum, each) => sum + each.length, Object.keys(f).length);
    this.counters = new Uint32Array(files.reduce((sum, file) => sum + size(file), 0));
    this.seen = new Uint8Array(this.counters.length * BUCKETS);
    let at = 0;
    const next = (length: number): Uint32Array => this.counters.subarray(at, (at += length));
    for (const file of files) {
      file.f = next(Object.keys(file.f).length);
      for (const key of Object.keys(file.b)) file.b[key] = next(file.b[key]?.length ?? 0);
    }
  }

  /** Counters that were reached at all, and counters with how often. */
  get found(): { branches: number; features: number } {
    const reached = new Set<number>();
    let features = 0;
    for (let at = this.seen.indexOf(1); at >= 0; at = this.seen.indexOf(1, at + 1)) {
      reached.add(Math.floor(at / BUCKETS));
      features += 1;
    }
    return { branches: reached.size, features };
  }

  /** Forgets what ran before the input. */
  clear(): void {
    this.counters.fill(0);
  }

  /** Features of what ran since `clear`. */
  collect(): number[] {
    const { counters } = this;
    const features: number[] = [];
    for (let at = 0; at < counters.length; at += 1) {
      const count = counters[at] as number;
      if (count > 0) features.push(at * BUCKETS + bucketOf(count));
    }
    return features;
  }

  isNew(feature: number): boolean {
    return this.seen[feature] === 0;
  }

  add(features: readonly number[]): void {
    for (const feature of features) this.seen[feature] = 1;
  }
}

/** 1, 2, 3, 4 to 7, 8 to 15, 16 to 31, 32 to 127, more. */
function bucketOf(count: number): number {
  if (count < 4) return count - 1;
  if (count < 128) return count < 8 ? 3 : count < 16 ? 4 : count < 32 ? 5 : 6;
  return 7;
}
