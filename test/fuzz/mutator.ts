import type { Random } from './random.js';

/** A number in a binary format. */
export interface Field {
  readonly offset: number;
  readonly width: 2 | 4 | 8;
  readonly little: boolean;
}

/** A good input, and what in it is worth changing. */
export interface Seed {
  readonly bytes: Uint8Array;
  readonly fields: readonly Field[];
}

/** Values that parsers have stumbled over: around 0, around the limits of each width, sizes of the formats here. */
const VALUES = [
  0n,
  1n,
  2n,
  3n,
  4n,
  7n,
  8n,
  9n,
  16n,
  39n,
  40n,
  55n,
  56n,
  57n,
  63n,
  64n,
  65n,
  255n,
  256n,
  0xfffn,
  0x1000n,
  0x1001n,
  0x7fffn,
  0x8000n,
  0xfffen,
  0xffffn,
  0x10000n,
  0x7ffffff8n,
  0x7fffffffn,
  0x80000000n,
  0xfffffff8n,
  0xffffffffn,
  0x100000000n,
  (1n << 53n) - 1n,
  1n << 53n,
  (1n << 63n) - 1n,
  1n << 63n,
  (1n << 64n) - 0x1000n,
  (1n << 64n) - 56n,
  (1n << 64n) - 1n,
];

/** Makes damaged inputs of good ones. The result of `next` is valid until the next call. */
export class Mutator {
  private readonly scratch: Uint8Array;
  private readonly hot: readonly number[][];
  private length = 0;

  private readonly random: Random;
  private readonly seeds: readonly Seed[];
  private readonly words: readonly string[];

  constructor(random: Random, seeds: readonly Seed[], words: readonly string[] = []) {
    this.random = random;
    this.seeds = seeds;
    this.words = words;
    const longest = Math.max(...seeds.map(({ bytes }) => bytes.length));
    this.scratch = new Uint8Array(longest * 2 + 4096);
    // Images are mostly zeros, and a byte changed there says little.
    this.hot = seeds.map(({ bytes }) => [...bytes.keys()].filter((at) => bytes[at] !== 0));
  }

  next(): Uint8Array {
    const { random, scratch } = this;
    const which = random.below(this.seeds.length);
    const seed = this.seeds[which] as Seed;
    scratch.set(seed.bytes);
    this.length = seed.bytes.length;
    const hot = this.hot[which] ?? [];
    for (let left = 1 + random.below(3); left > 0; left -= 1) this.mutate(seed, hot);
    return scratch.subarray(0, this.length);
  }

  private mutate(seed: Seed, hot: readonly number[]): void {
    const { random, scratch } = this;
    const at = this.place(hot);
    const size = 1 + random.below(random.below(4) === 0 ? 256 : 16);
    switch (random.below(this.words.length > 0 ? 14 : 12)) {
      case 0:
        scratch[at] = (scratch[at] ?? 0) ^ (1 << random.below(8));
        return;
      case 1:
        scratch[at] = random.word() & 0xff;
        return;
      case 2:
        scratch[at] = Number(random.pick(VALUES) & 0xffn);
        return;
      case 3:
        this.put({ offset: at & ~3, width: random.pick([2, 4, 8] as const), little: random.below(2) === 0 }, this.value(0n));
        return;
      case 4:
      case 5:
      case 6:
        if (seed.fields.length > 0) {
          const field = random.pick(seed.fields);
          this.put(field, this.value(this.get(field)));
        }
        return;
      case 7:
        if (seed.fields.length > 0) this.put(random.pick(seed.fields), this.get(random.pick(seed.fields)));
        return;
      case 8:
        if (random.below(4) === 0) this.length = random.below(this.length + 1);
        return;
      case 9: {
        // A piece of another input, or of this one at another place.
        const from = random.pick(this.seeds).bytes;
        const start = random.below(from.length);
        scratch.set(from.subarray(start, Math.min(start + size, start + this.length - at)), at);
        return;
      }
      case 10:
        scratch.fill(random.below(2) === 0 ? 0 : random.word() & 0xff, at, Math.min(at + size, this.length));
        return;
      case 11:
        this.move(at, size);
        return;
      default: {
        const word = Buffer.from(random.pick(this.words), 'latin1');
        if (random.below(2) === 0) this.insert(at, word.length);
        scratch.set(word.subarray(0, Math.max(0, this.length - at)), at);
      }
    }
  }

  private place(hot: readonly number[]): number {
    const { random } = this;
    const at = hot.length > 0 && random.below(4) > 0 ? random.pick(hot) + random.below(9) - 4 : random.below(this.length);
    return Math.min(Math.max(at, 0), Math.max(this.length - 1, 0));
  }

  private value(now: bigint): bigint {
    const { random } = this;
    switch (random.below(4)) {
      case 0:
        return now + BigInt(random.below(129) - 64);
      case 1:
        return BigInt(this.length) + BigInt(random.below(17) - 8);
      case 2:
        return (BigInt(random.word()) << 32n) | BigInt(random.word());
      default:
        return random.pick(VALUES);
    }
  }

  private get({ offset, width, little }: Field): bigint {
    let value = 0n;
    for (let i = 0; i < width; i += 1) value = (value << 8n) | BigInt(this.scratch[offset + (little ? width - 1 - i : i)] ?? 0);
    return value;
  }

  private put({ offset, width, little }: Field, value: bigint): void {
    if (offset + width > this.length) return;
    let rest = BigInt.asUintN(8 * width, value);
    for (let i = 0; i < width; i += 1) {
      this.scratch[offset + (little ? i : width - 1 - i)] = Number(rest & 0xffn);
      rest >>= 8n;
    }
  }

  /** Takes `size` bytes away, or puts them in a second time. */
  private move(at: number, size: number): void {
    if (this.random.below(2) === 0) {
      this.scratch.copyWithin(at, Math.min(at + size, this.length), this.length);
      this.length = Math.max(at, this.length - size);
    } else this.insert(at, size);
  }

  private insert(at: number, size: number): void {
    if (this.length + size > this.scratch.length) return;
    this.scratch.copyWithin(at + size, at, this.length);
    this.length += size;
  }
}
