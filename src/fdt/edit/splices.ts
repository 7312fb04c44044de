import { equalBytes } from '../../bytes/compare.js';
import { PROPERTY_HEADER_SIZE, RESERVATION_SIZE, TOKEN_SIZE, padded } from '../constants.js';
import type { AddNode, PropertyEdit, ReplaceProperties } from './edit-kinds.js';
import type { Fdt } from '../fdt.js';
import { nodeSize, propertiesSize, type NewNode } from './new-node.js';
import { FdtNode, childIndexes, column, findProperty, propertyValue, type FdtProperty } from '../node.js';
import type { PropertyLists } from './property-lists.js';
import type { SortedEdits } from './sorted-edits.js';
import type { StructWriter } from './struct-writer.js';
import type { FdtTree } from '../tree.js';

/** `removed` bytes from `offset` of the old blob give way to `size` bytes that `write` writes. */
export interface Splice {
  readonly offset: number;
  readonly removed: number;
  readonly size: number;
  readonly write: (writer: StructWriter) => void;
}

/** What stands first where several splices begin at one offset: a node's properties, then its children, then what is removed behind them. */
type Rank = 0 | 1 | 2 | 3;

interface RankedSplice extends Splice {
  readonly rank: Rank;
}

/** Names of properties to be written, in the order in which they are to be put into the strings block where they are not there. */
export class WantedNames {
  readonly names: Set<string> = new Set();
  private readonly added = new Set<readonly string[]>();

  readonly lists: PropertyLists;

  constructor(lists: PropertyLists) {
    this.lists = lists;
  }

  add(name: string): void {
    this.names.add(name);
  }

  addAll(properties: readonly FdtProperty[]): void {
    const { names } = this.lists.of(properties);
    if (this.added.has(names)) return;
    this.added.add(names);
    for (const name of names) this.names.add(name);
  }
}

const nothing = (): void => undefined;

/** The splices of the structure block, ascending. Edits that change nothing give none. Adds to `wanted` the names that `write` will ask for. */
export function structSplices(fdt: Fdt, edits: SortedEdits, wanted: WantedNames): Splice[] {
  const { tree } = fdt;
  const splices: RankedSplice[] = [];
  for (const index of edits.removals.keys()) {
    const offset = column(tree.nodeStart, index);
    splices.push({ offset, removed: column(tree.nodeEnd, index) + TOKEN_SIZE - offset, size: 0, rank: 3, write: nothing });
  }
  for (const [node, list] of edits.properties) for (const edit of list) spliceProperty(tree, node, edit, splices, wanted);
  for (const [node, edit] of edits.replacements) spliceProperties(tree, node, edit, splices, wanted);
  for (const [parent, list] of edits.additions) spliceAdditions(tree, parent, list, splices, wanted);
  return splices.sort((a, b) => a.offset - b.offset || a.rank - b.rank);
}

/** The splices of the memory reservation block, ascending. */
export function reservationSplices(fdt: Fdt, { reservations }: SortedEdits): Splice[] {
  const start = fdt.header.offReserveMap;
  return reservations
    .filter((edit) => {
      if (edit.kind === 'addReservation') return true;
      const present = fdt.reservations[edit.index];
      return present?.address !== edit.address || present.size !== edit.size;
    })
    .map((edit) => {
      const adds = edit.kind === 'addReservation';
      return {
        offset: start + (adds ? fdt.reservations.length : edit.index) * RESERVATION_SIZE,
        removed: adds ? 0 : RESERVATION_SIZE,
        size: RESERVATION_SIZE,
        write: (writer: StructWriter): void => {
          writer.reservation(edit.address, edit.size);
        },
      };
    })
    .sort((a, b) => a.offset - b.offset);
}

/** By how much `splices` lengthen what they are applied to. */
export function growth(splices: readonly Splice[]): number {
  return splices.reduce((sum, { size, removed }) => sum + size - removed, 0);
}

