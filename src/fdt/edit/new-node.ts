import { PROPERTY_HEADER_SIZE, TOKEN_SIZE, padded } from '../constants.js';
import type { FdtNode, FdtProperty } from '../node.js';

/** A node to be put into a tree. Names are latin1, one character a byte. */
export interface NewNode {
  /** With the unit address. */
  readonly name: string;
  /** In the order they are to have. */
  readonly properties: readonly FdtProperty[];
  readonly children?: readonly NewNode[] | undefined;
}

/**
 * Bytes that `node` takes in the structure block, its children included; names of properties lie in the strings block and are not counted.
 *
 * @param sizeOf bytes that a list of properties takes, where that is known already
 */
export function nodeSize(node: NewNode, sizeOf: (properties: readonly FdtProperty[]) => number = propertiesSize): number {
  let size = TOKEN_SIZE + padded(node.name.length + 1) + sizeOf(node.properties) + TOKEN_SIZE;
  for (const child of node.children ?? []) size += nodeSize(child, sizeOf);
  return size;
}

/** Bytes that `properties` take in the structure block. */
export function propertiesSize(properties: readonly FdtProperty[]): number {
  let size = 0;
  for (const { value } of properties) size += PROPERTY_HEADER_SIZE + padded(value.length);
  return size;
}

/** `node` and all below it, to be put elsewhere or changed first. Its values alias the bytes of the tree. */
export function newNodeFrom(node: FdtNode): NewNode {
  return { name: node.name, properties: node.properties(), children: node.children().map(newNodeFrom) };
}
