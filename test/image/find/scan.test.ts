import { describe, expect, test } from 'vitest';
import { scanPages, windows } from '../../../src/image/find/scan.js';
import { elfcorehdrBytes, load, note } from '../../helpers/elfcorehdr.js';
import { memoryOf } from '../../helpers/memory-of.js';

const FDT = Uint8Array.of(0xd0, 0x0d, 0xfe, 0xed);
const ELF = elfcorehdrBytes([note(0x1000n), load(0n, 0x10000n)]);

/** Eight pages, of which some begin with `heads`. */
function pages(heads: Readonly<Record<number, Uint8Array>>, size = 0x8000): Uint8Array {
  const bytes = new Uint8Array(size);
  for (const [at, head] of Object.entries(heads)) bytes.set(head, Number(at));
  return bytes;
}

describe('scanPages', () => {
  test('finds both kinds of headers where pages begin', () => {
    const memory = memoryOf(pages({ 0x1000: FDT, 0x2800: FDT, 0x3000: ELF, 0x5000: FDT }));
    expect(scanPages(memory, undefined)).toMatchObject({ fdts: [0x1000n, 0x5000n], elfcorehdrs: [0x3000n] });
  });

  test.each(['lsb', 'msb'] as const)('finds an elfcorehdr of either byte order: %s', (order) => {
    const memory = memoryOf(pages({ 0x3000: elfcorehdrBytes([note(0x1000n)], order) }));
    expect(scanPages(memory, undefined).elfcorehdrs).toEqual([0x3000n]);
  });

  test('leaves out ELF files that are no 64-bit core dumps', () => {
    const [class32, executable] = [ELF.slice(), ELF.slice()];
    class32[4] = 1;
    executable[16] = 2;
    expect(scanPages(memoryOf(pages({ 0x1000: class32, 0x3000: executable })), undefined).elfcorehdrs).toEqual([]);
  });

  test('goes by physical addresses, piece by piece, and only by what is stored', () => {
    const memory = memoryOf(pages({ 0x0800: FDT, 0x3000: FDT, 0x7000: FDT }), [
      { address: 0x100800n, size: 0x2000n, fileOffset: 0n, fileSize: 0x2000n },
      { address: 0x200000n, size: 0x9000n, fileOffset: 0x3000n, fileSize: 0x1000n },
    ]);
    expect(scanPages(memory, undefined).fdts).toEqual([0x101000n, 0x200000n]);
  });

  test.each([
    ['all of it', 0n, 0x8000n, ['1000', '5000']],
    ['from a page on', 0x1000n, 0x2000n, ['1000']],
    ['from behind the start of one', 0x1001n, 0x6000n, ['5000']],
    ['up to a page', 0n, 0x1000n, []],
    ['less than what a header takes', 0x1000n, 0x1020n, []],
    ['inside one page', 0x1100n, 0x1300n, []],
    ['elsewhere', 0x10000n, 0x20000n, []],
  ])('looks only into the range that it is given: %s', (_, start, end, found) => {
    const memory = memoryOf(pages({ 0x1000: FDT, 0x5000: FDT }));
    expect(scanPages(memory, { start, end }).fdts.map((address) => address.toString(16))).toEqual(found);
  });
});

test('windows follow each other, each with the last bytes of the one before', () => {
  const size = (5 << 20) / 2;
  const bytes = Uint8Array.from({ length: size }, (_, index) => index % 251);
  const seen: number[][] = [];
  for (const { address, bytes: window } of windows(memoryOf(bytes), { start: 8n, end: BigInt(size) }, 16)) {
    expect(Buffer.compare(window, bytes.subarray(Number(address), Number(address) + window.length))).toBe(0);
    seen.push([Number(address), window.length]);
  }
  const MIB = 1 << 20;
  expect(seen).toEqual([
    [8, MIB],
    [8 + MIB - 16, MIB + 16],
    [8 + 2 * MIB - 16, size - 8 - 2 * MIB + 16],
  ]);
});
