import type { SegmentName } from '../image/segment.js';

/** A segment's contents as they are and as they will be, memorySize bytes each. */
export interface SegmentPlan {
  readonly name: SegmentName;
  readonly address: bigint;
  readonly before: Uint8Array;
  readonly after: Uint8Array;
}

/** The places where a segment's bytes change, ascending; runs less than `gap` bytes apart are one. Addresses are physical. */
export function changedRuns(
  { before, after, address }: SegmentPlan,
  gap = 64,
): { address: bigint; before: Uint8Array; after: Uint8Array }[] {
  const runs: { start: number; end: number }[] = [];
  for (let i = 0; i < after.length; i += 1) {
    if (before[i] === after[i]) continue;
    const last = runs.at(-1);
    if (last !== undefined && i - last.end < gap) last.end = i + 1;
    else runs.push({ start: i, end: i + 1 });
  }
  return runs.map(({ start, end }) => ({
    address: address + BigInt(start),
    before: before.subarray(start, end),
    after: after.subarray(start, end),
  }));
}

export function bytesChanged({ before, after }: SegmentPlan): number {
  let count = 0;
  for (let i = 0; i < after.length; i += 1) if (before[i] !== after[i]) count += 1;
  return count;
}
