import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  elfcorehdrSize,
  encodeElfcorehdr,
  parseElfcorehdr,
  parseElfcorehdrHeader,
  programHeaderCapacity,
} from '../../src/elf/elfcorehdr.js';
import type { ProgramHeader } from '../../src/elf/records.js';
import { CAPTURES } from '../helpers/capture-image.js';
import { elfcorehdr, elfcorehdrBytes, load, note } from '../helpers/elfcorehdr.js';
import { processorTime } from '../helpers/processor-time.js';
import { thrown } from '../helpers/thrown.js';

const ORDERS = ['lsb', 'msb'] as const;
const U64 = 1n << 64n;

describe('golden bytes', () => {
  const example = [note(0x7f918000n), load(0x10000n, 0x20000000n)];

  test('little-endian', () => {
    // prettier-ignore
    const wanted = [
      0x7f, 0x45, 0x4c, 0x46,  0x02, 0x01, 0x01, 0x00, // 0x00 magic, ELFCLASS64, ELFDATA2LSB, EV_CURRENT, ELFOSABI_NONE
      0x00, 0x00, 0x00, 0x00,  0x00, 0x00, 0x00, 0x00, // 0x08 padding
      0x04, 0x00, 0x15, 0x00,  0x01, 0x00, 0x00, 0x00, // 0x10 e_type ET_CORE, e_machine EM_PPC64, e_version 1
      0x00, 0x00, 0x00, 0x00,  0x00, 0x00, 0x00, 0x00, // 0x18 e_entry 0
      0x40, 0x00, 0x00, 0x00,  0x00, 0x00, 0x00, 0x00, // 0x20 e_phoff 64
      0x00, 0x00, 0x00, 0x00,  0x00, 0x00, 0x00, 0x00, // 0x28 e_shoff 0
      0x00, 0x00, 0x00, 0x00,  0x40, 0x00, 0x38, 0x00, // 0x30 e_flags 0, e_ehsize 64, e_phentsize 56
      0x02, 0x00, 0x00, 0x00,  0x00, 0x00, 0x00, 0x00, // 0x38 e_phnum 2, no sections
      0x04, 0x00, 0x00, 0x00,  0x00, 0x00, 0x00, 0x00, // 0x40 p_type PT_NOTE, p_flags 0
      0x00, 0x80, 0x91, 0x7f,  0x00, 0x00, 0x00, 0x00, // 0x48 p_offset 0x7f918000
      0x00, 0x00, 0x00, 0x00,  0x00, 0x00, 0x00, 0x00, // 0x50 p_vaddr 0
      0x00, 0x80, 0x91, 0x7f,  0x00, 0x00, 0x00, 0x00, // 0x58 p_paddr 0x7f918000
      0x18, 0x02, 0x00, 0x00,  0x00, 0x00, 0x00, 0x00, // 0x60 p_filesz 0x218
      0x18, 0x02, 0x00, 0x00,  0x00, 0x00, 0x00, 0x00, // 0x68 p_memsz 0x218
      0x00, 0x00, 0x00, 0x00,  0x00, 0x00, 0x00, 0x00, // 0x70 p_align 0
      0x01, 0x00, 0x00, 0x00,  0x07, 0x00, 0x00, 0x00, // 0x78 p_type PT_LOAD, p_flags RWX
      0x00, 0x00, 0x01, 0x00,  0x00, 0x00, 0x00, 0x00, // 0x80 p_offset 0x10000
      0x00, 0x00, 0x01, 0x00,  0x00, 0x00, 0x00, 0xc0, // 0x88 p_vaddr 0xc000000000010000
      0x00, 0x00, 0x01, 0x00,  0x00, 0x00, 0x00, 0x00, // 0x90 p_paddr 0x10000
      0x00, 0x00, 0xff, 0x1f,  0x00, 0x00, 0x00, 0x00, // 0x98 p_filesz 0x1fff0000
      0x00, 0x00, 0xff, 0x1f,  0x00, 0x00, 0x00, 0x00, // 0xa0 p_memsz 0x1fff0000
      0x00, 0x00, 0x00, 0x00,  0x00, 0x00, 0x00, 0x00, // 0xa8 p_align 0
    ];
    expect([...elfcorehdrBytes(example)]).toEqual(wanted);
  });

  test('big-endian: only e_ident is the same', () => {
    const bytes = elfcorehdrBytes(example, 'msb');
    // prettier-ignore
    expect([...bytes.subarray(0, 0x28)]).toEqual([
      0x7f, 0x45, 0x4c, 0x46,  0x02, 0x01, 0x01, 0x00, // 0x00 EI_DATA stays ELFDATA2LSB, as the kernel writes it on either
      0x00, 0x00, 0x00, 0x00,  0x00, 0x00, 0x00, 0x00, // 0x08 padding
      0x00, 0x04, 0x00, 0x15,  0x00, 0x00, 0x00, 0x01, // 0x10 e_type, e_machine, e_version
      0x00, 0x00, 0x00, 0x00,  0x00, 0x00, 0x00, 0x00, // 0x18 e_entry
      0x00, 0x00, 0x00, 0x00,  0x00, 0x00, 0x00, 0x40, // 0x20 e_phoff 64
    ]);
    // prettier-ignore
    expect([...bytes.subarray(0x78, 0x90)]).toEqual([
      0x00, 0x00, 0x00, 0x01,  0x00, 0x00, 0x00, 0x07, // 0x78 PT_LOAD, RWX
      0x00, 0x00, 0x00, 0x00,  0x00, 0x01, 0x00, 0x00, // 0x80 p_offset 0x10000
      0xc0, 0x00, 0x00, 0x00,  0x00, 0x01, 0x00, 0x00, // 0x88 p_vaddr
    ]);
    expect(parseElfcorehdr(bytes)).toEqual(elfcorehdr(example, 'msb'));
  });
});

