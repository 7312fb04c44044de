import type { Architecture } from '../arch/architecture.js';
import type { Elfcorehdr } from '../elf/elfcorehdr.js';
import type { Fdt } from '../fdt/fdt.js';
import type { RunningKernel } from '../kernel/running-kernel.js';
import type { KdumpFdtFacts } from './chosen.js';
import type { Range } from '../memory/range.js';
import type { PhysicalMemory } from '../memory-source/physical-memory.js';
import type { ImageFormat } from '../container/recognise.js';
import type { RegionTable } from '../kexec/region-table.js';
import type { Segment, SegmentName } from '../kexec/segment.js';

/** A loaded kdump image: its segments and what the ones that describe the machine say. Large segments are not read. */
export interface KdumpImage {
  readonly format: ImageFormat;
  readonly architecture: Architecture;
  readonly memory: PhysicalMemory;
  /** Ascending by address. */
  readonly segments: readonly Segment[];
  /**
   * The memory reserved with crashkernel=, ascending, as far as the image names it, its elfcorehdr shows it, or the caller told: the range that holds
   * the segments, one below 4 GiB beside one above, those of `crashkernel=…,cma`. Empty where unknown.
   */
  readonly crashKernelRanges: readonly Range[];
  /** The one of `crashKernelRanges` that holds the elfcorehdr; null where unknown. */
  readonly crashKernel: Range | null;
  /** kexec entry point, where known. */
  readonly entry: bigint | null;
  /** The largest page size of the architecture that all segments are aligned to. */
  readonly pageSize: bigint | null;
  readonly elfcorehdr: { readonly segment: Segment; readonly contents: Elfcorehdr };
  readonly fdt: { readonly segment: Segment; readonly tree: Fdt; readonly facts: KdumpFdtFacts } | null;
  /** `hasForeignTable`: it has a region table, but one that names memory which is no segment here. */
  readonly purgatory: { readonly segment: Segment; readonly regions: RegionTable | null; readonly hasForeignTable: boolean } | null;
  /** Whether `segments` is the whole table; false when they were found by their content, which may have missed one. */
  readonly isComplete: boolean;
  /** The kernel in whose memory the image lies; null where there is none, or it cannot be read. @internal */
  readonly kernel: RunningKernel | null;
  /** Why it cannot be read, so that nobody knows whether the image is loaded; null where it can, and where it is not asked: of packed images. */
  readonly kernelUnknown: string | null;
  /** How each thing that is not stated anywhere was derived. */
  readonly provenance: readonly string[];
  /** Whether a patch of the file was interrupted: this is what `recover` will make of it. Null where its journal could not be looked for. */
  readonly isInterrupted: boolean | null;
}

export function segmentNamed(image: Pick<KdumpImage, 'segments'>, name: SegmentName): Segment | undefined {
  return image.segments.find((segment) => segment.name === name);
}
