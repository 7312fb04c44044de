import { PROPERTY_HEADER_SIZE, padded } from '../constants.js';
import type { FdtProperty } from '../node.js';

/** What an edit has to know of a list of properties. */
export interface PropertyList {
  /** One array for all lists that have the same names in the same order. */
  readonly names: readonly string[];
  /** Bytes that the properties take in the structure block. */
  readonly size: number;
}

/**
 * The property lists of an edit, each gone through once. The nodes of CPUs have the same names in the same order, so what is done for each name,
 * to check it or to find its place, is done once for all of them: the array of names is a key.
 */
export class PropertyLists {
  readonly #known = new Map<readonly FdtProperty[], PropertyList>();
  #lastNames: readonly string[] = [];

  of(properties: readonly FdtProperty[]): PropertyList {
    let list = this.#known.get(properties);
    if (list === undefined) {
      list = this.#read(properties);
      this.#known.set(properties, list);
    }
    return list;
  }

  #read(properties: readonly FdtProperty[]): PropertyList {
    const last = this.#lastNames;
    let same = properties.length === last.length;
    let size = 0;
    for (let i = 0; i < properties.length; i += 1) {
      const { name, value } = properties[i] as FdtProperty;
      size += PROPERTY_HEADER_SIZE + padded(value.length);
      same &&= name === last[i];
    }
    if (!same) this.#lastNames = properties.map(({ name }) => name);
    return { names: this.#lastNames, size };
  }
}
