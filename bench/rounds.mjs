// Round robin: in each round every participant has its turn, so that whatever slows the machine down slows all of them.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { environment } from './peers.mjs';

/** A process that does its work once for each line it gets, and answers nanoseconds and its largest resident set in KiB. */
export class Worker {
  #child;
  #lines;

  constructor(program, words = []) {
    this.#child = spawn(program, words, { stdio: ['pipe', 'pipe', 'inherit'], env: environment });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
    this.name = [program, ...words].join(' ');
  }

  /** @returns the numbers of the answer */
  async ask(line = '') {
    this.#child.stdin.write(`${line}\n`);
    const { value, done } = await this.#lines.next();
    if (done) throw new Error(`${this.name} ended`);
    return value.split(' ').map(Number);
  }

  async end() {
    const ended = new Promise((resolve) => this.#child.once('close', resolve));
    this.#child.stdin.end();
    await ended;
  }
}

/**
 * @param turns by name, functions that do one turn and give its nanoseconds and resident set
 * @param warmUp rounds that do not count; the very first is kept as `first`
 * @returns by name: median, quartiles, first, all in nanoseconds, and the largest resident set in bytes
 */
export async function roundRobin(turns, rounds, warmUp = 1) {
  const times = new Map(Object.keys(turns).map((name) => [name, []]));
  const rss = new Map();
  for (let round = 0; round < rounds + warmUp; round += 1) {
    for (const [name, turn] of Object.entries(turns)) {
      const [nanoseconds, kibibytes] = await turn(round);
      times.get(name).push(nanoseconds);
      rss.set(name, Math.max(rss.get(name) ?? 0, (kibibytes ?? 0) * 1024));
    }
  }
  return Object.fromEntries(
    [...times].map(([name, all]) => {
      const counted = all.slice(warmUp).sort((a, b) => a - b);
      const quantile = (q) => counted[Math.round((counted.length - 1) * q)];
      return [name, { median: quantile(0.5), low: quantile(0.25), high: quantile(0.75), first: all[0], rss: rss.get(name), rounds }];
    }),
  );
}
