import { PROPERTY_HEADER_SIZE, TOKEN_SIZE } from './constants.js';
import { latin1 } from './latin1.js';
import type { FdtTree } from './tree.js';

/** A property of a node. */
export interface FdtProperty {
  /** One character a byte (latin1). */
  readonly name: string;
  readonly value: Uint8Array;
}

/**
 * A node of a parsed device tree: a view that holds nothing but its place, so it is cheap to make and to drop. Two views of one node have
 * the same `tree` and `index`. Property values alias the bytes of the tree.
 */
export class FdtNode {
  /** @internal */
  readonly tree: FdtTree;
  /** @internal */
  readonly index: number;

  /**
   * @param tree the index of the blob that the node is in
   * @param index place of the node in the order of the structure block; the root is 0
   * @internal
   */
  constructor(tree: FdtTree, index: number) {
    this.tree = tree;
    this.index = index;
  }

  /** Name with the unit address, `PowerPC,POWER9@8`; empty for the root. One character a byte (latin1), not safe to print as it is. */
  get name(): string {
    return nodeName(this.tree, this.index);
  }

  /** `/cpus/PowerPC,POWER9@8`; `/` for the root. Not safe to print as it is. */
  get path(): string {
    const names: string[] = [];
    for (let index = this.index; index !== 0; index = column(this.tree.nodeParent, index)) names.push(nodeName(this.tree, index));
    return `/${names.reverse().join('/')}`;
  }

  /** Undefined for the root. */
  get parent(): FdtNode | undefined {
    return this.index === 0 ? undefined : new FdtNode(this.tree, column(this.tree.nodeParent, this.index));
  }

  /** Levels below the root, whose depth is 0. */
  get depth(): number {
    let depth = 0;
    for (let index = this.index; index !== 0; index = column(this.tree.nodeParent, index)) depth += 1;
    return depth;
  }

  /** All properties, in their order in the blob. */
  properties(): FdtProperty[] {
    const { tree, index } = this;
    const result: FdtProperty[] = [];
    const end = column(tree.firstProperty, index + 1);
    for (let property = column(tree.firstProperty, index); property < end; property += 1) {
      result.push({ name: propertyName(tree, property), value: propertyValue(tree, property) });
    }
    return result;
  }

  /** The value of the first property of that name. */
  property(name: string): Uint8Array | undefined {
    const property = findProperty(this.tree, this.index, name);
    return property === undefined ? undefined : propertyValue(this.tree, property);
  }

  /** All direct children, in their order in the blob. */
  children(): FdtNode[] {
    const result: FdtNode[] = [];
    for (const child of childIndexes(this.tree, this.index)) result.push(new FdtNode(this.tree, child));
    return result;
  }

  /** The first child whose whole name, unit address included, is `name`. */
  child(name: string): FdtNode | undefined {
    const child = childrenByName(this.tree, this.index).get(name);
    return child === undefined ? undefined : new FdtNode(this.tree, child);
  }
}

/** Entry `index` of a column; the indexes come from the tree's own columns, so it is there. */
export function column(values: Uint32Array, index: number): number {
  return values[index] as number;
}

export function* childIndexes(tree: FdtTree, node: number): Generator<number> {
  const end = column(tree.subtreeEnd, node);
  for (let child = node + 1; child < end; child = column(tree.subtreeEnd, child)) yield child;
}

export function nodeName(tree: FdtTree, node: number): string {
  const start = column(tree.nodeStart, node) + TOKEN_SIZE;
  return latin1(tree.bytes, start, tree.bytes.indexOf(0, start));
}

export function propertyName(tree: FdtTree, property: number): string {
  const offset = tree.view.getUint32(column(tree.propertyStart, property) + 8);
  let name = tree.propertyNames.get(offset);
  if (name === undefined) {
    const start = tree.header.offStrings + offset;
    name = latin1(tree.bytes, start, tree.bytes.indexOf(0, start));
    tree.propertyNames.set(offset, name);
  }
  return name;
}

export function propertyValue(tree: FdtTree, property: number): Uint8Array {
  const start = column(tree.propertyStart, property);
  const value = start + PROPERTY_HEADER_SIZE;
  return tree.bytes.subarray(value, value + tree.view.getUint32(start + 4));
}

/** Index of the first property called `name` of the node at index `node`. */
export function findProperty(tree: FdtTree, node: number, name: string): number | undefined {
  const { bytes, view, header } = tree;
  const first = name === '' ? 0 : name.charCodeAt(0);
  const end = column(tree.firstProperty, node + 1);
  for (let property = column(tree.firstProperty, node); property < end; property += 1) {
    const nameStart = header.offStrings + view.getUint32(column(tree.propertyStart, property) + 8);
    // Most names differ in the first byte, which is the NUL of an empty one, or in their length.
    if (bytes[nameStart] === first && bytes[nameStart + name.length] === 0 && propertyName(tree, property) === name) return property;
  }
  return undefined;
}

function childrenByName(tree: FdtTree, node: number): ReadonlyMap<string, number> {
  const known = tree.childrenByName.get(node);
  if (known !== undefined) return known;
  const children = new Map<string, number>();
  for (const child of childIndexes(tree, node)) {
    const name = nodeName(tree, child);
    if (!children.has(name)) children.set(name, child);
  }
  tree.childrenByName.set(node, children);
  return children;
}
