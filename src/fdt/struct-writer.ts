import { FDT_BEGIN_NODE, FDT_END_NODE, FDT_PROP, PROPERTY_HEADER_SIZE, TOKEN_SIZE, padded } from './constants.js';
import type { NewNode } from './new-node.js';
import type { FdtProperty } from './node.js';

/** Below this a loop is faster than a call of `set`. */
const SHORT_VALUE = 32;

/**
 * Writes tokens into a buffer that is large enough and holds zeros, which thereby are the padding.
 * Source: Devicetree specification v0.4 section 5.4.1.
 */
export class StructWriter {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #nameOffset: (name: string) => number;

  constructor(
    bytes: Uint8Array,
    public position: number,
    nameOffset: (name: string) => number,
  ) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#nameOffset = nameOffset;
  }

  copy(source: Uint8Array): void {
    this.#bytes.set(source, this.position);
    this.position += source.length;
  }

  reservation(address: bigint, size: bigint): void {
    this.#view.setBigUint64(this.position, address);
    this.#view.setBigUint64(this.position + 8, size);
    this.position += 16;
  }

  /** `nameOffset`: the place of its name where that is known already. */
  property({ name, value }: FdtProperty, nameOffset = this.#nameOffset(name)): void {
    this.#view.setUint32(this.position, FDT_PROP);
    this.#view.setUint32(this.position + 4, value.length);
    this.#view.setUint32(this.position + 8, nameOffset);
    const start = this.position + PROPERTY_HEADER_SIZE;
    if (value.length > SHORT_VALUE) this.#bytes.set(value, start);
    else for (let i = 0; i < value.length; i += 1) this.#bytes[start + i] = value[i] as number;
    this.position = start + padded(value.length);
  }

  /** A node and all below it; its depth was checked. */
  node(node: NewNode): void {
    this.#view.setUint32(this.position, FDT_BEGIN_NODE);
    this.position += TOKEN_SIZE;
    for (let i = 0; i < node.name.length; i += 1) this.#bytes[this.position + i] = node.name.charCodeAt(i);
    this.position += padded(node.name.length + 1);
    for (const property of node.properties) this.property(property);
    for (const child of node.children ?? []) this.node(child);
    this.#view.setUint32(this.position, FDT_END_NODE);
    this.position += TOKEN_SIZE;
  }
}
