import { deflateRawSync } from 'node:zlib';
import { KdumpError } from '../../src/errors.js';
import { withoutStacks } from '../helpers/without-stacks.js';
import type { Seed } from './mutator.js';

/** What one parser did with many inputs. */
export interface FuzzResult {
  readonly name: string;
  readonly inputs: number;
  readonly accepted: number;
  /** Whole run. */
  readonly seconds: number;
  /** Milliseconds of the input that took longest. */
  readonly slowest: number;
  /** By how much the memory of the process grew at most, in MiB. */
  readonly memory: number;
}

/** Takes inputs that are made for it one by one. */
export interface FuzzTarget {
  readonly name: string;
  /** Inputs that nobody damaged. */
  readonly seeds: readonly Seed[];
  /** Pieces of text that the format gives a meaning to. */
  readonly words: readonly string[];
  /** Times that the limit on time holds for: what `take` does with one input is what so many commands do. */
  readonly commands: number;
  /** Makes an input, valid until the next one is made. */
  next(): Uint8Array;
  /** Makes a damaged input pass checks that no chance passes, such as a digest over all of it. */
  repair?(input: Uint8Array): Uint8Array;
  /**
   * Whether the input was accepted. @throws KdumpError, and nothing else, when it was not
   *
   * @param turn chooses among things to do with an accepted one
   */
  take(input: Uint8Array, turn: number): boolean;
}

export const LIMIT_MILLISECONDS = 1000;
export const LIMIT_MEBIBYTES = 256;

const CONTROL = /[\p{Cc}\u2028\u2029]/u;
const SAMPLE = 256;

/**
 * Gives `count` inputs to `target`.
 *
 * @throws Error with the input, for the first one that breaks a promise: any other error than a KdumpError, an error message
 *   that is not one printable line, or more than a second
 */
export function fuzz(target: FuzzTarget, count: number): FuzzResult {
  // An error that nobody expects is made a second time for its stack.
  const { stackTraceLimit } = Error;
  return withoutStacks(() => fuzzed(target, count, stackTraceLimit));
}

function fuzzed(target: FuzzTarget, count: number, stackTraceLimit: number): FuzzResult {
  const started = performance.now();
  const before = process.memoryUsage.rss();
  const limit = LIMIT_MILLISECONDS * target.commands;
  let accepted = 0;
  let slowest = 0;
  let memory = 0;
  let done = 0;
  for (; done < count; done += 1) {
    const input = target.next();
    const from = performance.now();
    if (isAccepted(target, input, done, stackTraceLimit)) accepted += 1;
    const took = performance.now() - from;
    if (took > slowest) slowest = took;
    // A busy machine may hold up one input; the processor's time for the same one tells whether it was the input.
    if (took > limit && secondRun(target, input, done) > limit) {
      throw finding(target, done, input, `${Math.round(took)} ms`);
    }
    if (done % SAMPLE === 0) memory = Math.max(memory, process.memoryUsage.rss() - before);
  }
  const result = {
    name: target.name,
    inputs: done,
    accepted,
    seconds: (performance.now() - started) / 1000,
    slowest,
    memory: memory / (1 << 20),
  };
  if (result.memory > LIMIT_MEBIBYTES) throw new Error(`${target.name}: memory grew by ${result.memory} MiB`);
  return result;
}

/**
 * Whether `target` takes the input.
 *
 * @param stackTraceLimit for an error that nobody expects
 * @throws Error with the input, when what is thrown is no KdumpError of one printable line
 */
export function isAccepted(target: FuzzTarget, input: Uint8Array, turn: number, stackTraceLimit: number): boolean {
  try {
    return target.take(input, turn);
  } catch (error) {
    if (!(error instanceof KdumpError)) {
      Error.stackTraceLimit = stackTraceLimit;
      throw finding(target, turn, input, stackOf(target, input, turn) ?? String(error));
    }
    if (CONTROL.test(error.message))
      throw finding(target, turn, input, `a message that is not printable: ${JSON.stringify(error.message)}`);
    return false;
  }
}

export function report(result: FuzzResult): string {
  const { name, inputs, accepted, seconds, slowest, memory } = result;
  const share = ((100 * accepted) / inputs).toFixed(1);
  return `${name}: ${inputs} inputs in ${seconds.toFixed(1)} s (${Math.round(inputs / seconds)}/s), ${share} % accepted, slowest ${slowest.toFixed(1)} ms, ${memory.toFixed(0)} MiB`;
}

function stackOf(target: FuzzTarget, input: Uint8Array, turn: number): string | undefined {
  try {
    target.take(input, turn);
  } catch (error) {
    if (error instanceof Error) return error.stack;
  }
  return undefined;
}

function secondRun(target: FuzzTarget, input: Uint8Array, turn: number): number {
  const from = process.cpuUsage();
  try {
    target.take(input, turn);
  } catch {
    // Judged the first time.
  }
  const { user, system } = process.cpuUsage(from);
  return (user + system) / 1000;
}

export function finding(target: FuzzTarget, index: number, input: Uint8Array, what: string): Error {
  const packed = deflateRawSync(input, { level: 9 }).toString('base64');
  return new Error(`${target.name}, turn ${index}, input of ${input.length} bytes: ${what}\n(raw deflate, base64) ${packed}`);
}
