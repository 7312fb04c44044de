import { KdumpError, hex } from '../errors.js';

/** Of off_t, which positions of files are to the kernel. */
const LAST_POSITION = (1n << 63n) - 1n;

/**
 * A position to read at. It stays a bigint up to the system call: /proc/kcore has memory behind 2^53 where the kernel pages with five levels.
 *
 * @throws KdumpError `input` when the value is negative or above 2^63 - 1; RangeError for a number that is not exact
 */
export function readPosition(value: bigint | number): bigint {
  if (typeof value === 'number') assertPosition(value);
  const position = BigInt(value);
  if (position < 0n || position > LAST_POSITION) throw outOfRange(value, '2^63 - 1, where files end');
  return position;
}

/**
 * A length, or a position to write at, as the number that fs calls take.
 *
 * fs.writeSync ignores a position that is not a safe integer, a bigint among them, and writes at the file's current offset, so every position
 * that is written to goes through here.
 *
 * @throws KdumpError `input` when the value is negative or above 2^53 - 1
 */
export function safePosition(value: bigint | number): number {
  const position = Number(value);
  if (!Number.isSafeInteger(position) || position < 0 || BigInt(position) !== BigInt(value)) throw outOfRange(value, '2^53 - 1');
  return position;
}

function outOfRange(found: bigint | number, expected: string): KdumpError {
  return new KdumpError('input', 'file position out of range', {
    found: hex(found),
    expected: `at most ${expected}`,
    remedy: 'the header that names it is damaged, or of something else than memory: make the file anew',
  });
}

/** @throws RangeError when `position` is not a number that a file position can be; a bigint is not one */
export function assertPosition(position: number): void {
  if (!Number.isSafeInteger(position) || position < 0) throw new RangeError(`file position ${position}`);
}
