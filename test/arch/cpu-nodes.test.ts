import { describe, expect, test } from 'vitest';
import { cpuId, cpuIdCells, isCpuType, threadIds } from '../../src/arch/cpu-nodes.js';
import { encodeU32 } from '../../src/fdt/cells.js';
import { thrown } from '../helpers/thrown.js';

test('a CPU node is one whose device_type is "cpu", terminated', () => {
  expect(isCpuType(Buffer.from('cpu\0'))).toBe(true);
  for (const other of ['cpu', 'cpu\0\0', 'cpus\0', 'memory\0', '']) expect(isCpuType(Buffer.from(other)), other).toBe(false);
  expect(isCpuType(undefined)).toBe(false);
});

describe('ids', () => {
  test('have 1 or 2 cells, 2 where it is not said', () => {
    expect([cpuIdCells(encodeU32(1)), cpuIdCells(encodeU32(2)), cpuIdCells(undefined)]).toEqual([1, 2, 2]);
  });

  test.each([0, 3])('of %d cells are refused', (cells) => {
    expect(thrown(() => cpuIdCells(encodeU32(cells)))).toMatchObject({
      kind: 'input',
      details: { found: String(cells), expected: 'one cell, 1 or 2' },
    });
  });

  test('of a count that is not one cell are refused, with the name of the property', () => {
    expect(thrown(() => cpuIdCells(new Uint8Array(2)))).toMatchObject({
      kind: 'input',
      problem: '#address-cells of /cpus does not suit CPU ids',
      details: { found: '2 bytes' },
    });
  });

  test('are in the first cells of reg', () => {
    expect(cpuId(encodeU32(8), 1, 'cpu@8')).toBe(8);
    expect(cpuId(encodeU32(8, 9), 1, 'cpu@8')).toBe(8);
    expect(cpuId(encodeU32(1, 8), 2, 'cpu@100000008')).toBe(0x100000008);
  });

  test('up to the largest exact number', () => {
    expect(cpuId(encodeU32(0x1fffff, 0xffffffff), 2, 'cpu')).toBe(Number.MAX_SAFE_INTEGER);
    expect(thrown(() => cpuId(encodeU32(0x200000, 0), 2, 'cp\nu'))).toMatchObject({
      kind: 'input',
      problem: 'CPU node cp\\x0au has an id above 2^53',
    });
  });

  test.each([
    ['no reg', undefined, 'no reg property'],
    ['a reg that is too short', encodeU32(1), 'reg of 4 bytes'],
  ])('%s', (_, reg, found) => {
    expect(thrown(() => cpuId(reg, 2, 'cpu@1'))).toMatchObject({
      kind: 'input',
      problem: 'CPU node cpu@1 has no id',
      details: { found, expected: 'reg of 8 bytes' },
    });
  });
});

describe('threads', () => {
  test('are listed, or there is one that has the id of the core', () => {
    expect(threadIds(encodeU32(8, 9, 10, 11), 8, 'cpu@8')).toEqual([8, 9, 10, 11]);
    expect(threadIds(undefined, 8, 'cpu@8')).toEqual([8]);
    expect(threadIds(new Uint8Array(), 8, 'cpu@8')).toEqual([8]);
  });

  test('in half cells are damage', () => {
    expect(thrown(() => threadIds(new Uint8Array(6), 8, 'cpu@8'))).toMatchObject({
      kind: 'input',
      problem: 'the threads of CPU node cpu@8 are not a list of cells',
      details: { found: '6 bytes', expected: 'a multiple of 4' },
    });
  });
});
