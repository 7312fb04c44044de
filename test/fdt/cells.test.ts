import { describe, expect, test } from 'vitest';
import { encodeCells, encodeString, encodeU32, readAddressCells, readCells, readU32, stringList, u32At } from '../../src/fdt/cells.js';
import { parseFdt } from '../../src/fdt/fdt.js';
import { buildFdt, cells, prop, text, type Item } from './build.js';
import { inputError } from './errors.js';

const root = (...items: Item[]) => parseFdt(buildFdt(items)).root;

test('u32At counts in cells', () => {
  expect(u32At(cells(1, 0xffffffff), 1)).toBe(0xffffffff);
  inputError(() => u32At(cells(1, 2), 2));
  inputError(() => u32At(cells(1, 2), -1));
  inputError(() => u32At(new Uint8Array(3), 0));
});

test('readU32 wants exactly one cell', () => {
  expect(readU32(cells(7))).toBe(7);
  for (const length of [0, 3, 5, 8]) inputError(() => readU32(new Uint8Array(length)));
});

test('readCells', () => {
  const value = cells(1, 2, 0xffffffff, 0xfffffffe);
  expect(readCells(value, 2, 0)).toBe(0x1_00000002n);
  expect(readCells(value, 2, 2)).toBe(0xffff_ffff_ffff_fffen);
  expect(readCells(value, 1, 1)).toBe(2n);
  expect(readCells(value, 0, 0)).toBe(0n);
  inputError(() => readCells(value, 2, 3));
});

test('stringList', () => {
  expect(stringList(text('a\0bc'))).toEqual(['a', 'bc']);
  expect(stringList(Uint8Array.of(0))).toEqual(['']);
  expect(stringList(Uint8Array.of(0xff, 0))).toEqual(['\xff']);
  expect(stringList(new Uint8Array())).toEqual([]);
  inputError(() => stringList(Uint8Array.of(0x61)));
});

test('encoders', () => {
  expect(encodeU32(1, 0xffffffff)).toEqual(cells(1, 0xffffffff));
  expect(encodeCells([0x1_00000002n, 3n], 2)).toEqual(cells(1, 2, 0, 3));
  expect(encodeString('a\xff')).toEqual(Uint8Array.of(0x61, 0xff, 0));
  expect(encodeString('')).toEqual(Uint8Array.of(0));
  inputError(() => encodeU32(-1));
  inputError(() => encodeU32(2 ** 32));
  inputError(() => encodeU32(0.5));
  inputError(() => encodeCells([1n << 64n], 2));
  inputError(() => encodeString('a\0b'));
  inputError(() => encodeString('\u0100'));
});

describe('#address-cells and #size-cells', () => {
  test('the defaults of the specification', () => {
    expect(readAddressCells(root())).toEqual({ address: 2, size: 1 });
  });

  test('as given', () => {
    expect(readAddressCells(root(prop('#address-cells', [1]), prop('#size-cells', [2])))).toEqual({ address: 1, size: 2 });
  });

  test.each([0, 3, 0xffffffff])('%i does not suit memory', (count) => {
    inputError(() => readAddressCells(root(prop('#address-cells', [count]))));
    inputError(() => readAddressCells(root(prop('#size-cells', [count]))));
  });

  test('a count that is not one cell', () => {
    inputError(() => readAddressCells(root(prop('#address-cells', 'ab'))));
  });
});
