import { dataView } from '../../bytes/byte-order.js';
import type { FdtBlock } from '../blocks.js';
import { FDT_MAX_SIZE, FDT_VERSION } from '../constants.js';
import type { FdtEdit } from './edit-kinds.js';
import type { Fdt } from '../fdt.js';
import { HEADER_OFFSETS } from '../header.js';
import { PropertyLists } from './property-lists.js';
import { WantedNames, growth, reservationSplices, structSplices, type Splice } from './splices.js';
import { refusal, sortEdits } from './sorted-edits.js';
import { StringTable } from './string-table.js';
import { StructWriter } from './struct-writer.js';

export type * from './edit-kinds.js';
export { newNodeFrom, nodeSize, type NewNode } from './new-node.js';

/** What bounds the result of {@link editFdt}. */
export interface FdtEditOptions {
  /** Bytes that the blob may take: the memory size of its segment. */
  readonly capacity: number;
  /**
   * Order in which names that are missing from the strings block are appended to it; names that are not listed follow in the order in which
   * the edits need them. A listed name that no edit needs is not appended.
   */
  readonly nameOrder?: readonly string[] | undefined;
}

/** The blob that {@link editFdt} made. Sizes are bytes. */
export interface FdtEditResult {
  /** The new blob, `totalSize` bytes in a buffer of its own. */
  readonly bytes: Uint8Array;
  readonly totalSize: number;
  /** Offset of the end of the last block. */
  readonly usedSize: number;
  /** Bytes from there to `totalSize`. */
  readonly freeSize: number;
  /** Whether `totalSize` had to grow. A reservation of the blob's own memory gives that size too and is the caller's to change. */
  readonly grown: boolean;
}

/**
 * Applies `edits`, all or none, in one pass over the blob. Everything they do not touch is kept to the byte: NOPs, gaps and order of the
 * blocks, names that nobody uses any more, padding. Later blocks move when an earlier one changes its size; bytes freed at the end are
 * zeroed, padding of what is inserted is zero. Edits that change nothing give the same bytes.
 *
 * `totalSize` stays while the result fits into it; else it grows to what is needed, rounded up to 8 bytes, within `capacity`.
 * The rules of libfdt that readers of the blob may know are kept: place of new nodes aside (see AddNode), names are shared with the lowest
 * match in the strings block, which never shrinks (`fdt_add_subnode`, `fdt_setprop`, `fdt_del_node` in fdt_rw.c).
 *
 * @param edits all refer to the tree as it was before any of them
 * @throws KdumpError `refused` when an edit does not suit the tree or contradicts another one; with the code `no-room` when the result does not fit
 */
export function editFdt(fdt: Fdt, edits: readonly FdtEdit[], options: FdtEditOptions): FdtEditResult {
  if (fdt.header.version !== FDT_VERSION) {
    throw refusal('device tree is of a version that cannot be edited', { found: `${fdt.header.version}`, expected: `${FDT_VERSION}` });
  }
  const lists = new PropertyLists(fdt.bytes.length, options.capacity);
  const sorted = sortEdits(fdt, edits, lists);
  const needed = new WantedNames(lists);
  const struct = structSplices(fdt, sorted, needed);
  const reservations = reservationSplices(fdt, sorted);
  const { offStrings, sizeStrings } = fdt.header;
  const names = new StringTable(fdt.bytes.subarray(offStrings, offStrings + sizeStrings), inOrder(needed.names, options.nameOrder ?? []));
  const strings = appending(names.appended, offStrings + sizeStrings);

  const splices: Record<FdtBlock['field'], readonly Splice[]> = { offStruct: struct, offReserveMap: reservations, offStrings: strings };
  const placed = placeBlocks(fdt, splices);
  const usedSize = Math.max(...placed.map(({ end }) => end));
  const totalSize = fittingSize(fdt, usedSize, options.capacity);

  const bytes = new Uint8Array(totalSize);
  const writer = new StructWriter(bytes, 0, names, lists);
  let cursor = 0;
  for (const { block, start } of placed) {
    writer.copy(fdt.bytes, cursor, block.start);
    writer.position = start;
    cursor = block.start;
    for (const splice of splices[block.field]) {
      writer.copy(fdt.bytes, cursor, splice.offset);
      splice.write(writer);
      cursor = splice.offset + splice.removed;
    }
    writer.copy(fdt.bytes, cursor, block.end);
    cursor = block.end;
  }
  const tail = Math.max(fdt.usedSize, usedSize);
  if (tail < fdt.bytes.length) bytes.set(fdt.bytes.subarray(tail), tail);
  writeHeader(bytes, placed, totalSize);
  return { bytes, totalSize, usedSize, freeSize: totalSize - usedSize, grown: totalSize > fdt.header.totalSize };
}

interface PlacedBlock {
  readonly block: FdtBlock;
  /** In the new blob. */
  readonly start: number;
  readonly end: number;
}

/** Gaps between blocks stay, with up to seven bytes more where alignment asks for them. */
function placeBlocks(fdt: Fdt, splices: Record<FdtBlock['field'], readonly Splice[]>): PlacedBlock[] {
  let shift = 0;
  return fdt.blocks.map((block) => {
    shift = Math.ceil(shift / block.alignment) * block.alignment;
    const start = block.start + shift;
    shift += growth(splices[block.field]);
    return { block, start, end: block.end + shift };
  });
}

function fittingSize(fdt: Fdt, usedSize: number, capacity: number): number {
  const { totalSize } = fdt.header;
  if (capacity < totalSize) {
    throw refusal('device tree is larger than its segment', { found: `${totalSize} bytes`, expected: `at most ${capacity} bytes` });
  }
  if (usedSize <= totalSize) return totalSize;
  const limit = Math.min(capacity, FDT_MAX_SIZE);
  if (usedSize > limit) {
    throw refusal('no room for the change in the device tree', {
      code: 'no-room',
      found: `${usedSize} bytes needed`,
      expected: `at most ${limit} bytes available`,
      remedy: 'reload the kdump image with a larger reservation for its device tree',
    });
  }
  return Math.min(Math.ceil(usedSize / 8) * 8, limit);
}

function writeHeader(bytes: Uint8Array, placed: readonly PlacedBlock[], totalSize: number): void {
  const view = dataView(bytes);
  view.setUint32(HEADER_OFFSETS.totalSize, totalSize);
  for (const { block, start, end } of placed) {
    view.setUint32(HEADER_OFFSETS[block.field], start);
    if (block.field === 'offStruct') view.setUint32(HEADER_OFFSETS.sizeStruct, end - start);
    else if (block.field === 'offStrings') view.setUint32(HEADER_OFFSETS.sizeStrings, end - start);
  }
}

function inOrder(needed: ReadonlySet<string>, order: readonly string[]): ReadonlySet<string> {
  return order.length === 0 ? needed : new Set([...order.filter((name) => needed.has(name)), ...needed]);
}

function appending(bytes: Uint8Array, offset: number): Splice[] {
  if (bytes.length === 0) return [];
  return [
    {
      offset,
      removed: 0,
      size: bytes.length,
      write: (writer) => {
        writer.copy(bytes, 0, bytes.length);
      },
    },
  ];
}
