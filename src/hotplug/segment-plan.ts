import { countDifferences, differences } from '../bytes/compare.js';
import type { SegmentName } from '../image/segment.js';

/** A segment's contents as they are and as they will be, memorySize bytes each. */
export interface SegmentPlan {
  readonly name: SegmentName;
  readonly address: bigint;
  readonly before: Uint8Array;
  readonly after: Uint8Array;
}

/** Bytes between two places that are not worth a write of their own. */
export const GAP = 64;

/** The places where a segment's bytes change, ascending; those less than {@link GAP} bytes apart are one. Addresses are physical. */
export function changedRuns({ before, after, address }: SegmentPlan): { address: bigint; before: Uint8Array; after: Uint8Array }[] {
  return differences(before, after, GAP).map(({ offset, ...bytes }) => ({ address: address + BigInt(offset), ...bytes }));
}

export function bytesChanged({ before, after }: SegmentPlan): number {
  return countDifferences(before, after);
}
