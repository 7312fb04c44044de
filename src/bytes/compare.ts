export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

const BLOCK = 4096;
const ZEROS = new Uint8Array(BLOCK);

/** Index of the first byte that is not zero; -1 where all are. */
export function firstNonZero(bytes: Uint8Array): number {
  for (let start = 0; start < bytes.length; start += BLOCK) {
    const block = bytes.subarray(start, start + BLOCK);
    if (equalBytes(block, ZEROS.subarray(0, block.length))) continue;
    for (let at = start; at < bytes.length; at += 1) if (bytes[at] !== 0) return at;
  }
  return -1;
}

/** Number of leading bytes of `bytes` once its trailing zeros are left away. */
export function lengthWithoutTrailingZeros(bytes: Uint8Array): number {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end -= 1;
  return end;
}

/** `bytes` zero-padded or cut to exactly `length` bytes, in a buffer of its own. */
export function resized(bytes: Uint8Array, length: number): Uint8Array {
  const result = new Uint8Array(length);
  result.set(bytes.subarray(0, length));
  return result;
}

/** A place where bytes differ, `offset` bytes from the start. */
export interface Difference {
  readonly offset: number;
  readonly before: Uint8Array;
  readonly after: Uint8Array;
}

/** Where `before` and `after`, of one length, differ, ascending; places less than `gap` bytes apart are one. */
export function differences(before: Uint8Array, after: Uint8Array, gap: number): Difference[] {
  const runs: { start: number; end: number }[] = [];
  let last: { start: number; end: number } | undefined;
  const [wordsBefore, wordsAfter] = [wordsOf(before), wordsOf(after)];
  for (const block of differingBlocks(before, after)) {
    for (let i = block.start; i < block.end; i += 1) {
      if ((i & 3) === 0) while (i + 4 <= block.end && wordsBefore[i >>> 2] === wordsAfter[i >>> 2]) i += 4;
      if (i === block.end || before[i] === after[i]) continue;
      if (last !== undefined && i - last.end < gap) last.end = i + 1;
      else runs.push((last = { start: i, end: i + 1 }));
    }
  }
  return runs.map(({ start, end }) => ({ offset: start, before: before.subarray(start, end), after: after.subarray(start, end) }));
}

function wordsOf(bytes: Uint8Array): Uint32Array {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : Uint8Array.from(bytes);
  return new Uint32Array(aligned.buffer, aligned.byteOffset, aligned.length >>> 2);
}

/** How many bytes of `before` and `after`, of one length, differ. */
export function countDifferences(before: Uint8Array, after: Uint8Array): number {
  let count = 0;
  for (const { start, end } of differingBlocks(before, after)) {
    for (let i = start; i < end; i += 1) if (before[i] !== after[i]) count += 1;
  }
  return count;
}

/** The blocks that are not the same in both. Most of a segment never changes, and comparing blocks is many times as fast as comparing bytes. */
function* differingBlocks(before: Uint8Array, after: Uint8Array): Generator<{ start: number; end: number }> {
  for (let start = 0; start < after.length; start += BLOCK) {
    const end = Math.min(after.length, start + BLOCK);
    if (!equalBytes(before.subarray(start, end), after.subarray(start, end))) yield { start, end };
  }
}
