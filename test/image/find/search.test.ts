import { describe, expect, test } from 'vitest';
import { findImage } from '../../../src/image/find/find.js';
import { scanPages } from '../../../src/image/find/scan.js';
import { Search } from '../../../src/image/find/search.js';
import { buildFdt, prop } from '../../fdt/build.js';
import { elfcorehdrBytes, note } from '../../helpers/elfcorehdr.js';
import { memoryOf } from '../../helpers/memory-of.js';
import { thrown } from '../../helpers/thrown.js';

// Whoever filled the memory decides how much in it looks like an image, and not how much of it is looked at.

const PAGE = 0x1000n;
const MIB = 1 << 20;
const FDT = buildFdt([prop('a', 'b')]);
const ELF = elfcorehdrBytes([note(0x1000n)]);
const VMCOREINFO = Buffer.from('\x0b\0\0\0\x10\0\0\0\0\0\0\0VMCOREINFO\0\0OSRELEASE=6.12\n\0', 'latin1');
const SETUP_HEADER = new Uint8Array(0x1000);
SETUP_HEADER.set(Buffer.from('HdrS'), 0x202);

const TOO_MANY = { kind: 'input', problem: 'too much of this memory looks like headers of a kdump image' };

/** So many pages that begin alike, which are one page of the file. */
function repeated(head: Uint8Array, count: number): ReturnType<typeof memoryOf> {
  const bytes = new Uint8Array(Number(PAGE));
  bytes.set(head);
  const pages = Array.from({ length: count }, (_, index) => ({
    address: BigInt(index) * PAGE,
    size: PAGE,
    fileOffset: 0n,
    fileSize: PAGE,
  }));
  return memoryOf(bytes, pages);
}

test.each([
  ['device trees', FDT, 'fdts'],
  ['elfcorehdrs', ELF, 'elfcorehdrs'],
  ['vmcoreinfo notes', VMCOREINFO, 'vmcoreinfos'],
] as const)('of %s 16,384 are kept, and one more is too many', (_, head, kind) => {
  expect(scanPages(repeated(head, 16_384), undefined)[kind]).toHaveLength(16_384);
  expect(thrown(() => scanPages(repeated(head, 16_385), undefined))).toMatchObject(TOO_MANY);
});

test('of boot parameters, too', () => {
  expect(() => scanPages(repeated(SETUP_HEADER, 16_384), undefined)).not.toThrow();
  expect(thrown(() => scanPages(repeated(SETUP_HEADER, 16_385), undefined))).toMatchObject(TOO_MANY);
});

describe('what all candidates together may cost', () => {
  test.each([
    ['fdts', 128 * MIB, 8192],
    ['elfcorehdrs', 16 * MIB, 4096],
  ] as const)('of %s: %d bytes, and %d for each at least', (what, all, least) => {
    const memory = memoryOf(new Uint8Array(0x1000));
    const large = new Search(memory, undefined);
    large.spend(what, all);
    expect(
      thrown(() => {
        large.spend(what, 1);
      }),
    ).toMatchObject(TOO_MANY);
    expect(large.isExhausted).toBe(true);
    const small = new Search(memory, undefined);
    for (let spent = 0; spent < all; spent += least) small.spend(what, 1);
    expect(
      thrown(() => {
        small.spend(what, 1);
      }),
    ).toMatchObject(TOO_MANY);
  });

  test('region tables are looked for in all of the memory twice, also by a search that is part of another', () => {
    const memory = memoryOf(new Uint8Array(0x3000));
    const search = new Search(memory, undefined);
    search.spend('tables', 0x3000);
    const part = new Search(memory, undefined, search);
    part.spend('tables', 0x3000);
    expect(
      thrown(() => {
        part.spend('tables', 1);
      }),
    ).toMatchObject(TOO_MANY);
    expect(
      thrown(() => {
        search.spend('tables', 1);
      }),
    ).toMatchObject(TOO_MANY);
    const ranged = new Search(memory, { start: 0n, end: PAGE });
    ranged.spend('tables', 2n * PAGE);
    expect(
      thrown(() => {
        ranged.spend('tables', 1);
      }),
    ).toMatchObject(TOO_MANY);
  });

  test('ends the search: device trees, each of all that follows', () => {
    const bytes = new Uint8Array(24 * MIB);
    for (let at = 0; at < bytes.length; at += 64 * 1024) {
      bytes.set(FDT, at);
      new DataView(bytes.buffer, at).setUint32(4, bytes.length - at);
    }
    expect(thrown(() => findImage(memoryOf(bytes), undefined))).toMatchObject(TOO_MANY);
  });

  test('ends the search: elfcorehdrs, each of as much as there can be', () => {
    const bytes = new Uint8Array(4 * MIB);
    const headers = elfcorehdrBytes([note(0x1000n)]);
    for (let at = 0; at < 16 * 4096; at += 4096) {
      bytes.set(headers, at);
      const view = new DataView(bytes.buffer, at);
      view.setUint16(18, 183, true);
      view.setUint16(56, 60_000, true);
    }
    expect(thrown(() => findImage(memoryOf(bytes), undefined))).toMatchObject(TOO_MANY);
  });
});
