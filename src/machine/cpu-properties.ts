import { at, readObject, wrongValue } from '../text/json-fields.js';
import { excerpt } from '../text/excerpt.js';
import type { JsonValue } from '../text/strict-json.js';

/** Printable ASCII without the slash. Longer than the 31 characters of the Devicetree Specification 0.4, 2.2.4.1: real ones are. */
const PROPERTY_NAME = /^[!-.0-~]{1,255}$/;
// No device tree has them, and they would be traps for every program that puts properties into a JavaScript object.
const FORBIDDEN_NAMES = new Set(['__proto__', 'constructor', 'prototype']);
const MAX_CELL = 0xffff_ffff;
const VALUES = 'a string, an integer below 2^32, an array of either, true, or { "hex": "…" }';

/**
 * `properties` of a CPU in a change file: the property values in the bytes of a device tree.
 *
 * A string gets its NUL, an array of strings is a string list, integers are big-endian 32-bit cells, `true` is an empty property,
 * and `{ "hex": "00 01" }` is bytes.
 *
 * @throws KdumpError `usage`
 */
export function parseCpuProperties(value: JsonValue, place: string): ReadonlyMap<string, Uint8Array> {
  if (!(value instanceof Map)) throw wrongValue(value, place, 'an object of properties by name');
  const properties = new Map<string, Uint8Array>();
  for (const [name, content] of value as ReadonlyMap<string, JsonValue>) {
    if (!PROPERTY_NAME.test(name) || FORBIDDEN_NAMES.has(name)) {
      throw at(place, 'not a property name', {
        found: excerpt(name),
        expected: '1 to 255 printable ASCII characters without blank or slash',
      });
    }
    properties.set(name, propertyBytes(content, `${place}.${name}`));
  }
  return properties;
}

function propertyBytes(value: JsonValue, place: string): Uint8Array {
  if (value === true) return new Uint8Array(0);
  if (typeof value === 'string') return stringList([value], place);
  if (typeof value === 'number') return cells([value], place);
  if (value instanceof Map) return hexBytes(readObject(value as JsonValue, place, ['hex']).get('hex'), `${place}.hex`);
  if (!Array.isArray(value)) throw wrongValue(value, place, VALUES);
  const items = value as readonly JsonValue[];
  if (items.length === 0) {
    throw at(place, 'empty array', { expected: VALUES, remedy: 'write true for a property without a value' });
  }
  return typeof items[0] === 'string' ? stringList(items, place) : cells(items, place);
}

function stringList(items: readonly JsonValue[], place: string): Uint8Array {
  let list = '';
  for (const item of items) {
    if (typeof item !== 'string') throw wrongValue(item, place, 'strings only, or integers only');
    if (item.includes('\0') || /\p{Surrogate}/u.test(item)) {
      throw at(place, 'not a device tree string', { found: excerpt(item), expected: 'text without NUL and without half characters' });
    }
    list += `${item}\0`;
  }
  return new TextEncoder().encode(list);
}

function cells(items: readonly JsonValue[], place: string): Uint8Array {
  const bytes = new Uint8Array(items.length * 4);
  const view = new DataView(bytes.buffer);
  items.forEach((item, index) => {
    if (typeof item !== 'number' || item < 0 || item > MAX_CELL) throw wrongValue(item, place, 'integers from 0 to 4294967295');
    view.setUint32(index * 4, item);
  });
  return bytes;
}

function hexBytes(value: JsonValue | undefined, place: string): Uint8Array {
  const expected = 'pairs of hexadecimal digits, with or without blanks between them';
  if (typeof value !== 'string') throw wrongValue(value, place, expected);
  const bytes = new Uint8Array(value.length >>> 1);
  let length = 0;
  for (let position = 0; position < value.length;) {
    if (value[position] === ' ') {
      position += 1;
      continue;
    }
    const pair = value.slice(position, position + 2);
    if (!/^[0-9a-fA-F]{2}$/.test(pair)) {
      throw at(place, 'not hexadecimal bytes', { found: `${excerpt(pair)} at character ${position + 1}`, expected });
    }
    bytes[length] = Number.parseInt(pair, 16);
    length += 1;
    position += 2;
  }
  return bytes.slice(0, length);
}
