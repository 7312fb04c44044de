import { FDT_BEGIN_NODE, FDT_END_NODE, TOKEN_SIZE, padded } from '../constants.js';
import type { NewNode } from './new-node.js';
import type { FdtProperty } from '../node.js';
import { writeProperty, type PropertyLists } from './property-lists.js';
import type { StringTable } from './string-table.js';

/**
 * Writes tokens into a buffer that is large enough and holds zeros, which thereby are the padding.
 * Source: Devicetree specification v0.4 section 5.4.1.
 */
export class StructWriter {
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private readonly names: StringTable;
  private readonly lists: PropertyLists;
  private readonly offsets = new Map<readonly string[], readonly number[]>();

  position: number;

  constructor(bytes: Uint8Array, position: number, names: StringTable, lists: PropertyLists) {
    this.position = position;
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.names = names;
    this.lists = lists;
  }

  /** The bytes of `source` from `start` up to `end`. */
  copy(source: Uint8Array, start: number, end: number): void {
    if (start === end) return;
    this.bytes.set(source.subarray(start, end), this.position);
    this.position += end - start;
  }

  reservation(address: bigint, size: bigint): void {
    this.view.setBigUint64(this.position, address);
    this.view.setBigUint64(this.position + 8, size);
    this.position += 16;
  }

  /** `nameOffset`: the place of its name where that is known already. */
  property(property: FdtProperty, nameOffset: number = this.names.offsetOf(property.name)): void {
    this.position = writeProperty(this.bytes, this.view, this.position, property.value, nameOffset);
  }

  properties(properties: readonly FdtProperty[]): void {
    const list = this.lists.of(properties);
    this.lists.copy(list, this.offsetsOf(list.names), this.bytes, this.view, this.position);
    this.position += list.size;
  }

  /** A node and all below it; its depth was checked. */
  node(node: NewNode): void {
    this.view.setUint32(this.position, FDT_BEGIN_NODE);
    this.position += TOKEN_SIZE;
    for (let i = 0; i < node.name.length; i += 1) this.bytes[this.position + i] = node.name.charCodeAt(i);
    this.position += padded(node.name.length + 1);
    this.properties(node.properties);
    for (const child of node.children ?? []) this.node(child);
    this.view.setUint32(this.position, FDT_END_NODE);
    this.position += TOKEN_SIZE;
  }

  private offsetsOf(names: readonly string[]): readonly number[] {
    let offsets = this.offsets.get(names);
    if (offsets === undefined) {
      offsets = names.map((name) => this.names.offsetOf(name));
      this.offsets.set(names, offsets);
    }
    return offsets;
  }
}
