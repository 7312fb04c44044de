import { KdumpError, hex, printable, type KdumpErrorDetails } from '../../errors.js';
import { ADDRESS_SPACE_END } from '../../memory/range.js';
import { MAX_DEPTH, MAX_NAME_LENGTH } from '../constants.js';
import type { AddNode, FdtEdit, PropertyEdit, RemoveNode, ReplaceProperties, ReservationEdit } from './edit-kinds.js';
import type { Fdt } from '../fdt.js';
import type { NewNode } from './new-node.js';
import { FdtNode, childIndexes, column, findProperty, nodeName, type FdtProperty } from '../node.js';
import type { PropertyLists } from './property-lists.js';

/** Edits of one tree, checked against it and against each other, by what they change. */
export interface SortedEdits {
  readonly removals: ReadonlyMap<number, RemoveNode>;
  /** By index of the parent. */
  readonly additions: ReadonlyMap<number, readonly AddNode[]>;
  /** By index of the node. */
  readonly properties: ReadonlyMap<number, readonly PropertyEdit[]>;
  readonly replacements: ReadonlyMap<number, ReplaceProperties>;
  readonly reservations: readonly ReservationEdit[];
}

/**
 * Sorts `edits` by what they change.
 *
 * @throws KdumpError `refused` when an edit does not suit the tree, contradicts another one, or would leave a tree in which an edited node has
 * two properties or two children of one name
 */
export function sortEdits(fdt: Fdt, edits: readonly FdtEdit[], lists: PropertyLists): SortedEdits {
  const checkProperties = propertiesCheck(lists);
  const removals = new Map<number, RemoveNode>();
  const additions = new Map<number, AddNode[]>();
  const properties = new Map<number, PropertyEdit[]>();
  const replacements = new Map<number, ReplaceProperties>();
  const reservations: ReservationEdit[] = [];

  for (const edit of edits) {
    switch (edit.kind) {
      case 'removeNode':
        checkOwner(fdt, edit.node);
        if (edit.node.index === 0) throw refusal('the root node cannot be removed');
        if (removals.has(edit.node.index)) throw refusal(`node ${nameOf(edit.node)} is removed twice`);
        removals.set(edit.node.index, edit);
        break;
      case 'addNode':
        checkAddition(fdt, edit, checkProperties);
        listIn(additions, edit.parent.index).push(edit);
        break;
      case 'setProperty':
      case 'removeProperty':
        checkOwner(fdt, edit.node);
        checkPropertyEdit(edit);
        listIn(properties, edit.node.index).push(edit);
        break;
      case 'replaceProperties':
        checkOwner(fdt, edit.node);
        if (replacements.has(edit.node.index)) throw refusal(`properties of ${nameOf(edit.node)} are replaced twice`);
        checkProperties(edit.properties, () => nameOf(edit.node));
        replacements.set(edit.node.index, edit);
        break;
      case 'setReservation':
      case 'addReservation':
        checkReservation(fdt, edit);
        reservations.push(edit);
        break;
    }
  }

  checkNotRemoved(fdt, removals, [...removals.keys()], (index) => column(fdt.tree.nodeParent, index));
  checkNotRemoved(fdt, removals, [...additions.keys(), ...properties.keys(), ...replacements.keys()], (index) => index);
  for (const [parent, added] of additions) checkChildNames(fdt, parent, added, removals);
  for (const [node, list] of properties) checkPropertyNames(fdt, node, list, replacements);
  checkReservationsOnce(reservations);
  return { removals, additions, properties, replacements, reservations };
}

export function refusal(problem: string, details: KdumpErrorDetails = {}): KdumpError {
  return new KdumpError('refused', problem, { segment: 'fdt', ...details });
}

function listIn<T>(map: Map<number, T[]>, key: number): T[] {
  let list = map.get(key);
  if (list === undefined) map.set(key, (list = []));
  return list;
}

function nameOf(node: FdtNode): string {
  return printable(node.path);
}

function checkOwner(fdt: Fdt, node: FdtNode): void {
  if (node.tree !== fdt.tree) throw refusal(`node ${nameOf(node)} belongs to another device tree`);
}

function checkAddition(fdt: Fdt, { parent, after, node }: AddNode, checkProperties: PropertiesCheck): void {
  checkOwner(fdt, parent);
  if (after instanceof FdtNode) {
    checkOwner(fdt, after);
    if (after.index === 0 || after.parent?.index !== parent.index) {
      throw refusal(`node ${nameOf(after)} is no child of ${nameOf(parent)}, so no node can follow it there`);
    }
  }
  checkNewNode(node, () => parent.path, parent.depth + 2, checkProperties);
}

