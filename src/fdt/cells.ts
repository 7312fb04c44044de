import { dataView } from '../bytes/byte-order.js';
import { KdumpError, printable } from '../errors.js';
import { latin1 } from './latin1.js';
import type { FdtNode } from './node.js';

/** Widths in 32-bit cells that addresses and sizes have in the `reg` of a node's children. */
export interface CellCounts {
  readonly address: number;
  readonly size: number;
}

/**
 * The 32-bit cell at place `index`, counted in cells.
 *
 * @throws KdumpError `input` when the value has no such cell
 */
export function u32At(value: Uint8Array, index: number): number {
  if (index < 0 || (index + 1) * 4 > value.length) {
    throw valueError('property value is too short', `${value.length} bytes`, `at least ${(index + 1) * 4} bytes`);
  }
  const at = index * 4;
  // Most values are a few bytes, and making a DataView takes longer than reading them.
  return byteAt(value, at) * 0x1000000 + ((byteAt(value, at + 1) << 16) | (byteAt(value, at + 2) << 8) | byteAt(value, at + 3));
}

/**
 * The value of a property of one cell (`<u32>`, Devicetree specification v0.4 section 2.2.4).
 *
 * @throws KdumpError `input` when the value is not four bytes long
 */
export function readU32(value: Uint8Array): number {
  if (value.length !== 4) throw valueError('property value is not one cell', `${value.length} bytes`, '4 bytes');
  return u32At(value, 0);
}

/**
 * The number that `cells` cells starting at cell `index` hold, most significant first; 0 for no cells.
 *
 * @throws KdumpError `input` when the value has no such cells
 */
export function readCells(value: Uint8Array, cells: number, index: number): bigint {
  let result = 0n;
  for (let i = 0; i < cells; i += 1) result = (result << 32n) | BigInt(u32At(value, index + i));
  return result;
}

/**
 * The strings of a `<string>` or `<stringlist>` value (section 2.2.4), one character a byte.
 *
 * @throws KdumpError `input` when the last string is not terminated
 */
export function stringList(value: Uint8Array): string[] {
  if (value.length === 0) return [];
  if (value[value.length - 1] !== 0)
    throw valueError('string property is not terminated', `last byte ${value[value.length - 1] ?? 0}`, '0');
  return latin1(value, 0, value.length - 1).split('\0');
}

/** The text of a value for people, with or without its terminating NUL. */
export function textOf(value: Uint8Array): string {
  return latin1(value).replace(/\0+$/, '');
}

/** One cell for each of `values`, integers from 0 to 2^32 - 1. @throws KdumpError `input` when one is not */
export function encodeU32(...values: readonly number[]): Uint8Array {
  return encodeU32List(values);
}

/** As {@link encodeU32}, for a list of any length: arguments are limited to some ten thousand. */
export function encodeU32List(values: readonly number[]): Uint8Array {
  const result = new Uint8Array(values.length * 4);
  for (let i = 0; i < values.length; i += 1) {
    const value = values[i] as number;
    if (!Number.isInteger(value)) throw valueError('number is not an integer', `${value}`, 'an integer');
    if (value < 0 || value > 0xffffffff) throw tooLarge(value, 1);
    result[i * 4] = value >>> 24;
    result[i * 4 + 1] = value >>> 16;
    result[i * 4 + 2] = value >>> 8;
    result[i * 4 + 3] = value;
  }
  return result;
}

/** `cells` cells for each of `values`. @throws KdumpError `input` when a value does not fit */
export function encodeCells(values: readonly bigint[], cells: number): Uint8Array {
  const result = new Uint8Array(values.length * cells * 4);
  const view = dataView(result);
  for (const [index, value] of values.entries()) {
    if (value < 0n || value >= 1n << BigInt(32 * cells)) throw tooLarge(value, cells);
    for (let cell = 0; cell < cells; cell += 1) {
      view.setUint32((index * cells + cell) * 4, Number((value >> BigInt(32 * (cells - 1 - cell))) & 0xffffffffn));
    }
  }
  return result;
}

/** `text` and its terminating NUL, one byte a character (latin1). @throws KdumpError `input` when a character is NUL or above 0xff */
export function encodeString(text: string): Uint8Array {
  const result = new Uint8Array(text.length + 1);
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    if (code === 0 || code > 0xff)
      throw valueError('text cannot be a device tree string', JSON.stringify(printable(text)), 'characters from 0x01 to 0xff');
    result[i] = code;
  }
  return result;
}

/**
 * `#address-cells` and `#size-cells` of `parent`, as they hold for the memory that its children describe; 2 and 1 where they are absent
 * (section 2.3.5).
 *
 * @throws KdumpError `input` when a count is not 1 or 2, a number of 32 or 64 bits
 */
export function readAddressCells(parent: FdtNode): CellCounts {
  return { address: countOf(parent, '#address-cells', 2), size: countOf(parent, '#size-cells', 1) };
}

function byteAt(value: Uint8Array, at: number): number {
  return value[at] as number;
}

function countOf(node: FdtNode, name: string, otherwise: number): number {
  const value = node.property(name);
  if (value === undefined) return otherwise;
  if (value.length !== 4) throw valueError(`${name} of ${printable(node.path)} is not one cell`, `${value.length} bytes`, '4 bytes');
  const count = readU32(value);
  if (count < 1 || count > 2) throw valueError(`${name} of ${printable(node.path)} does not suit memory`, `${count}`, '1 or 2');
  return count;
}

function tooLarge(value: bigint | number, cells: number): KdumpError {
  return valueError('number does not fit', `${value}`, `at most ${32 * cells} bits`);
}

function valueError(problem: string, found: string, expected: string): KdumpError {
  return new KdumpError('input', problem, { segment: 'fdt', found, expected });
}
