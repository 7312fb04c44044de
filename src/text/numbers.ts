import { KdumpError, hex } from '../errors.js';
import { ADDRESS_SPACE_END, type Range } from '../memory/range.js';
import { excerpt } from './excerpt.js';

/** Highest CPU id: one cell of a CPU node's `reg`. */
export const MAX_CPU_ID = 0xffff_ffff;
/** Most CPU ids in one list, so that a mistyped range cannot ask for four thousand million of them. */
export const MAX_CPU_IDS = 65_536;

const NUMBER = /^(?:0x[0-9a-fA-F]+|[0-9]+)$/;
// BigInt takes quadratic time on decimal digits, so the length is checked before it sees them.
const LONGEST_NUMBER = 64;
const HEX_WITHOUT_PREFIX = /^[0-9a-fA-F]{1,16}$/;
const UNITS = ['K', 'M', 'G', 'T'] as const;
const SIZE = /^(0x[0-9a-fA-F]+|[0-9]+)(?:([KMGT])| ?([KMGT])iB)?$/i;
const NEGATIVE = /^-(?:0x)?[0-9a-f]/i;
const BLANK = /\s/;

/** A piece of a raw file: `size` bytes from `fileOffset` on are physical memory from `address` on. */
export interface Mapping {
  readonly fileOffset: bigint;
  readonly address: bigint;
  readonly size: bigint;
}

/**
 * A decimal or `0x` number from 0 to 2^64 - 1, as every operand of the command line and every number string of a change file is written.
 *
 * @throws KdumpError `usage` for anything else: signs, blanks, exponents, other digits than ASCII ones
 */
export function parseNumber(text: string): bigint {
  if (text.length > LONGEST_NUMBER) throw wrong('number is too long', text, `at most ${LONGEST_NUMBER} characters`);
  if (!NUMBER.test(text)) {
    if (BLANK.test(text)) throw blanks('number', text, 'a decimal or 0x number');
    if (NEGATIVE.test(text)) throw wrong('number is negative', text, 'a decimal or 0x number from 0 on');
    throw wrong(
      'not a number',
      text,
      'a decimal or 0x number',
      HEX_WITHOUT_PREFIX.test(text) ? 'write a hexadecimal number with 0x in front' : undefined,
    );
  }
  const value = BigInt(text);
  if (value >= ADDRESS_SPACE_END) throw wrong('number is too large', text, 'at most 0xffffffffffffffff');
  return value;
}

/**
 * A number of bytes: a number as above, with an optional unit: K, M, G or T, or as {@link formatSize} prints it KiB, MiB, GiB or TiB, also after a
 * blank. All are powers of 1024, in either case.
 *
 * @throws KdumpError `usage`, also when the product passes 2^64 - 1
 */
export function parseSize(text: string): bigint {
  if (text.length > LONGEST_NUMBER) throw wrong('size is too long', text, `at most ${LONGEST_NUMBER} characters`);
  const [, digits, letter, printed = ''] = SIZE.exec(text) ?? [];
  if (digits === undefined) throw notASize(text);
  const unit = UNITS.indexOf((letter ?? printed).toUpperCase() as (typeof UNITS)[number]);
  const size = parseNumber(digits) << (10n * BigInt(unit + 1));
  if (size >= ADDRESS_SPACE_END) throw wrong('size is too large', text, 'less than 2^64 bytes');
  return size;
}

function notASize(text: string): KdumpError {
  const expected = 'a decimal or 0x number, with K, M, G or T (or KiB, MiB, GiB, TiB) after it if need be';
  if (BLANK.test(text)) return blanks('size', text, expected);
  if (NEGATIVE.test(text)) return wrong('size is negative', text, expected);
  if (/^[0-9]+[.,][0-9]/.test(text)) return wrong('size has a fraction', text, expected, 'write it in a smaller unit');
  const [, decimal] = /^([0-9]+[KMGT])B$/i.exec(text) ?? [];
  if (decimal === undefined) return wrong('not a size', text, expected);
  return wrong('size in a decimal unit', text, expected, `for a power of 1024 write ${decimal}, or ${decimal}iB`);
}

/**
 * `START+SIZE`, or `START-END` with END inclusive as in /proc/iomem.
 *
 * @throws KdumpError `usage` when it is neither, is empty, open at one end, runs backwards, or passes 2^64
 */
