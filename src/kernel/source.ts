import type { Range } from '../memory/range.js';

/** Physical memory of a machine, as this folder needs it. */
export interface MemorySource {
  /** Where there is memory, ascending: `size` bytes from `address`, of which those after `fileSize` are zero. */
  readonly extents: readonly { readonly address: bigint; readonly size: bigint; readonly fileSize: bigint }[];
  holds(range: Range): boolean;
  /** @throws KdumpError `input` when the memory is not there */
  readInto(into: Uint8Array, address: bigint): void;
  /** The bytes of `range` in order, in pieces that are valid until the next one is asked for; all but the last are whole pages. */
  chunks(range: Range): Iterable<{ readonly address: bigint; readonly bytes: Uint8Array }>;
}
