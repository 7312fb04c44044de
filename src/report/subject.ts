import type { CheckResult } from '../check/check.js';
import type { ImageDifference } from '../check/diff.js';
import { memoryWanted as memoryWantedOf } from '../check/crash-kernel.js';
import type { MachineState } from '../machine/machine-state.js';
import type { KdumpImage } from '../image/image.js';
import type { Range } from '../memory/range.js';

/** An image and what `check` says about it. */
export interface Checked {
  readonly image: KdumpImage;
  readonly check: CheckResult;
}

/** What `sync` would do about an image that is not current. */
export interface SyncAdvice {
  /** The whole command line that brings the image up to date; null where none does. */
  readonly command: string | null;
  /** Why none does, or what to mind; null for nothing. */
  readonly why: string | null;
}

/** What a report is about. */
export interface ReportSubject extends Checked {
  /** The machine that it was checked against, as far as it was told. */
  readonly state: MachineState;
  /** An earlier image, checked against the same machine, and what differs. */
  readonly before?: (Checked & { readonly difference: ImageDifference }) | undefined;
  /** Null where nothing was found that is not current. */
  readonly sync: SyncAdvice | null;
  /** Of the program. */
  readonly version: string;
}

/** What of the machine a dump should have, in the words of /proc/iomem: all System RAM that is online, without the crashkernel range. */
export function memoryWanted({ image, state }: Pick<ReportSubject, 'image' | 'state'>): Range[] {
  const { iomem } = state;
  return iomem === undefined ? [] : memoryWantedOf(image, { ...state, iomem });
}
