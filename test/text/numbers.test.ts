import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatSize, parseCpuId, parseCpuIds, parseMapping, parseNumber, parseRange, parseSize } from '../../src/text/numbers.js';
import { formatRange } from '../../src/memory/range.js';
import { processorTime } from '../helpers/processor-time.js';
import { thrown } from '../helpers/thrown.js';

const MAX = (1n << 64n) - 1n;
const u64 = fc.bigInt({ min: 0n, max: MAX });

const NOT_NUMBERS = [
  '',
  '0x',
  '-1',
  '+1',
  '1e9',
  ' 1',
  '1 ',
  '1\n',
  '1_000',
  '1.0',
  '0b1',
  '0o7',
  '0X10',
  '0xg',
  'ff',
  '٣',
  '１',
  'NaN',
  'Infinity',
  '1n',
  '18446744073709551616',
  '0x10000000000000000',
  '9'.repeat(65),
  `0x${'0'.repeat(63)}`,
  '1\0',
];

describe('parseNumber', () => {
  test.each([
    ['0', 0n],
    ['42', 42n],
    ['010', 10n],
    ['0x10', 16n],
    ['0xdeadBEEF', 0xdeadbeefn],
    ['18446744073709551615', MAX],
    ['0xffffffffffffffff', MAX],
    [`0x${'0'.repeat(60)}1`, 1n],
  ])('%j', (text, value) => {
    expect(parseNumber(text)).toBe(value);
  });

  test.each(NOT_NUMBERS)('refuses %j', (text) => {
    const { kind, details } = thrown(() => parseNumber(text));
    expect(kind).toBe('usage');
    expect(details.found).toBeDefined();
    expect(details.expected).toBeDefined();
  });

  test('says what a bare hexadecimal number lacks', () => {
    expect(thrown(() => parseNumber('8fffffff')).details.remedy).toContain('0x');
    expect(thrown(() => parseNumber('xyz')).details.remedy).toBeUndefined();
  });

  test('a number of a million digits is refused at once, and not quoted whole', () => {
    const started = processorTime();
    expect(thrown(() => parseNumber('9'.repeat(1_000_000))).message.length).toBeLessThan(300);
    expect(processorTime() - started).toBeLessThan(1000);
  });

  test('reads back what toString writes', () => {
    fc.assert(
      fc.property(u64, (value) => {
        expect(parseNumber(value.toString())).toBe(value);
        expect(parseNumber(`0x${value.toString(16)}`)).toBe(value);
        expect(parseNumber(`0x${value.toString(16).toUpperCase()}`)).toBe(value);
      }),
    );
  });
});

describe('parseSize', () => {
  test.each([
    ['0', 0n],
    ['1', 1n],
    ['1K', 1024n],
    ['640k', 655_360n],
    ['256M', 0x1000_0000n],
    ['1g', 0x4000_0000n],
    ['2T', 0x200_0000_0000n],
    ['0x10M', 0x100_0000n],
    ['0xfffffffffffff', 0xfffffffffffffn],
    ['16777215T', 16777215n << 40n],
    ['640KiB', 655_360n],
    ['256 MiB', 0x1000_0000n],
    ['1gib', 0x4000_0000n],
    ['0x10 TiB', 16n << 40n],
  ])('%j', (text, size) => {
    expect(parseSize(text)).toBe(size);
  });

  test.each([
    ...NOT_NUMBERS,
    'K',
    '0xK',
    '1KB',
    '1Ki',
    '1 KiB ',
    '1  KiB',
    '1\tKiB',
    '1KiBB',
    '1P',
    '1 K',
    '-1K',
    '1.5G',
    '16777216T',
    '1ſ',
    '1K1',
  ])('refuses %j', (text) => {
    const { kind, details } = thrown(() => parseSize(text));
    expect(kind).toBe('usage');
    expect(details.expected).toBeDefined();
  });
});

test.each([
  [0n, '0 bytes'],
  [1n, '1 byte'],
  [4097n, '4097 bytes'],
  [655_360n, '640 KiB'],
  [0x1000_0000n, '256 MiB'],
  [1n << 50n, '1024 TiB'],
  [63_332n, '63332 bytes'],
  [524_224n << 10n, '511.93 MiB'],
  [(1n << 30n) - 1n, '1023.99 MiB'],
  [7n << 28n, '1.75 GiB'],
])('formatSize(%s) is %s', (size, text) => {
  expect(formatSize(size)).toBe(text);
});

test('formatSize never says more than there is, nor less than 99 %', () => {
  fc.assert(
    fc.property(u64, (size) => {
      const [, number = '', unit = ''] = /^([0-9.]+) (?:([KMGT])iB|bytes?)$/.exec(formatSize(size)) ?? [];
      const said = Number(number) * 1024 ** ' KMGT'.indexOf(unit === '' ? ' ' : unit);
      expect(said).toBeLessThanOrEqual(Number(size));
      expect(said).toBeGreaterThanOrEqual(Number(size) * 0.99);
    }),
  );
});

test('parseSize reads back what formatSize writes of whole units', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 1n, max: 1023n }), fc.constantFrom(10n, 20n, 30n, 40n), (count, shift) => {
      expect(parseSize(formatSize(count << shift))).toBe(count << shift);
    }),
  );
});

