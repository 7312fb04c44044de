import type { KdumpErrorKind } from '../codes.js';

/** What a command came to. One function maps it to an exit code. */
export type Outcome = 'done' | 'differs' | KdumpErrorKind | 'bug';

const EXIT_CODES: Record<Outcome, number> = {
  done: 0,
  differs: 1,
  usage: 2,
  input: 3,
  refused: 4,
  io: 5,
  bug: 5,
};

export function exitCodeOf(outcome: Outcome): number {
  return EXIT_CODES[outcome];
}
