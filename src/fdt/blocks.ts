import { hex } from '../errors.js';
import { RESERVATION_SIZE, RESERVATION_ALIGNMENT, STRUCT_ALIGNMENT } from './constants.js';
import { fdtError } from './fdt-error.js';
import { HEADER_OFFSETS, type FdtHeader } from './header.js';

/** One of the three blocks of a blob: from `start` up to `end`, in bytes from the first byte of the blob. */
export interface FdtBlock {
  readonly field: 'offReserveMap' | 'offStruct' | 'offStrings';
  readonly name: string;
  readonly start: number;
  readonly end: number;
  readonly alignment: number;
}

/**
 * The blocks in their order in the blob, checked not to overlap: libfdt accepts blocks that share bytes, but an edit of one would
 * then damage the other.
 *
 * @param reservationCount entries of the memory reservation block without its terminator
 * @throws KdumpError `input` when two blocks overlap
 */
export function blocksOf(header: FdtHeader, reservationCount: number): FdtBlock[] {
  const { offReserveMap, offStruct, sizeStruct, offStrings, sizeStrings } = header;
  const blocks: FdtBlock[] = [
    {
      field: 'offReserveMap',
      name: 'memory reservation block',
      start: offReserveMap,
      end: offReserveMap + (reservationCount + 1) * RESERVATION_SIZE,
      alignment: RESERVATION_ALIGNMENT,
    },
    { field: 'offStruct', name: 'structure block', start: offStruct, end: offStruct + sizeStruct, alignment: STRUCT_ALIGNMENT },
    { field: 'offStrings', name: 'strings block', start: offStrings, end: offStrings + sizeStrings, alignment: 1 },
  ];
  blocks.sort((a, b) => a.start - b.start || a.end - b.end);
  for (const [index, block] of blocks.entries()) {
    const previous = blocks[index - 1];
    if (previous !== undefined && block.start < previous.end) {
      throw fdtError(`${previous.name} and ${block.name} overlap`, HEADER_OFFSETS[block.field], {
        found: block.start,
        expected: `at least ${hex(previous.end)}`,
      });
    }
  }
  return blocks;
}
