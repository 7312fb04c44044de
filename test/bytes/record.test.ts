import { describe, expect, test } from 'vitest';
import { RecordFormat } from '../../src/bytes/record.js';
import { thrown } from '../helpers/thrown.js';

const format = new RecordFormat([
  ['short', 2],
  ['word', 4],
  ['long', 8],
] as const);

const RECORD = { short: 0x0102, word: 0x03040506, long: 0x0708090a0b0c0d0en };

describe('a record of 2, 4 and 8 bytes', () => {
  test('has its fields one behind the other, in either byte order', () => {
    const bytes = new Uint8Array(14);
    format.encode(RECORD, bytes, 0, 'msb');
    expect(Buffer.from(bytes).toString('hex')).toBe('0102030405060708090a0b0c0d0e');
    expect(format.parseOne(bytes, 0, 'msb')).toEqual(RECORD);
    format.encode(RECORD, bytes, 0, 'lsb');
    expect(Buffer.from(bytes).toString('hex')).toBe('0201060504030e0d0c0b0a090807');
    expect(format.parseOne(bytes, 0, 'lsb')).toEqual(RECORD);
  });

  test('is written where it is told to, and nothing beside it', () => {
    const bytes = new Uint8Array(20).fill(0xff);
    format.encode(RECORD, bytes, 3, 'lsb');
    expect([...bytes.subarray(0, 3), ...bytes.subarray(17)]).toEqual(Array(6).fill(0xff));
    expect(format.parseOne(bytes, 3, 'lsb')).toEqual(RECORD);
  });

  test('takes the smallest and the largest value of each field', () => {
    for (const record of [
      { short: 0, word: 0, long: 0n },
      { short: 0xffff, word: 0xffffffff, long: (1n << 64n) - 1n },
    ]) {
      const bytes = new Uint8Array(14);
      format.encode(record, bytes, 0, 'lsb');
      expect(format.parseOne(bytes, 0, 'lsb')).toEqual(record);
    }
  });

  // DataView would store the value modulo its width.
  test.each([
    ['short', -1],
    ['short', 0x10000],
    ['word', 2 ** 32],
    ['long', -1n],
    ['long', 1n << 64n],
  ])('refuses %s = %s instead of wrapping it', (field, value) => {
    const encode = (): void => {
      format.encode({ ...RECORD, [field]: value }, new Uint8Array(14), 0, 'lsb');
    };
    expect(encode).toThrow(RangeError);
    expect(encode).toThrow(`${field} = `);
  });
});

test('records that the bytes do not hold whole are truncated input, with what is missing', () => {
  const bytes = new Uint8Array(3 * format.size);
  expect(format.parse(bytes, 0, 3, 'lsb')).toHaveLength(3);
  expect(thrown(() => format.parse(bytes, 1, 3, 'lsb'))).toMatchObject({
    kind: 'input',
    problem: 'truncated',
    details: { offset: 42, found: '42 bytes', expected: 'at least 43' },
  });
});
