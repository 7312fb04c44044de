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

/** A place where bytes differ, `offset` bytes from the start. */
export interface Difference {
  readonly offset: number;
  readonly before: Uint8Array;
  readonly after: Uint8Array;
}

/** Where `before` and `after`, of one length, differ, ascending; places less than `gap` bytes apart are one. */
export function differences(before: Uint8Array, after: Uint8Array, gap: number): Difference[] {
  const result: Difference[] = [];
  for (let start = firstDifference(before, after, 0); start >= 0;) {
    let end = start + 1;
    // What lies between the end and the last difference within the gap need not be looked at.
    for (let last = start; last >= 0; last = lastDifference(before, after, end, Math.min(end + gap, after.length))) end = last + 1;
    result.push({ offset: start, before: before.subarray(start, end), after: after.subarray(start, end) });
    start = firstDifference(before, after, end);
  }
  return result;
}

/** The first place from `from` on where bytes differ; -1 without one. */
function firstDifference(before: Uint8Array, after: Uint8Array, from: number): number {
  for (let start = from; start < after.length; start += BLOCK) {
    const end = Math.min(after.length, start + BLOCK);
    // Most of a segment never changes, and comparing blocks is many times as fast as comparing bytes.
    if (equalBytes(before.subarray(start, end), after.subarray(start, end))) continue;
    for (let at = start; at < end; at += 1) if (before[at] !== after[at]) return at;
  }
  return -1;
}

/** The last place from `from` up to `to` where bytes differ; -1 without one. */
function lastDifference(before: Uint8Array, after: Uint8Array, from: number, to: number): number {
  for (let at = to - 1; at >= from; at -= 1) if (before[at] !== after[at]) return at;
  return -1;
}

/** How many bytes of `before` and `after`, of one length, differ. */
export function countDifferences(before: Uint8Array, after: Uint8Array): number {
  let count = 0;
  for (const each of differences(before, after, BLOCK)) {
    for (let at = 0; at < each.after.length; at += 1) if (each.before[at] !== each.after[at]) count += 1;
  }
  return count;
}
