import { KdumpError, hex } from '../errors.js';
import { byAddress, formatRange, overlaps, rangeOfSize, type Range } from '../memory/range.js';

export const SEGMENT_NAMES = ['kernel', 'initrd', 'elfcorehdr', 'fdt', 'purgatory', 'backup', 'boot-params', 'other'] as const;

/**
 * What a kexec segment is for.
 *
 * @useDeclaredType
 */
export type SegmentName = (typeof SEGMENT_NAMES)[number];

/** What images, manifests and command lines of version 0.1 call `boot-params`, which holds much more than the command line. */
const FORMER_BOOT_PARAMS = 'cmdline';

/** The segment name that `text` is, undefined where it is none. */
export function segmentNameOf(text: unknown): SegmentName | undefined {
  return text === FORMER_BOOT_PARAMS ? 'boot-params' : SEGMENT_NAMES.find((name) => name === text);
}

/** A kexec segment (struct kexec_segment, include/uapi/linux/kexec.h). */
export interface Segment {
  readonly name: SegmentName;
  /** `mem`: physical address. */
  readonly address: bigint;
  /** `memsz`: bytes in memory. */
  readonly memsz: bigint;
  /** `bufsz`: bytes given at load, the rest of memsz is zero; null where the source does not tell. */
  readonly bufsz: bigint | null;
}

/** Bounds what a damaged table can make the program read, write or hash. */
const MAX_SEGMENT = 1n << 40n;
/** The elfcorehdr and the FDT are held in memory; e_phnum ends at 3.5 MiB, and 8,192 CPU nodes are 9 MiB. */
export const MAX_DESCRIPTION: bigint = 64n << 20n;
/** A purgatory is a few pages; larger segments are not searched for its region table. */
export const MAX_PURGATORY: bigint = 1n << 20n;

/** KEXEC_SEGMENT_MAX, include/linux/kexec.h and include/uapi/linux/kexec.h; so many regions the purgatory's table has, too. */
export const MAX_SEGMENTS = 16;

export function segmentRange(segment: Pick<Segment, 'address' | 'memsz'>): Range {
  return rangeOfSize(segment.address, segment.memsz);
}

/**
 * `segments` ascending by address.
 *
 * @throws KdumpError `input` when two overlap, one is empty, or a name that can occur once occurs twice
 */
export function checkedSegments<T extends Pick<Segment, 'address' | 'memsz'> & { name?: SegmentName | undefined }>(
  segments: readonly T[],
): T[] {
  const sorted = [...segments].sort(byAddress);
  sorted.forEach((segment, index) => {
    const range = segmentRange(segment);
    const most = segment.name === 'elfcorehdr' || segment.name === 'fdt' ? MAX_DESCRIPTION : MAX_SEGMENT;
    if (segment.memsz > most) {
      throw new KdumpError('input', 'the segment is larger than any can be', {
        segment: segment.name ?? 'segment table',
        found: hex(segment.memsz),
        expected: `at most ${hex(most)}`,
      });
    }
    const next = sorted[index + 1];
    if (next !== undefined && overlaps(range, segmentRange(next))) {
      throw new KdumpError('input', 'two segments overlap', {
        segment: segment.name ?? 'segment table',
        found: `${formatRange(range)} and ${formatRange(segmentRange(next))}${next.name === undefined ? '' : ` (${next.name})`}`,
      });
    }
    if (segment.name !== undefined && segment.name !== 'other' && sorted.slice(index + 1).some(({ name }) => name === segment.name)) {
      throw new KdumpError('input', `two segments are named ${segment.name}`, { segment: segment.name });
    }
  });
  return sorted;
}
