import type { Architecture } from '../../arch/architecture.js';
import type { Range } from '../../memory/range.js';
import type { Description } from '../read-segments.js';
import type { Segment } from '../../kexec/segment.js';

/** A kdump image as it was found in memory. */
export interface FoundImage {
  readonly architecture: Architecture;
  readonly segments: readonly Segment[];
  readonly description: Description;
  readonly crashKernel: Range | null;
  readonly entry: bigint | null;
  readonly isComplete: boolean;
  /** How each thing that is not stated anywhere was derived. */
  readonly provenance: readonly string[];
}