export function parseRange(text: string): Range {
  const expected = 'START+SIZE, or START-END with END inclusive';
  const [, first = '', separator, last = ''] = /^([^+-]*)([+-])(.*)$/s.exec(text) ?? [];
  if (separator === undefined) throw wrong('not a range', text, expected);
  if (BLANK.test(separator === '+' && SIZE.test(last) ? first : text)) throw blanks('range', text, expected);
  if (first === '') throw wrong(/[+-]/.test(last) ? 'range starts with a negative number' : 'range has no start', text, expected);
  if (last === '') throw wrong(separator === '+' ? 'range has no size' : 'range has no end', text, expected);
  const start = parseNumber(first);
  if (separator === '-' && SIZE.test(last) && !NUMBER.test(last)) {
    throw wrong('range ends with a size', text, expected, `did you mean ${first}+${last}?`);
  }
  const end = separator === '+' ? start + parseSize(last) : parseNumber(last) + 1n;
  if (separator === '-' && end <= start) throw wrong('range runs backwards', text, 'START at most END', `did you mean ${last}-${first}?`);
  if (end <= start) throw wrong('range is empty', text, 'at least one byte');
  if (end > ADDRESS_SPACE_END) throw wrong('range passes the end of the address space', text, 'an end of at most 0xffffffffffffffff');
  return { start, end };
}

/**
 * CPU ids as in `reg` of their nodes: numbers and inclusive ranges (`8-15`), separated by commas.
 *
 * @returns the ids, ascending, each once
 * @throws KdumpError `usage`, also for an id above 2^32 - 1 and for more than 65,536 ids
 */
export function parseCpuIds(text: string): number[] {
  const expected = 'numbers or ranges such as 8-15, separated by commas';
  if (BLANK.test(text)) throw blanks('list of CPU ids', text, expected);
  const ids = new Set<number>();
  let asked = 0;
  for (const item of text.split(',')) {
    const [first = '', last = first, ...more] = item.split('-');
    if (item === '' || more.length > 0) throw wrong('not a list of CPU ids', text, expected);
    if (first === '') throw wrong('range of CPU ids has no start', item, expected);
    if (last === '') throw wrong('range of CPU ids has no end', item, expected);
    const from = parseCpuId(first);
    const to = parseCpuId(last);
    if (to < from) throw wrong('range of CPU ids runs backwards', item, `${last}-${first}`);
    asked += to - from + 1;
    if (asked > MAX_CPU_IDS) throw wrong('too many CPU ids', text, `at most ${MAX_CPU_IDS}`);
    for (let id = from; id <= to; id += 1) ids.add(id);
  }
  return [...ids].sort((a, b) => a - b);
}

/** @throws KdumpError `usage` when it is not a number from 0 to 2^32 - 1 */
export function parseCpuId(text: string): number {
  const id = parseNumber(text);
  if (id > MAX_CPU_ID) throw wrong('CPU id is too large', text, `at most ${hex(MAX_CPU_ID)}`);
  return Number(id);
}

/**
 * `<file-offset>:<addr>:<size>` of `--map`.
 *
 * @throws KdumpError `usage`, also when the piece is empty, passes 2^64, or ends in the file beyond 2^53 - 1
 */
export function parseMapping(text: string): Mapping {
  const [fileOffsetText, addressText, sizeText, ...more] = text.split(':');
  if (fileOffsetText === undefined || addressText === undefined || sizeText === undefined || more.length > 0) {
    throw wrong('not a mapping', text, '<file-offset>:<addr>:<size>');
  }
  const fileOffset = parseSize(fileOffsetText);
  const address = parseSize(addressText);
  const size = parseSize(sizeText);
  if (size === 0n) throw wrong('mapping is empty', text, 'a size of at least one byte');
  if (address + size > ADDRESS_SPACE_END) throw wrong('mapping passes the end of the address space', text, 'an end of at most 2^64');
  if (fileOffset + size > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw wrong('mapping ends beyond the largest file position', text, 'at most 2^53 - 1');
  }
  return { fileOffset, address, size };
}

/**
 * A number of bytes for people, to two decimals: `256 MiB`, `1.75 GiB`, `4097 bytes`. Whole units are exact; a fraction is cut off, never rounded up
 * to more than there is, and has exact addresses beside it.
 */
export function formatSize(size: bigint): string {
  let unit = 0;
  while (unit < UNITS.length && size >> (10n * BigInt(unit + 1)) > 0n) unit += 1;
  if (unit === 0 || (unit === 1 && size % 1024n !== 0n)) return `${size} ${size === 1n ? 'byte' : 'bytes'}`;
  const hundredths = (size * 100n) >> (10n * BigInt(unit));
  const fraction = String(hundredths % 100n)
    .padStart(2, '0')
    .replace(/0+$/, '');
  return `${hundredths / 100n}${fraction === '' ? '' : `.${fraction}`} ${UNITS[unit - 1] ?? ''}iB`;
}

/** A number of bytes: a JSON number while it is exact, else a string. */
export function sizeToJson(size: bigint): number | string {
  return size <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(size) : hex(size);
}

function blanks(what: string, text: string, expected: string): KdumpError {
  return wrong(`blanks in a ${what}`, text, expected, `write it without them: ${excerpt(text.replace(/\s+/g, ''))}`);
}

function wrong(problem: string, text: string, expected: string, remedy?: string): KdumpError {
  return new KdumpError('usage', problem, { found: excerpt(text), expected, ...(remedy === undefined ? {} : { remedy }) });
}