/** `level` of the node, the root's being 1. The check of the level bounds the recursion. */
function checkNewNode(node: NewNode, parentPath: () => string, level: number, checkProperties: PropertiesCheck): void {
  const path = (): string => (parentPath() === '/' ? `/${node.name}` : `${parentPath()}/${node.name}`);
  checkName('node', node.name);
  if (level > MAX_DEPTH) throw refusal('new node is nested too deep', { expected: `at most ${MAX_DEPTH} levels` });
  checkProperties(node.properties, () => printable(path()));
  if (node.children === undefined || node.children.length === 0) return;
  const names = new Set<string>();
  for (const child of node.children) {
    if (names.has(child.name)) throw refusal(`new node ${printable(path())} has two children ${printable(child.name)}`);
    names.add(child.name);
    checkNewNode(child, path, level + 1, checkProperties);
  }
}

type PropertiesCheck = (properties: readonly FdtProperty[], place: () => string) => void;

/** A check of a node's properties that looks at lists with the same names once. */
function propertiesCheck(lists: PropertyLists): PropertiesCheck {
  const good = new Set<readonly string[]>();
  return (properties, place) => {
    const { names } = lists.of(properties);
    if (good.has(names)) return;
    const seen = new Set<string>();
    for (const name of names) {
      checkName('property', name);
      if (seen.has(name)) throw refusal(`property ${name} is given twice for ${place()}`);
      seen.add(name);
    }
    good.add(names);
  };
}

const goodName = /^[!-.0-~]+$/;

/** The specification's characters are fewer; firmware uses more of the printable ones. */
function checkName(what: 'node' | 'property', name: string): void {
  if (name.length > MAX_NAME_LENGTH) {
    throw refusal(`${what} name is too long`, { found: `${name.length} bytes`, expected: `at most ${MAX_NAME_LENGTH} bytes` });
  }
  if (!goodName.test(name)) {
    throw refusal(`${what} name is not valid`, { found: `"${printable(name)}"`, expected: 'printable ASCII without space and "/"' });
  }
}

function checkPropertyEdit(edit: PropertyEdit): void {
  const found = findProperty(edit.node.tree, edit.node.index, edit.name);
  if (found !== undefined) return;
  if (edit.kind === 'removeProperty') throw refusal(`node ${nameOf(edit.node)} has no property ${printable(edit.name)}`);
  checkName('property', edit.name);
}

function checkReservation(fdt: Fdt, edit: ReservationEdit): void {
  const { address, size } = edit;
  if (edit.kind === 'setReservation' && !(Number.isInteger(edit.index) && edit.index >= 0 && edit.index < fdt.reservations.length)) {
    throw refusal('memory reservation block has no such entry', { found: `${edit.index}`, expected: `below ${fdt.reservations.length}` });
  }
  if (size <= 0n || address < 0n || address + size > ADDRESS_SPACE_END) {
    throw refusal('memory reservation is out of range', {
      found: `address ${hex(address)}, size ${hex(size)}`,
      expected: 'a size above 0, and an end of at most 2^64',
    });
  }
}

function checkReservationsOnce(reservations: readonly ReservationEdit[]): void {
  const seen = new Set<number>();
  for (const edit of reservations) {
    if (edit.kind !== 'setReservation') continue;
    if (seen.has(edit.index)) throw refusal(`memory reservation ${edit.index} is set twice`);
    seen.add(edit.index);
  }
}

/** Refuses when `first(node)` or a node above it is removed, for any of `nodes`. The walk up is at most 64 steps. */
function checkNotRemoved(
  fdt: Fdt,
  removals: ReadonlyMap<number, RemoveNode>,
  nodes: readonly number[],
  first: (node: number) => number,
): void {
  if (removals.size === 0) return;
  for (const node of nodes) {
    for (let at = first(node); at !== 0; at = column(fdt.tree.nodeParent, at)) {
      if (removals.has(at)) {
        throw refusal(`node ${nameOf(new FdtNode(fdt.tree, node))} cannot be edited, for ${nameOf(new FdtNode(fdt.tree, at))} is removed`);
      }
    }
  }
}

function checkChildNames(fdt: Fdt, parent: number, added: readonly AddNode[], removals: ReadonlyMap<number, RemoveNode>): void {
  const names = new Set<string>();
  const add = (name: string): void => {
    if (names.has(name)) throw refusal(`node ${nameOf(new FdtNode(fdt.tree, parent))} would have two children ${printable(name)}`);
    names.add(name);
  };
  for (const child of childIndexes(fdt.tree, parent)) if (!removals.has(child)) add(nodeName(fdt.tree, child));
  for (const { node } of added) add(node.name);
}

function checkPropertyNames(
  fdt: Fdt,
  index: number,
  edits: readonly PropertyEdit[],
  replacements: ReadonlyMap<number, ReplaceProperties>,
): void {
  const node = new FdtNode(fdt.tree, index);
  if (replacements.has(index)) throw refusal(`properties of ${nameOf(node)} are replaced and edited one by one`);
  const edited = new Set<string>();
  for (const { name } of edits) {
    if (edited.has(name)) throw refusal(`property ${printable(name)} of ${nameOf(node)} is edited twice`);
    edited.add(name);
  }
  const present = new Set<string>();
  for (const { name } of node.properties()) {
    if (present.has(name)) throw refusal(`node ${nameOf(node)} has two properties ${printable(name)}`);
    present.add(name);
  }
}
