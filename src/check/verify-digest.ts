import { findDigest, regionDigests } from '../image/digest.js';
import type { KdumpImage } from '../image/image.js';
import type { SegmentName } from '../kexec/segment.js';

/** `absent`: there is no purgatory with a region table; `unchecked`: nobody looked. */
export type DigestStatus = 'match' | 'mismatch' | 'absent' | 'unchecked';

/** Whether the purgatory would accept the image. Reads every covered segment once. */
export function verifyDigest({ memory, purgatory }: KdumpImage): Exclude<DigestStatus, 'unchecked'> {
  if (purgatory?.regions == null) return 'absent';
  const { before } = regionDigests(memory, purgatory.regions.regions, []);
  const bytes = memory.read(purgatory.segment.address, Number(purgatory.segment.memsz));
  return findDigest(bytes, before) === undefined ? 'mismatch' : 'match';
}

/** Names of the segments that the digest covers, in the order they are hashed. */
export function coveredSegments({ segments, purgatory }: KdumpImage): SegmentName[] {
  return (purgatory?.regions?.regions ?? []).flatMap((region) => segments.find(({ address }) => address === region.start)?.name ?? []);
}
