import { printable } from '../errors.js';
import type { FileSystem } from '../file/file-system.js';

/** Work that reads or writes so much that people wonder whether it goes on. */
export interface Work {
  /** What is done: `writing captured.kdump`. */
  readonly what: string;
  readonly counts: 'read' | 'written';
  /** Bytes that will be read or written; asked for only when something is shown. */
  readonly total: () => number;
}

/** Tells people how far long work is. The work knows nothing of it: the bytes that go through the file system are counted. */
export interface Progress {
  during<T>(work: Work, action: () => T): T;
}

export const NO_PROGRESS: Progress = { during: (_, action) => action() };

/** The standard error of a terminal. */
export interface ProgressTerminal {
  readonly fileSystem: FileSystem;
  readonly writeError: (text: string) => void;
  readonly errorColumns?: number | undefined;
}

/** Short work shows nothing. */
const QUIET_AT_FIRST = 500;
const BETWEEN_DRAWINGS = 100;
const REMOVE_LINE = '\r\x1b[K';

interface Running extends Work {
  readonly began: number;
  drawn: number | undefined;
  done: number;
  knownTotal: number | undefined;
}

/** Progress in one line that is drawn again and again, and removed at the end; and the file system whose bytes it counts. */
export function terminalProgress(terminal: ProgressTerminal): { progress: Progress; fileSystem: FileSystem } {
  const { fileSystem: inner, writeError } = terminal;
  const now = (): number => Number(inner.now() / 1_000_000n);
  let running: Running | undefined;

  const count = (kind: Work['counts'], bytes: number): void => {
    if (running?.counts !== kind) return;
    running.done += bytes;
    const time = now();
    if (time - running.began < QUIET_AT_FIRST || time - (running.drawn ?? 0) < BETWEEN_DRAWINGS) return;
    running.drawn = time;
    running.knownTotal ??= running.total();
    // One column stays free: a terminal that wrote its last column may be on the next line.
    const line = describeProgress(running, running.knownTotal, time - running.began).slice(0, (terminal.errorColumns ?? 80) - 1);
    writeError(REMOVE_LINE + line);
  };
  const during = <T>(work: Work, action: () => T): T => {
    running = { ...work, began: now(), drawn: undefined, done: 0, knownTotal: undefined };
    try {
      return action();
    } finally {
      if (running.drawn !== undefined) writeError(REMOVE_LINE);
      running = undefined;
    }
  };
  const counting: Pick<FileSystem, 'read' | 'write' | 'copy'> = {
    read: (descriptor, into, position) => {
      const bytes = inner.read(descriptor, into, position);
      count('read', bytes);
      return bytes;
    },
    write: (descriptor, bytes, position) => {
      inner.write(descriptor, bytes, position);
      count('written', bytes.length);
    },
    copy: (from, to) => {
      inner.copy(from, to, (bytes) => {
        count('written', bytes);
      });
    },
  };
  return { progress: { during }, fileSystem: { ...inner, ...counting } };
}

/** `42%, 1.24 GB/s, 12 s left: writing captured.kdump`, so that a long name is what a narrow terminal cuts off. */
function describeProgress({ what, done }: Pick<Running, 'what' | 'done'>, total: number, milliseconds: number): string {
  const rate = done / (milliseconds / 1000);
  const speed = `${(rate / 1e9).toFixed(2)} GB/s`;
  // More than was thought: memory that looks like headers is read twice.
  const isKnown = done <= total && rate > 0;
  const numbers = isKnown ? `${Math.floor((done / total) * 100)}%, ${speed}, ${duration((total - done) / rate)} left` : speed;
  return `${numbers}: ${printable(what)}`;
}

function duration(seconds: number): string {
  const whole = Math.ceil(seconds);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}
