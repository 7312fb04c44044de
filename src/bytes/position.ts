import { KdumpError, hex } from '../errors.js';

/**
 * A file position or length as the number that fs calls take.
 *
 * fs.writeSync ignores a position that is not a safe integer and writes at the file's current offset, so every position goes through here.
 *
 * @throws KdumpError `input` when the value is negative or above 2^53 - 1
 */
export function safePosition(value: bigint | number): number {
  const position = Number(value);
  if (!Number.isSafeInteger(position) || position < 0 || BigInt(position) !== BigInt(value)) {
    throw new KdumpError('input', 'file position out of range', { found: hex(value), expected: 'at most 2^53 - 1' });
  }
  return position;
}

/** @throws RangeError when `position` is not a number that a file position can be; a bigint is not one */
export function assertPosition(position: number): void {
  if (!Number.isSafeInteger(position) || position < 0) throw new RangeError(`file position ${position}`);
}