describe('what is wrong with a number, size or range is named for what it is', () => {
  test.each([
    [parseNumber, '-1', /negative/],
    [parseNumber, ' 1', /blanks in a number.*"1"/],
    [parseSize, '-1K', /negative/],
    [parseSize, '1.5G', /fraction.*smaller unit/],
    [parseSize, '256MB', /decimal unit.*256M, or 256MiB/],
    [parseSize, '256 M', /blanks in a size.*"256M"/],
    [parseRange, '0x80000000 + 256M', /blanks in a range.*"0x80000000\+256M"/],
    [parseRange, '0x80000000 - 0x8fffffff', /blanks in a range.*"0x80000000-0x8fffffff"/],
    [parseRange, '-0x1000+1M', /negative/],
    [parseRange, '0x1000+-1M', /negative/],
    [parseRange, '-0x8fffffff', /no start/],
    [parseRange, '0x80000000-', /no end/],
    [parseRange, '0x80000000+', /no size/],
    [parseRange, '0x90000000-0x80000000', /backwards.*did you mean 0x80000000-0x90000000\?/],
    [parseRange, '0x80000000-256M', /ends with a size.*did you mean 0x80000000\+256M\?/],
    [parseRange, '0x80000000+0', /empty/],
    [parseRange, 'all', /not a range/],
    [parseCpuIds, '1, 2', /blanks in a list of CPU ids.*"1,2"/],
    [parseCpuIds, '-1', /no start/],
    [parseCpuIds, '4-', /no end/],
    [parseCpuIds, '3-1', /backwards/],
  ])('%o %j', (parse, text, message) => {
    expect(thrown(() => parse(text)).message).toMatch(message);
  });
});

describe('parseRange', () => {
  test.each([
    ['0x80000000+256M', 0x8000_0000n, 0x9000_0000n],
    ['0x80000000-0x8fffffff', 0x8000_0000n, 0x9000_0000n],
    ['0+1', 0n, 1n],
    ['0-0', 0n, 1n],
    ['0-0xffffffffffffffff', 0n, 1n << 64n],
    ['0xffffffffffffffff+1', MAX, 1n << 64n],
    ['4096-8191', 4096n, 8192n],
    ['0x80000000+256 MiB', 0x8000_0000n, 0x9000_0000n],
  ])('%j', (text, start, end) => {
    expect(parseRange(text)).toEqual({ start, end });
  });

  test.each(['', '0', '+', '-', '1-', '-1', '1+', '+1', '1+0', '2-1', '1-2-3', '1+2+3', '1+-1', '0xffffffffffffffff+2', '1-1M', '1..2'])(
    'refuses %j',
    (text) => {
      expect(thrown(() => parseRange(text)).kind).toBe('usage');
    },
  );

  test('reads back what formatRange writes', () => {
    fc.assert(
      fc.property(u64, u64, (a, b) => {
        const range = a < b ? { start: a, end: b + 1n } : { start: b, end: a + 1n };
        expect(parseRange(formatRange(range))).toEqual(range);
      }),
    );
  });
});

describe('parseCpuIds', () => {
  test.each([
    ['2', [2]],
    ['8-15', [8, 9, 10, 11, 12, 13, 14, 15]],
    ['0x10,3,1-2,2', [1, 2, 3, 16]],
    ['4294967295', [0xffff_ffff]],
    ['0xfffffffe-0xffffffff', [0xffff_fffe, 0xffff_ffff]],
    ['5-5', [5]],
  ])('%j', (text, ids) => {
    expect(parseCpuIds(text)).toEqual(ids);
  });

  test('takes 65,536 ids and not one more', () => {
    expect(parseCpuIds('0-65535')).toHaveLength(65_536);
    expect(thrown(() => parseCpuIds('0-65536')).details.expected).toContain('65536');
    expect(thrown(() => parseCpuIds('0-0xffffffff')).kind).toBe('usage');
  });

  test.each(['', ',', '1,', ',1', '1,,2', '1, 2', '-1', '1-', '1-2-3', '3-1', '4294967296', '1-1e3', 'all'])('refuses %j', (text) => {
    expect(thrown(() => parseCpuIds(text)).kind).toBe('usage');
  });

  test('ascending, each once, whatever the order', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 0xffff_ffff }), { minLength: 1 }), (ids) => {
        expect(parseCpuIds(ids.join(','))).toEqual([...new Set(ids)].sort((a, b) => a - b));
      }),
    );
  });
});

test('parseCpuId', () => {
  expect(parseCpuId('0x2')).toBe(2);
  expect(thrown(() => parseCpuId('0x100000000')).kind).toBe('usage');
});

describe('parseMapping', () => {
  test('offset, address and size', () => {
    expect(parseMapping('0x80000000:0x100000000:2G')).toEqual({ fileOffset: 0x8000_0000n, address: 0x1_0000_0000n, size: 0x8000_0000n });
    expect(parseMapping('0:0xffffffffffff0000:0x10000').address).toBe(0xffff_ffff_ffff_0000n);
  });

  test.each(['', '0:0', '0:0:0', '0:0:1:1', ':0:1', '0x1:0xffffffffffffffff:2', '0x1fffffffffffff:0:1', '0-0:1:1'])(
    'refuses %j',
    (text) => {
      expect(thrown(() => parseMapping(text)).kind).toBe('usage');
    },
  );
});
