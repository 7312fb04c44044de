/*
 * Device tree source, as `dtc -f -I dtb -O dts` 1.6.1 writes it, but for these differences:
 *
 * - Bytes of a node or property name that DTS has no place for (all but letters, digits and `,._+*#?@-`) are written `\xNN`; dtc writes them
 *   as they are, control bytes included. No byte from the blob reaches the output unless it is printable ASCII.
 * - A property `name` that repeats the node's name without unit address is left out always; dtc keeps them all when one node of the tree has a
 *   duplicate, a name with a bad character or two `@`, or a `name` that is not a string.
 * - Nothing is refused that parseFdt accepts, and nothing warned about.
 */
import { dtsValue } from './dts-value.js';
import type { Fdt } from './fdt.js';
import { equalBytes } from '../bytes/compare.js';
import { encodeString } from './cells.js';
import { column, nodeName, propertyName, propertyValue } from './node.js';
import type { FdtTree } from './tree.js';

/** The tree as device tree source, for people to read and to compare. Time and memory are linear in the size of the blob; no recursion. */
export function formatDts(fdt: Fdt): string {
  const lines = ['/dts-v1/;', ''];
  for (const { address, size } of fdt.reservations) lines.push(`/memreserve/\t${wide(address)} ${wide(size)};`);
  const { tree } = fdt;
  const open: number[] = [];
  for (let node = 0; node < tree.nodeCount; node += 1) {
    closeUntil(tree, open, node, lines);
    if (node > 0) lines.push('');
    lines.push(`${'\t'.repeat(open.length)}${dtsName(nodeName(tree, node)) || '/'} {`);
    open.push(node);
    formatProperties(tree, node, '\t'.repeat(open.length), lines);
  }
  closeUntil(tree, open, tree.nodeCount, lines);
  return `${lines.join('\n')}\n`;
}

/** A name as formatDts writes it. */
function dtsName(name: string): string {
  return name.replace(/[^A-Za-z0-9,._+*#?@-]/g, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

/** Ends the nodes of `open` that do not hold `next`. */
function closeUntil(tree: FdtTree, open: number[], next: number, lines: string[]): void {
  for (let last = open.at(-1); last !== undefined && column(tree.subtreeEnd, last) <= next; last = open.at(-1)) {
    open.pop();
    lines.push(`${'\t'.repeat(open.length)}};`);
  }
}

function formatProperties(tree: FdtTree, node: number, indent: string, lines: string[]): void {
  const end = column(tree.firstProperty, node + 1);
  for (let property = column(tree.firstProperty, node); property < end; property += 1) {
    const name = propertyName(tree, property);
    const value = propertyValue(tree, property);
    if (name === 'name' && tellsNothing(nodeName(tree, node), value)) continue;
    lines.push(`${indent}${dtsName(name)}${dtsValue(value)};`);
  }
}

/** Old trees repeat a node's name without unit address in a property `name`; dtc drops that. */
function tellsNothing(nodeName: string, value: Uint8Array): boolean {
  return equalBytes(value, encodeString(nodeName.replace(/@.*$/s, '')));
}

function wide(value: bigint): string {
  return `0x${value.toString(16).padStart(16, '0')}`;
}