function spliceProperty(tree: FdtTree, node: number, edit: PropertyEdit, splices: RankedSplice[], wanted: WantedNames): void {
  const property = findProperty(tree, node, edit.name);
  if (property === undefined) {
    if (edit.kind === 'removeProperty') return;
    wanted.add(edit.name);
    splices.push({
      offset: propertiesEnd(tree, node),
      removed: 0,
      size: propertiesSize([edit]),
      rank: 0,
      write: (writer) => {
        writer.property(edit);
      },
    });
    return;
  }
  const offset = column(tree.propertyStart, property);
  const removed = propertyEnd(tree, property) - offset;
  if (edit.kind === 'removeProperty') splices.push({ offset, removed, size: 0, rank: 3, write: nothing });
  else if (!equalBytes(propertyValue(tree, property), edit.value)) {
    const nameOffset = tree.view.getUint32(offset + 8);
    splices.push({
      offset,
      removed,
      size: propertiesSize([edit]),
      rank: 3,
      write: (writer) => {
        writer.property(edit, nameOffset);
      },
    });
  }
}

function spliceProperties(
  tree: FdtTree,
  node: number,
  { properties }: ReplaceProperties,
  splices: RankedSplice[],
  wanted: WantedNames,
): void {
  if (sameProperties(new FdtNode(tree, node).properties(), properties)) return;
  wanted.addAll(properties);
  const start = column(tree.nameEnd, node);
  const runs = propertyRuns(tree, node);
  // The first run usually begins behind the name, and then one splice does it all. NOPs among the properties stay.
  const first = runs[0]?.start === start ? runs.shift() : undefined;
  splices.push({
    offset: start,
    removed: first === undefined ? 0 : first.end - start,
    size: propertiesSize(properties),
    rank: 0,
    write: (writer) => {
      writer.properties(properties);
    },
  });
  for (const run of runs) splices.push({ offset: run.start, removed: run.end - run.start, size: 0, rank: 3, write: nothing });
}

function spliceAdditions(tree: FdtTree, parent: number, additions: readonly AddNode[], splices: RankedSplice[], wanted: WantedNames): void {
  let lastChild: number | undefined;
  for (const child of childIndexes(tree, parent)) lastChild = child;
  const beforeChildren = lastChild === undefined ? column(tree.nodeEnd, parent) : column(tree.nodeStart, parent + 1);
  const behindChildren = lastChild === undefined ? beforeChildren : behind(tree, lastChild);
  for (const { after, node } of additions) {
    addNames(node, wanted);
    const [offset, rank]: [number, Rank] =
      after === undefined ? [behindChildren, 2] : after === 'properties' ? [beforeChildren, 1] : [behind(tree, after.index), 1];
    splices.push({
      offset,
      removed: 0,
      size: nodeSize(node, (properties) => wanted.lists.of(properties).size),
      rank,
      write: (writer) => {
        writer.node(node);
      },
    });
  }
}

function addNames(node: NewNode, wanted: WantedNames): void {
  wanted.addAll(node.properties);
  for (const child of node.children ?? []) addNames(child, wanted);
}

function sameProperties(present: readonly FdtProperty[], wanted: readonly FdtProperty[]): boolean {
  return (
    present.length === wanted.length &&
    wanted.every(({ name, value }, i) => {
      const other = present[i];
      return other?.name === name && equalBytes(other.value, value);
    })
  );
}

/** The node's properties as ranges of offsets, with adjacent ones joined. */
function propertyRuns(tree: FdtTree, node: number): { start: number; end: number }[] {
  const runs: { start: number; end: number }[] = [];
  const end = column(tree.firstProperty, node + 1);
  for (let property = column(tree.firstProperty, node); property < end; property += 1) {
    const start = column(tree.propertyStart, property);
    const last = runs.at(-1);
    if (last?.end === start) last.end = propertyEnd(tree, property);
    else runs.push({ start, end: propertyEnd(tree, property) });
  }
  return runs;
}

function propertyEnd(tree: FdtTree, property: number): number {
  const start = column(tree.propertyStart, property);
  return start + PROPERTY_HEADER_SIZE + padded(tree.view.getUint32(start + 4));
}

/** Offset behind the node's last property, or behind its name. */
function propertiesEnd(tree: FdtTree, node: number): number {
  const end = column(tree.firstProperty, node + 1);
  return end === column(tree.firstProperty, node) ? column(tree.nameEnd, node) : propertyEnd(tree, end - 1);
}

function behind(tree: FdtTree, node: number): number {
  return column(tree.nodeEnd, node) + TOKEN_SIZE;
}
