import type { FdtNode, FdtProperty } from '../node.js';
import type { NewNode } from './new-node.js';

/** The node and all below it. Freed bytes are zeroed at the end of the blob. */
export interface RemoveNode {
  readonly kind: 'removeNode';
  readonly node: FdtNode;
}

/**
 * A new child of `parent`. With `after`, a child of `parent` in the tree as it was (it may be one that is removed), directly behind it; with
 * `'properties'`, before all children; without, behind all children. Several at one place keep the order of the edits.
 */
export interface AddNode {
  readonly kind: 'addNode';
  readonly parent: FdtNode;
  readonly after?: FdtNode | 'properties' | undefined;
  readonly node: NewNode;
}

/** Replaces the value in place, or appends the property behind the node's last one. */
export interface SetProperty {
  readonly kind: 'setProperty';
  readonly node: FdtNode;
  readonly name: string;
  readonly value: Uint8Array;
}

/** The property has to be there. */
export interface RemoveProperty {
  readonly kind: 'removeProperty';
  readonly node: FdtNode;
  readonly name: string;
}

/** Gives the node exactly these properties, in this order. */
export interface ReplaceProperties {
  readonly kind: 'replaceProperties';
  readonly node: FdtNode;
  readonly properties: readonly FdtProperty[];
}

/** Overwrites entry `index` of the memory reservation block, counted from 0. */
export interface SetReservation {
  readonly kind: 'setReservation';
  readonly index: number;
  readonly address: bigint;
  readonly size: bigint;
}

/** A new last entry of the memory reservation block. */
export interface AddReservation {
  readonly kind: 'addReservation';
  readonly address: bigint;
  readonly size: bigint;
}

/** One change of a tree. Nodes are those of the tree that is edited. */
export type FdtEdit = RemoveNode | AddNode | SetProperty | RemoveProperty | ReplaceProperties | SetReservation | AddReservation;

export type PropertyEdit = SetProperty | RemoveProperty;
export type ReservationEdit = SetReservation | AddReservation;
