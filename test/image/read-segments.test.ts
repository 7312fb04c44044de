import { describe, expect, test } from 'vitest';
import { readElfcorehdr, readFdt, statedElfcorehdrSize, statedFdtSize } from '../../src/image/read-segments.js';
import { buildFdt } from '../fdt/build.js';
import { elfcorehdrBytes, load, note } from '../helpers/elfcorehdr.js';
import { memoryOf } from '../helpers/memory-of.js';
import { thrown } from '../helpers/thrown.js';

/** Memory of 64 KiB with `bytes` at 0x1000. */
function memoryWith(bytes: Uint8Array): ReturnType<typeof memoryOf> {
  const memory = new Uint8Array(0x10000);
  memory.set(bytes, 0x1000);
  return memoryOf(memory);
}

const HEADERS = [note(0x1000n), load(0n, 0x10000n)];
const fdtWith = (totalSize: number): Uint8Array => {
  const blob = buildFdt([]);
  new DataView(blob.buffer).setUint32(4, totalSize);
  return blob;
};

describe('an elfcorehdr in memory', () => {
  const memory = memoryWith(elfcorehdrBytes(HEADERS));

  test('is read with its program headers', () => {
    expect(readElfcorehdr(memory, 0x1000n).programHeaders).toEqual(HEADERS);
    expect(readElfcorehdr(memory, 0x1000n, 64n + 2n * 56n).programHeaders).toEqual(HEADERS);
  });

  test.each([
    ['its header', 63n, 'truncated ELF header'],
    ['its program headers', 64n + 2n * 56n - 1n, 'the program headers do not fit the segment'],
  ])('in a segment that has no room for %s is damage', (_, room, problem) => {
    expect(thrown(() => readElfcorehdr(memory, 0x1000n, room))).toMatchObject({ kind: 'input', problem });
  });

  test('states its size in either byte order, where the file holds it', () => {
    expect(statedElfcorehdrSize(memory, 0x1000n)).toBeGreaterThanOrEqual(64 + 2 * 56);
    expect(statedElfcorehdrSize(memoryWith(elfcorehdrBytes(HEADERS, 'msb')), 0x1000n)).toBeGreaterThanOrEqual(64 + 2 * 56);
    expect(statedElfcorehdrSize(memory, 0xffd0n)).toBe(0);
  });
});

describe('an FDT in memory', () => {
  const blob = buildFdt([], { slack: 20 });
  const memory = memoryWith(blob);

  test('is read whole', () => {
    expect(readFdt(memory, 0x1000n).bytes).toEqual(blob);
    expect(readFdt(memory, 0x1000n, BigInt(blob.length)).bytes).toEqual(blob);
  });

  test.each([
    ['the segment is shorter', blob.length, BigInt(blob.length - 1), `at most ${blob.length - 1}`],
    ['it is larger than any can be', (64 << 20) + 1, 1n << 40n, 'at most 67108864'],
  ])('whose totalsize is too large is damage: %s', (_, totalSize, room, expected) => {
    expect(thrown(() => readFdt(memoryWith(fdtWith(totalSize)), 0x1000n, room))).toMatchObject({
      kind: 'input',
      problem: 'totalsize passes the end of the segment',
      details: { segment: 'fdt', offset: 4, found: String(totalSize), expected },
    });
  });

  test('that is none, or has no room for its header, is damage', () => {
    expect(thrown(() => readFdt(memory, 0x2000n))).toMatchObject({ kind: 'input', details: { segment: 'fdt' } });
    expect(thrown(() => readFdt(memory, 0x1000n, 39n))).toMatchObject({ kind: 'input', details: { segment: 'fdt' } });
  });

  test('states its size, where the file holds it and it is one', () => {
    expect(statedFdtSize(memory, 0x1000n)).toBe(blob.length);
    expect(statedFdtSize(memory, 0x2000n)).toBe(0);
    expect(statedFdtSize(memory, 0xfff0n)).toBe(0);
  });
});
