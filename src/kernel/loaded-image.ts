import { KdumpError, hex } from '../errors.js';
import { SMALLEST_PAGE, contains, formatRange, rangeOfSize, type Range } from '../memory/range.js';
import type { Layouts } from './layouts.js';

/** KEXEC_SEGMENT_MAX, include/linux/kexec.h. */
const MAX_SEGMENTS = 16n;
/** KEXEC_TYPE_CRASH, include/linux/kexec.h. */
const TYPE_CRASH = 1;

/** The image that a crash would start, as the kernel has it (struct kimage, include/linux/kexec.h). */
export interface LoadedImage {
  readonly entry: bigint;
  /** In the order of the kernel; `mem` is physical, `bufsz` is what was given. */
  readonly segments: readonly { readonly mem: bigint; readonly memsz: bigint; readonly bufsz: bigint }[];
  /** Whether kexec_file_load loaded it. */
  readonly isFileLoaded: boolean;
  /** Whether the kernel itself keeps the elfcorehdr current; null where it cannot (before Linux 6.5, or without CONFIG_CRASH_HOTPLUG). */
  readonly hotplug: { readonly isSupported: boolean; readonly isUpdated: boolean; readonly elfcorehdrIndex: number } | null;
}

/**
 * @param reserved the crashkernel ranges: no segment lies elsewhere (sanity_check_segment_list() in kernel/kexec_core.c)
 * @throws KdumpError `input` when what lies at `address` is no image for a crash
 */
export function readLoadedImage(layouts: Layouts, address: bigint, reserved: readonly Range[]): LoadedImage {
  const image = layouts.at('kimage', address);
  const count = image.u64('nr_segments');
  if (count === 0n || count > MAX_SEGMENTS || image.flag('type') !== TYPE_CRASH) {
    throw new KdumpError('input', 'what kexec_crash_image names is no image for a crash', {
      found: `${count} segments, type ${image.flag('type')} at ${hex(address)}`,
      expected: `1 to ${MAX_SEGMENTS} segments, type ${TYPE_CRASH}`,
    });
  }
  const first = address + BigInt(image.offset('segment'));
  const size = BigInt(layouts.sizeOf('kexec_segment'));
  const segments = Array.from({ length: Number(count) }, (_, index) => {
    const segment = layouts.at('kexec_segment', first + size * BigInt(index));
    return { mem: segment.u64('mem'), memsz: segment.u64('memsz'), bufsz: segment.u64('bufsz') };
  });
  for (const { mem, memsz, bufsz } of segments) checkSegment(rangeOfSize(mem, memsz), bufsz, reserved);
  const supported = image.has('hotplug_support') ? 'hotplug_support' : 'update_elfcorehdr';
  return {
    entry: image.u64('start'),
    segments,
    isFileLoaded: image.flag('file_mode') === 1,
    hotplug: image.has('elfcorehdr_updated')
      ? {
          isSupported: image.has(supported) && image.flag(supported) === 1,
          isUpdated: image.flag('elfcorehdr_updated') !== 0,
          elfcorehdrIndex: image.s32('elfcorehdr_index'),
        }
      : null,
  };
}

function checkSegment(range: Range, bufsz: bigint, reserved: readonly Range[]): void {
  const isWhole = range.start % SMALLEST_PAGE === 0n && range.end % SMALLEST_PAGE === 0n && bufsz <= range.end - range.start;
  if (isWhole && reserved.some((each) => contains(each, range))) return;
  throw new KdumpError('input', 'the image that kexec_crash_image names has an impossible segment', {
    found: `${formatRange(range)} with ${bufsz} bytes`,
    expected: `whole pages in ${reserved.map(formatRange).join(', ') || 'a crashkernel range'}`,
  });
}

/** A range of `crashk_res` and its like; undefined where nothing is reserved (`start` and `end` 0). */
export function reservedRange(layouts: Layouts, address: bigint | undefined): Range | undefined {
  if (address === undefined) return undefined;
  const resource = layouts.at('resource', address);
  const [start, last] = [resource.u64('start'), resource.u64('end')];
  return last === 0n ? undefined : rangeOfSize(start, last + 1n - start);
}
