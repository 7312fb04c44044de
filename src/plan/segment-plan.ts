import { countDifferences, differences } from '../bytes/compare.js';
import type { SegmentName } from '../kexec/segment.js';

/** A segment's contents as they are and as they will be, memsz bytes each. */
export interface SegmentPlan {
  readonly name: SegmentName;
  readonly address: bigint;
  readonly before: Uint8Array;
  readonly after: Uint8Array;
}

/** Bytes between two places that are not worth a write of their own. */
export const GAP = 64;

/** The places where a segment's bytes change, ascending; those less than `GAP` bytes apart are one. Addresses are physical. */
export function changedRuns(plan: SegmentPlan): readonly ChangedRun[] {
  let runs = known.get(plan);
  if (runs === undefined) {
    const { before, after, address } = plan;
    runs = differences(before, after, GAP).map(({ offset, ...bytes }) => ({ address: address + BigInt(offset), ...bytes }));
    known.set(plan, runs);
  }
  return runs;
}

/** Bytes of a segment that change. */
export interface ChangedRun {
  /** Physical. */
  readonly address: bigint;
  readonly before: Uint8Array;
  readonly after: Uint8Array;
}

/** Planning the digest and writing both ask for them, and comparing is most of the work where a table moved. */
const known = new WeakMap<SegmentPlan, readonly ChangedRun[]>();

export function bytesChanged({ before, after }: SegmentPlan): number {
  return countDifferences(before, after);
}
