import { formatRange, sameRange, type Range } from '../memory/range.js';
import type { KdumpImage } from '../image/image.js';
import { segmentRange } from '../kexec/segment.js';
import { crashKernelRanges, systemRam } from '../machine/iomem.js';
import { stateOfKernel } from '../machine/kernel-state.js';
import type { MachineState } from '../machine/machine-state.js';
import type { Finding } from './finding.js';

/** What the kernel in whose memory an image lies says of it, and of the state that was given; there is none around a packed image. */
export function kernelFindings(image: KdumpImage, given: MachineState = {}): Finding[] {
  const { kernel, kernelUnknown } = image;
  if (kernelUnknown !== null) {
    return [{ severity: 'info', code: 'loaded-unknown', message: `not known whether this image is loaded: ${kernelUnknown}` }];
  }
  if (kernel === null) return [];
  const why = notLoaded(image);
  return [
    ...(why === null ? [] : [{ severity: 'error', code: 'image-not-loaded', message: why } as const]),
    ...differingState(image, given),
  ];
}

/** Why the image is not the one that the kernel has loaded: options named another. @returns null where it is, or nobody knows */
export function notLoaded({ kernel, segments }: KdumpImage): string | null {
  if (kernel === null) return null;
  const { loadedImage } = kernel;
  const release = `Linux ${kernel.info.release} in this memory`;
  if (loadedImage === null) return `${release} has no kdump image loaded: this is one that was loaded before`;
  const loaded = loadedImage.segments.map(({ mem, memsz }) => ({ start: mem, end: mem + memsz }));
  const isOther = segments.some((segment) => !loaded.some((range) => sameRange(range, segmentRange(segment))));
  return isOther ? `${release} has another kdump image loaded, with segments at ${loaded.map(formatRange).join(', ')}` : null;
}

/** The memory map that was given is of the machine as the kernel sees it, or of another moment or machine. */
function differingState({ kernel }: KdumpImage, { iomem }: MachineState): Finding[] {
  const own = iomem === undefined ? undefined : stateOfKernel(kernel).iomem;
  if (iomem === undefined || own === undefined) return [];
  const differs = [systemRam, crashKernelRanges].some((rangesOf) => !sameRanges(rangesOf(iomem), rangesOf(own)));
  if (!differs) return [];
  const ranges = systemRam(own).map(formatRange).join(', ');
  return [
    {
      severity: 'warning',
      code: 'memory-map-differs',
      message: `the memory map given is not that of the kernel in this memory, which has System RAM at ${ranges}`,
    },
  ];
}

function sameRanges(some: readonly Range[], others: readonly Range[]): boolean {
  return some.length === others.length && some.every((range, index) => sameRange(range, others[index] as Range));
}
