import { FDT_PROP, PROPERTY_HEADER_SIZE, padded } from '../constants.js';
import type { FdtProperty } from '../node.js';

/** What an edit has to know of a list of properties. */
export interface PropertyList {
  /** One array for all lists that have the same names in the same order. */
  readonly names: readonly string[];
  /** Bytes that the properties take in the structure block. */
  readonly size: number;
  /** Where they begin in the bytes that {@link PropertyLists.copy} takes them from. */
  readonly start: number;
}

/** Below this a loop is faster than a call of `set`. */
const SHORT_VALUE = 32;

/**
 * The property lists of an edit, each gone through once: their tokens are written when they are first looked at, and only the offsets of names are
 * put in later, for they depend on all lists. The nodes of CPUs have the same names in the same order, so what is done for each name, to
 * check it or to find its place, is done once for all of them: the array of names is a key.
 */
export class PropertyLists {
  private readonly known = new Map<readonly FdtProperty[], PropertyList>();
  private readonly capacity: number;
  private lastNames: readonly string[] = [];
  private bytes: Uint8Array;
  private view: DataView;
  private end = 0;

  /**
   * @param expected bytes that are made room for at first
   * @param capacity bytes that the blob may take: lists that take more are counted and not kept, since they cannot fit
   */
  constructor(expected: number, capacity: number) {
    this.capacity = capacity;
    this.bytes = new Uint8Array(expected);
    this.view = new DataView(this.bytes.buffer);
  }

  of(properties: readonly FdtProperty[]): PropertyList {
    let list = this.known.get(properties);
    if (list === undefined) {
      list = this.read(properties);
      this.known.set(properties, list);
    }
    return list;
  }

  /** Puts a list where `view` and `bytes`, which are of one buffer, are at `position`; `nameOffsets` are those of its names. */
  copy({ start, size }: PropertyList, nameOffsets: readonly number[], bytes: Uint8Array, view: DataView, position: number): void {
    bytes.set(this.bytes.subarray(start, start + size), position);
    let at = position;
    for (const nameOffset of nameOffsets) {
      view.setUint32(at + 8, nameOffset);
      at += PROPERTY_HEADER_SIZE + padded(view.getUint32(at + 4));
    }
  }

  private read(properties: readonly FdtProperty[]): PropertyList {
    const last = this.lastNames;
    const start = this.end;
    let same = properties.length === last.length;
    let end = start;
    for (let i = 0; i < properties.length; i += 1) {
      const { name, value } = properties[i] as FdtProperty;
      same &&= name === last[i];
      const size = PROPERTY_HEADER_SIZE + padded(value.length);
      if (end + size <= this.capacity) {
        if (end + size > this.bytes.length) this.grow(end + size);
        writeProperty(this.bytes, this.view, end, value, 0);
      }
      end += size;
    }
    this.end = end;
    if (!same) this.lastNames = properties.map(({ name }) => name);
    return { names: this.lastNames, size: end - start, start };
  }

  private grow(needed: number): void {
    const larger = new Uint8Array(Math.max(needed, this.bytes.length * 2));
    larger.set(this.bytes);
    this.bytes = larger;
    this.view = new DataView(larger.buffer);
  }
}

/**
 * Writes a property where there are zeros, which thereby are its padding. Source: Devicetree specification v0.4 section 5.4.1.
 *
 * @returns the position behind it
 */
export function writeProperty(bytes: Uint8Array, view: DataView, position: number, value: Uint8Array, nameOffset: number): number {
  const { length } = value;
  view.setUint32(position, FDT_PROP);
  view.setUint32(position + 4, length);
  view.setUint32(position + 8, nameOffset);
  const start = position + PROPERTY_HEADER_SIZE;
  if (length > SHORT_VALUE) {
    bytes.set(value, start);
    return start + padded(length);
  }
  // A word at a time, for a store checks more than a load.
  let at = 0;
  for (; at + 4 <= length; at += 4) {
    const upper = ((value[at] as number) << 24) | ((value[at + 1] as number) << 16);
    view.setUint32(start + at, upper | ((value[at + 2] as number) << 8) | (value[at + 3] as number));
  }
  for (; at < length; at += 1) bytes[start + at] = value[at] as number;
  return start + padded(length);
}
