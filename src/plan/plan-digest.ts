import { KdumpError } from '../errors.js';
import { findDigest, regionDigests } from '../image/digest.js';
import type { KdumpImage } from '../image/image.js';
import { isFileLoaded } from '../image/load-mode.js';
import { overlaps, rangeOfSize } from '../memory/range.js';
import type { Finding } from '../check/finding.js';
import { changedRuns, type SegmentPlan } from './segment-plan.js';

/**
 * - `absent`: the image has no purgatory with a region table
 * - `unaffected`: it covers nothing that changes
 * - `rewritten`
 * - `ignored`: it did not match before, and this purgatory never looks at it
 */
export type DigestOutcome = 'absent' | 'unaffected' | 'rewritten' | 'ignored';

/**
 * The purgatory's digest where it covers what `segments` change. The region table tells that; only then the covered segments are read.
 *
 * @param force goes on although no purgatory was found
 * @throws KdumpError `refused` when the digest covers a change but is not found, so that purgatory would reject the image
 */
export function planDigest(
  image: KdumpImage,
  segments: readonly SegmentPlan[],
  findings: Finding[],
  force: boolean,
): { outcome: DigestOutcome; segment?: SegmentPlan } {
  const runs = segments.flatMap((segment) => changedRuns(segment));
  const { purgatory } = image;
  if (purgatory?.regions == null) {
    if (runs.length > 0 && purgatory?.hasForeignTable === true && !force) {
      throw new KdumpError('refused', "the purgatory's digest covers memory that is no segment of this image", {
        segment: 'purgatory',
        found: 'a region table that names other segments',
        expected: 'the segments of the image',
        remedy: 'the segment table is not the one of this load: give the right one, or reload the image',
        forcible: true,
      });
    }
    if (runs.length > 0 && !image.isComplete && image.architecture.alwaysHasPurgatory === true && !force) {
      throw new KdumpError('refused', 'the purgatory was not found, so its digest might cover what changes', {
        segment: 'purgatory',
        found: 'no region table in the crashkernel range',
        expected: 'one',
        remedy: 'give the segment table with --kexec-log',
        forcible: true,
      });
    }
    if (runs.length > 0 && (purgatory !== null || !image.isComplete)) {
      findings.push({
        severity: 'warning',
        code: 'no-region-table',
        message:
          'the purgatory has no table of the segments that its digest covers: if it checks them after all, it will reject the change',
      });
    }
    return { outcome: 'absent' };
  }
  const { regions } = purgatory.regions;
  const covered = runs.some((run) => regions.some((region) => overlaps(region, rangeOfSize(run.address, BigInt(run.after.length)))));
  if (!covered) return { outcome: 'unaffected' };

  const digests = regionDigests(
    image.memory,
    regions,
    runs.map(({ address, after }) => ({ address, bytes: after })),
  );
  const { address, memsz } = purgatory.segment;
  const before = image.memory.read(address, Number(memsz));
  const at = findDigest(before, digests.before);
  if (at === undefined) {
    if (image.architecture.filePurgatoryIgnoresDigest === true && isFileLoaded(image)) return { outcome: 'ignored' };
    throw new KdumpError('refused', "the purgatory's digest covers what changes, and does not match the image as it is", {
      segment: 'purgatory',
      found: 'no SHA-256 of the covered segments in the segment',
      expected: Buffer.from(digests.before).toString('hex'),
      remedy: 'the image would not boot: reload it, then apply the change',
    });
  }
  const after = new Uint8Array(before);
  after.set(digests.after, at);
  return { outcome: 'rewritten', segment: { name: 'purgatory', address, before, after } };
}