const anyU64 = fc.bigInt({ min: 0n, max: U64 - 1n });
const anyProgramHeader = fc
  .record({
    type: fc.oneof(fc.constantFrom(0, 1, 3, 4, 0x6fffffff), fc.nat({ max: 0xffffffff })),
    flags: fc.nat({ max: 0xffffffff }),
    offset: anyU64,
    vaddr: anyU64,
    paddr: anyU64,
    filesz: anyU64,
    memsz: anyU64,
    align: anyU64,
  })
  .map((header): ProgramHeader => {
    const memsz = header.paddr + header.memsz > U64 ? U64 - header.paddr : header.memsz;
    const filesz = header.offset + header.filesz > U64 ? U64 - header.offset : header.filesz;
    return { ...header, memsz, filesz: filesz > memsz ? memsz : filesz };
  });

describe('parse and encode', () => {
  test.each(ORDERS)('%s: parse(encode(x)) = x, for any program headers', (order) => {
    fc.assert(
      fc.property(
        fc.array(anyProgramHeader, { minLength: 1, maxLength: 20 }),
        fc.uint8Array({ maxLength: 100 }),
        (programHeaders, tail) => {
          const value = elfcorehdr(programHeaders, order);
          const bytes = encodeElfcorehdr(value);
          // Whatever lies behind the last program header is not a part of it.
          expect(parseElfcorehdr(Uint8Array.from([...bytes, ...tail]))).toEqual(value);
          expect(Buffer.compare(encodeElfcorehdr(parseElfcorehdr(bytes)), bytes)).toBe(0);
        },
      ),
    );
  });

  const captured = readdirSync(CAPTURES).flatMap((guest) =>
    readdirSync(join(CAPTURES, guest), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => `${guest}/${name}`),
  );

  test.each(captured)('%s: encode(parse(x)) = x', (path) => {
    const bytes = readFileSync(join(CAPTURES, path, 'elfcorehdr.bin'));
    const encoded = encodeElfcorehdr(parseElfcorehdr(bytes));
    expect(Buffer.compare(encoded, bytes.subarray(0, encoded.length))).toBe(0);
  });

  // e_ident is cut out with slice(), which for a Buffer is a view of the same bytes.
  test('what was parsed does not change with the buffer it was read from', () => {
    const bytes = Buffer.from(elfcorehdrBytes([note(0x1000n)]));
    const parsed = parseElfcorehdr(bytes);
    bytes.fill(0);
    expect(parsed.header.ident[0]).toBe(0x7f);
  });

  test('random bytes never give anything but a result or an input error', () => {
    const base = elfcorehdrBytes([note(0x1000n), load(0x10000n, 0x20000n)]);
    const mutation = fc.array(fc.tuple(fc.nat({ max: base.length - 1 }), fc.nat({ max: 255 })), { maxLength: 6 });
    fc.assert(
      fc.property(mutation, fc.nat({ max: base.length }), (changes, length) => {
        const bytes = base.slice(0, length);
        for (const [at, value] of changes) if (at < length) bytes[at] = value;
        try {
          parseElfcorehdr(bytes);
        } catch (error) {
          expect(error).toMatchObject({ name: 'KdumpError', kind: 'input' });
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe.each(ORDERS)('one mutation, one error (%s)', (order) => {
  const little = order === 'lsb';
  const base = [note(0x1000n), load(0x10000n, 0x20000n)];
  const mangled = (mangle: (view: DataView, bytes: Uint8Array) => void): Uint8Array => {
    const bytes = Uint8Array.from([...elfcorehdrBytes(base, order), ...new Uint8Array(64)]);
    mangle(new DataView(bytes.buffer), bytes);
    return bytes;
  };
  const u8 = (at: number, value: number) => (view: DataView) => {
    view.setUint8(at, value);
  };
  const u16 = (at: number, value: number) => (view: DataView) => {
    view.setUint16(at, value, little);
  };
  const u32 = (at: number, value: number) => (view: DataView) => {
    view.setUint32(at, value, little);
  };
  const u64 = (at: number, value: bigint) => (view: DataView) => {
    view.setBigUint64(at, value, little);
  };
  const error = (mangle: (view: DataView) => void) => thrown(() => parseElfcorehdr(mangled(mangle)));

  test('the base is valid, and so is a mutation that changes nothing', () => {
    expect(parseElfcorehdr(mangled(() => undefined)).programHeaders).toEqual(base);
    expect(parseElfcorehdr(mangled(u16(56, 2))).programHeaders).toEqual(base);
  });

  test.each([0, 1, 4, 63])('case 1: %d bytes', (length) => {
    expect(thrown(() => parseElfcorehdr(elfcorehdrBytes(base, order).subarray(0, length)))).toMatchObject({
      kind: 'input',
      problem: 'truncated ELF header',
      details: { found: `${length} bytes` },
    });
  });

  test.each([0, 1, 2, 3])('case 2: bad magic, byte %d', (at) => {
    expect(error(u8(at, 0))).toMatchObject({ problem: 'not an ELF header', details: { offset: 0 } });
  });

  test.each([0, 1, 3])('case 3: EI_CLASS %d', (value) => {
    expect(error(u8(4, value))).toMatchObject({ problem: 'wrong EI_CLASS', details: { offset: 4, found: `0x${value}` } });
  });

  test.each([0, 3])('case 4: EI_DATA %d', (value) => {
    expect(error(u8(5, value))).toMatchObject({ problem: 'wrong EI_DATA', details: { offset: 5 } });
  });

  test('case 4: either EI_DATA is read by the byte order of the fields, and kept', () => {
    for (const data of [1, 2]) {
      const bytes = mangled(u8(5, data));
      const parsed = parseElfcorehdr(bytes);
      expect(parsed.header.byteOrder).toBe(order);
      expect(encodeElfcorehdr(parsed)[5]).toBe(data);
    }
  });

  test('case 5: EI_VERSION and e_version', () => {
    expect(error(u8(6, 0))).toMatchObject({ problem: 'wrong EI_VERSION', details: { offset: 6 } });
    expect(error(u32(20, 2))).toMatchObject({ details: { offset: 20 } });
    expect(error(u32(20, 0))).toMatchObject({ details: { offset: 20 } });
  });

  test.each([0, 1, 2, 3, 5, 0xffff])('case 6: e_type %d', (value) => {
    expect(error(u16(16, value))).toMatchObject({ problem: 'wrong e_type', details: { offset: 16, found: String(value), expected: '4' } });
  });

  test.each([0, 8, 63, 65, 0xffff])('case 8: e_ehsize %d', (value) => {
    expect(error(u16(52, value))).toMatchObject({ problem: 'wrong e_ehsize', details: { offset: 52, found: String(value) } });
  });

  test.each([0, 1, 55, 57, 0xffff])('case 9: e_phentsize %d', (value) => {
    expect(error(u16(54, value))).toMatchObject({ problem: 'wrong e_phentsize', details: { offset: 54, found: String(value) } });
  });

  test('case 10: e_phnum 0', () => {
    expect(error(u16(56, 0))).toMatchObject({ problem: 'wrong e_phnum', details: { offset: 56, found: '0' } });
  });

  test('cases 11 and 12: PN_XNUM, with any section header fields', () => {
    for (const shoff of [0n, 64n]) {
      expect(
        thrown(() =>
          parseElfcorehdr(
            mangled((view) => {
              u16(56, 0xffff)(view);
              u64(40, shoff)(view);
              u16(60, 1)(view);
            }),
          ),
        ),
      ).toMatchObject({
        problem: 'wrong e_phnum',
        details: { found: '65535' },
      });
    }
    expect(() => encodeElfcorehdr(elfcorehdr(new Array<ProgramHeader>(0xffff).fill(note(0n)), order))).toThrow(RangeError);
  });

  test('cases 13 and 25: more program headers than the segment holds', () => {
    expect(error(u16(56, 65534))).toMatchObject({ details: { offset: 56, found: expect.stringContaining('65534') as string } });
    expect(error(u16(56, 4))).toMatchObject({ problem: 'the program headers do not fit the segment' });
  });

  test.each([0n, 63n, 65n, 1n << 63n, U64 - 56n])('case 15: e_phoff %d', (value) => {
    expect(error(u64(32, value))).toMatchObject({ problem: 'wrong e_phoff', details: { offset: 32, found: String(value) } });
  });

  test('case 16: section header fields are not followed, and kept', () => {
    const bytes = mangled((view) => {
      u64(40, 64n)(view);
      u16(58, 64)(view);
      u16(60, 9)(view);
      u16(62, 1)(view);
    });
    const parsed = parseElfcorehdr(bytes);
    expect(parsed.programHeaders).toEqual(base);
    expect(Buffer.compare(encodeElfcorehdr(parsed), bytes.subarray(0, elfcorehdrSize(2)))).toBe(0);
  });

  test('case 17: p_offset + p_filesz wraps', () => {
    expect(error(u64(64 + 56 + 8, U64 - 1n))).toMatchObject({
      problem: expect.stringMatching(/^program header 1: p_offset/) as string,
      details: { offset: 120 },
    });
  });

  test('case 18: p_paddr + p_memsz wraps, or ends at 2^64', () => {
    expect(error(u64(64 + 56 + 24, U64 - 0xffffn))).toMatchObject({
      problem: expect.stringMatching(/^program header 1: p_paddr/) as string,
    });
    expect(parseElfcorehdr(mangled(u64(64 + 56 + 24, U64 - 0x10000n))).programHeaders[1]?.paddr).toBe(U64 - 0x10000n);
  });

  test('case 19: p_filesz larger than p_memsz; a PT_LOAD of size 0 is kept', () => {
    expect(error(u64(64 + 56 + 40, 0xffffn))).toMatchObject({ problem: 'program header 1: p_filesz is out of range' });
    const empty = mangled((view) => {
      u64(64 + 56 + 32, 0n)(view);
      u64(64 + 56 + 40, 0n)(view);
    });
    expect(parseElfcorehdr(empty).programHeaders[1]?.memsz).toBe(0n);
  });

  test('case 22: 65,533 PT_NOTEs in under a second', () => {
    const many = elfcorehdrBytes([...new Array<ProgramHeader>(65533).fill(note(0x1000n)), load(0n, 0x1000n)], order);
    const start = processorTime();
    expect(parseElfcorehdr(many).programHeaders).toHaveLength(65534);
    expect(processorTime() - start).toBeLessThan(1000);
  });

  test('case 23: unknown types are kept to the byte', () => {
    const bytes = mangled(u32(64 + 56, 0x6fffffff));
    expect(Buffer.compare(encodeElfcorehdr(parseElfcorehdr(bytes)), bytes.subarray(0, elfcorehdrSize(2)))).toBe(0);
  });

  test('case 24: what follows the last program header is not looked at', () => {
    const bytes = mangled((_, all) => all.fill(0xff, elfcorehdrSize(2)));
    expect(parseElfcorehdr(bytes).programHeaders).toEqual(base);
  });

  test('the header alone tells the count without the program headers', () => {
    expect(parseElfcorehdrHeader(mangled(u16(56, 65534)).subarray(0, 64)).fields.phnum).toBe(65534);
  });
});

test.each([
  [0n, 0],
  [64n, 0],
  [119n, 0],
  [120n, 1],
  [4096n, 72],
  [0x80000n, 9361],
  [1n << 40n, 65534],
])('%d bytes hold %d program headers', (size, count) => {
  expect(programHeaderCapacity(size)).toBe(count);
});
