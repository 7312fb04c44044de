import { KdumpError, within } from '../errors.js';
import { excerpt } from './excerpt.js';
import { closestTo } from './closest-word.js';
import { Converted, OddNumber, type JsonObject, type JsonValue } from './strict-json.js';

/** The place of a member: `changes[2]` and `memory` give `changes[2].memory`, `line 3` and `cpu` give `line 3: cpu`. */
export function inside(place: string, name: string): string {
  if (place === '') return name;
  return place.startsWith('line ') && !place.includes(':') ? `${place}: ${name}` : `${place}.${name}`;
}

/** @throws KdumpError `usage` when `value` is not an object, or has a key that is not in `known` */
export function readObject(
  value: JsonValue | undefined,
  place: string,
  known: readonly string[],
  expected = `an object with ${known.join(', ')}`,
): JsonObject {
  if (!(value instanceof Map)) throw wrongValue(value, place, expected);
  const object = value as JsonObject;
  for (const key of object.keys()) {
    if (!known.includes(key)) {
      const closest = closestTo(key, known);
      throw at(place, 'unknown key', {
        found: excerpt(key),
        expected: known.join(', '),
        ...(closest === undefined ? {} : { remedy: `did you mean ${closest}?` }),
      });
    }
  }
  return object;
}

export function readArray(value: JsonValue | undefined, place: string): readonly JsonValue[] {
  if (!Array.isArray(value)) throw wrongValue(value, place, 'an array');
  return value as readonly JsonValue[];
}

/** A non-negative integer: a JSON one of at most 2^53 - 1, or a string, which `parse` reads. */
export function readInteger(value: JsonValue | undefined, place: string, parse: (text: string) => bigint): bigint {
  if (typeof value === 'number' && value >= 0) return BigInt(value);
  if (typeof value !== 'string') throw wrongValue(value, place, 'a non-negative integer, or a string such as "0x80000000"');
  return inPlace(place, () => parse(value));
}

/** What `read` returns; its KdumpError learns the place. */
function inPlace<T>(place: string, read: () => T): T {
  return within(place === '' ? {} : { segment: place }, read);
}

export function at(place: string, problem: string, details: { found?: string; expected: string; remedy?: string }): KdumpError {
  return new KdumpError('usage', problem, { ...(place === '' ? {} : { segment: place }), ...details });
}

/** @param value what stands there, or undefined where nothing does */
export function wrongValue(value: JsonValue | undefined, place: string, expected: string): KdumpError {
  if (value === undefined) return at(place, 'missing', { expected });
  if (value instanceof OddNumber && /^[0-9]+$/.test(value.text.slice(0, 100))) {
    return at(place, 'number is too large to be exact in JSON', {
      found: excerpt(value.text),
      expected: 'at most 9007199254740991',
      remedy: 'write it as a string "0x…"',
    });
  }
  return at(place, 'wrong value', { found: describe(value), expected });
}

function describe(value: JsonValue): string {
  if (value instanceof Map || value instanceof Converted) return 'an object';
  if (Array.isArray(value)) return 'an array';
  if (value instanceof OddNumber) return excerpt(value.text).replaceAll('"', '');
  return typeof value === 'string' ? excerpt(value) : `${value as null | boolean | number}`;
}
