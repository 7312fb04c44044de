import { describe, expect, test } from 'vitest';
import { HEADER_OFFSETS, parseFdtHeader, probeFdtHeader } from '../../src/fdt/header.js';
import { buildFdt, prop } from './build.js';
import { inputError } from './errors.js';

const blob = buildFdt([prop('model', 'test')], { reservations: [[0x1000n, 0x2000n]], slack: 24, bootCpuId: 7 });

function withField(field: keyof typeof HEADER_OFFSETS, value: number): Uint8Array {
  const bytes = blob.slice();
  new DataView(bytes.buffer).setUint32(HEADER_OFFSETS[field], value);
  return bytes;
}

test('reads every field', () => {
  expect(parseFdtHeader(blob)).toEqual({
    totalSize: 138,
    offStruct: 72,
    offStrings: 108,
    offReserveMap: 40,
    version: 17,
    lastCompatibleVersion: 16,
    bootCpuId: 7,
    sizeStrings: 6,
    sizeStruct: 36,
  });
});

test('a field written as it was is no damage', () => {
  expect(parseFdtHeader(withField('offStruct', 72))).toEqual(parseFdtHeader(blob));
});

test('later versions that say they are compatible are read', () => {
  expect(parseFdtHeader(withField('version', 18)).version).toBe(18);
});

describe('one field changed, one error', () => {
  test.each([
    ['magic', 0xedfe0dd0, 0],
    ['magic', 0xd00dfeee, 0],
    ['magic', 0x2ff20112, 0],
    ['totalSize', 0, 4],
    ['totalSize', 39, 4],
    ['totalSize', 71, 4],
    ['totalSize', 139, 4],
    ['totalSize', 0x7fffffff, 4],
    ['totalSize', 0x80000000, 4],
    ['totalSize', 0xffffffff, 4],
    ['offStruct', 0, 8],
    ['offStruct', 36, 8],
    ['offStruct', 74, 8],
    ['offStruct', 104, 8],
    ['offStruct', 0xfffffffc, 8],
    ['offStrings', 39, 12],
    ['offStrings', 133, 12],
    ['offStrings', 0xffffffff, 12],
    ['offReserveMap', 32, 16],
    ['offReserveMap', 44, 16],
    ['offReserveMap', 136, 16],
    ['offReserveMap', 0xfffffff8, 16],
    ['version', 0, 20],
    ['version', 1, 20],
    ['version', 16, 20],
    ['lastCompatibleVersion', 18, 24],
    ['sizeStrings', 0xffffffff, 12],
    ['sizeStrings', 31, 12],
    ['sizeStruct', 0xffffffff, 8],
    ['sizeStruct', 76, 8],
  ] as const)('%s = %i', (field, value, offset) => {
    const bytes = withField(field, value);
    expect(inputError(() => parseFdtHeader(bytes)).details).toMatchObject({ segment: 'fdt', offset });
    if (field !== 'totalSize' || value < 139) expect(probeFdtHeader(bytes)).toBeUndefined();
  });

  test('a swapped magic comes with a hint', () => {
    expect(inputError(() => parseFdtHeader(withField('magic', 0xedfe0dd0))).details.remedy).toMatch(/big endian/);
  });
});

test('every length below the header is refused', () => {
  for (let length = 0; length < 40; length += 1) {
    expect(inputError(() => parseFdtHeader(blob.subarray(0, length))).details.offset).toBe(0);
    expect(probeFdtHeader(blob.subarray(0, length))).toBeUndefined();
  }
});

test('probing needs no more than the header', () => {
  expect(probeFdtHeader(blob.subarray(0, 40))).toEqual(parseFdtHeader(blob));
});

test('reads from a view into a larger buffer', () => {
  const larger = new Uint8Array(blob.length + 7);
  larger.set(blob, 7);
  expect(parseFdtHeader(larger.subarray(7))).toEqual(parseFdtHeader(blob));
});
