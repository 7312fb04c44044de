import { FDT_VERSION } from './constants.js';
import { blocksOf, type FdtBlock } from './blocks.js';
import { parseFdtHeader, type FdtHeader } from './header.js';
import { FdtNode } from './node.js';
import { parseReservations, type FdtReservation } from './reservations.js';
import { indexTree, type FdtTree } from './tree.js';

export { FdtNode, type FdtProperty } from './node.js';
export type { FdtReservation } from './reservations.js';

/** A checked device tree blob. It is never changed; editFdt makes a new one. */
export interface Fdt {
  /** Exactly `header.totalSize` bytes, a copy of those that were parsed. */
  readonly bytes: Uint8Array;
  readonly header: FdtHeader;
  /** Offset of the end of the last block; the bytes from here to `totalSize` are free. */
  readonly usedSize: number;
  readonly reservations: readonly FdtReservation[];
  readonly root: FdtNode;
  /** The blocks in their order in the blob. @internal */
  readonly blocks: readonly FdtBlock[];
  /** @internal */
  readonly tree: FdtTree;
  /** The node at a full path, unit addresses included; `/` is the root. */
  node(path: string): FdtNode | undefined;
}

/**
 * Parses and checks a device tree blob in full, in time and memory linear in its size.
 *
 * Source: Devicetree specification v0.4 chapter 5. Checks all that libfdt 1.8 `fdt_check_full` checks, and also that no blocks overlap,
 * that nothing follows FDT_END, that properties precede children, that there are at most 64 levels and that no name passes 255 bytes.
 * Siblings or properties of the same name are accepted here and refused by editFdt in the nodes that it edits. A FIT image (`/images`)
 * is a valid device tree too: the caller decides.
 *
 * @param bytes the blob; may be longer than it, as a segment is: what follows `totalSize` is ignored
 * @param options `oldest`: the oldest version that is read, 16 or, by default, 17, the only one that is edited
 * @throws KdumpError `input`, segment `fdt`, with the offset in the blob
 */
export function parseFdt(bytes: Uint8Array, { oldest = FDT_VERSION }: { readonly oldest?: number } = {}): Fdt {
  const stated = parseFdtHeader(bytes, oldest);
  const blob = new Uint8Array(bytes.subarray(0, stated.totalSize));
  const reservations = parseReservations(blob, stated);
  if (stated.version >= FDT_VERSION) blocksOf(stated, reservations.length);
  const tree = indexTree(blob, stated);
  // Of version 16 only FDT_END tells where the structure block ends.
  const { header } = tree;
  const blocks = blocksOf(header, reservations.length);
  const root = new FdtNode(tree, 0);
  return {
    bytes: blob,
    header,
    usedSize: Math.max(...blocks.map((block) => block.end)),
    reservations,
    root,
    blocks,
    tree,
    node: (path) => nodeAt(root, path),
  };
}

function nodeAt(root: FdtNode, path: string): FdtNode | undefined {
  if (!path.startsWith('/')) return undefined;
  if (path === '/') return root;
  let node: FdtNode | undefined = root;
  for (const name of path.slice(1).split('/')) {
    node = node.child(name);
    if (node === undefined) return undefined;
  }
  return node;
}
