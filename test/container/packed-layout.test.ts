import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { architectureNamed } from '../../src/arch/registry.js';
import { packedLayout } from '../../src/container/packed-layout.js';
import type { SegmentName } from '../../src/kexec/segment.js';
import { thrown } from '../helpers/thrown.js';

const ppc64le = architectureNamed('ppc64le');
const ppc64 = architectureNamed('ppc64');
const segment = (
  name: SegmentName,
  address: bigint,
  memsz: bigint,
  bufsz: bigint,
): { name: SegmentName; address: bigint; memsz: bigint; bufsz: bigint } => ({
  name,
  address,
  memsz,
  bufsz,
});

describe('golden bytes', () => {
  const layout = packedLayout(ppc64le, 0x22a20600n, [
    segment('kernel', 0x20000000n, 0x10000n, 0x1234n),
    segment('backup', 0x22990000n, 0x10000n, 0n),
  ]);

  test('the ELF header and the first program header', () => {
    // prettier-ignore
    expect([...layout.head.subarray(0, 0x78)]).toEqual([
      0x7f, 0x45, 0x4c, 0x46,  0x02, 0x01, 0x01, 0x00, // 0x00 magic, ELFCLASS64, ELFDATA2LSB, EV_CURRENT
      0x00, 0x00, 0x00, 0x00,  0x00, 0x00, 0x00, 0x00, // 0x08 padding
      0x02, 0x00, 0x15, 0x00,  0x01, 0x00, 0x00, 0x00, // 0x10 e_type ET_EXEC, e_machine EM_PPC64, e_version 1
      0x00, 0x06, 0xa2, 0x22,  0x00, 0x00, 0x00, 0x00, // 0x18 e_entry 0x22a20600
      0x40, 0x00, 0x00, 0x00,  0x00, 0x00, 0x00, 0x00, // 0x20 e_phoff 64
      0x60, 0x22, 0x00, 0x00,  0x00, 0x00, 0x00, 0x00, // 0x28 e_shoff: behind the segment and the names
      0x00, 0x00, 0x00, 0x00,  0x40, 0x00, 0x38, 0x00, // 0x30 e_flags, e_ehsize 64, e_phentsize 56
      0x02, 0x00, 0x40, 0x00,  0x04, 0x00, 0x03, 0x00, // 0x38 e_phnum 2, e_shentsize 64, e_shnum 4, e_shstrndx 3
      0x01, 0x00, 0x00, 0x00,  0x07, 0x00, 0x00, 0x00, // 0x40 PT_LOAD, RWX
      0x00, 0x10, 0x00, 0x00,  0x00, 0x00, 0x00, 0x00, // 0x48 p_offset 0x1000
      0x00, 0x00, 0x00, 0x20,  0x00, 0x00, 0x00, 0x00, // 0x50 p_vaddr 0x20000000
      0x00, 0x00, 0x00, 0x20,  0x00, 0x00, 0x00, 0x00, // 0x58 p_paddr 0x20000000
      0x34, 0x12, 0x00, 0x00,  0x00, 0x00, 0x00, 0x00, // 0x60 p_filesz 0x1234
      0x00, 0x00, 0x01, 0x00,  0x00, 0x00, 0x00, 0x00, // 0x68 p_memsz 0x10000
      0x00, 0x10, 0x00, 0x00,  0x00, 0x00, 0x00, 0x00, // 0x70 p_align 0x1000
    ]);
  });

  test('the section names come first in the tail', () => {
    expect(layout.tailOffset).toBe(0x2238);
    expect(Buffer.from(layout.tail.subarray(0, 39)).toString('latin1')).toBe('\0.kexec.kernel\0.kexec.backup\0.shstrtab\0');
    expect(layout.fileSize).toBe(0x2260 + 4 * 64);
  });

  test('a big-endian kernel makes a big-endian file, and no entry is 0', () => {
    const { head } = packedLayout(ppc64, null, [segment('kernel', 0x1000n, 0x1000n, 1n)]);
    // prettier-ignore
    expect([...head.subarray(4, 0x20)]).toEqual([
      0x02, 0x02, 0x01, 0x00,                          // 0x04 ELFCLASS64, ELFDATA2MSB
      0x00, 0x00, 0x00, 0x00,  0x00, 0x00, 0x00, 0x00, // 0x08 padding
      0x00, 0x02, 0x00, 0x15,  0x00, 0x00, 0x00, 0x01, // 0x10 e_type, e_machine, e_version
      0x00, 0x00, 0x00, 0x00,  0x00, 0x00, 0x00, 0x00, // 0x18 e_entry
    ]);
  });
});

test('any segments: ascending, on multiples of 4096, none over another; and the order they come in does not matter', () => {
  const names = ['kernel', 'initrd', 'elfcorehdr', 'fdt', 'purgatory', 'backup', 'boot-params', 'other', 'other'] as const;
  const anySegments = fc
    .tuple(
      fc.shuffledSubarray([...names], { minLength: 1 }),
      fc.infiniteStream(fc.tuple(fc.nat({ max: 9 }), fc.integer({ min: 1, max: 0x9000 }), fc.nat({ max: 0x9000 }))),
    )
    .map(([chosen, sizes]) => {
      let address = 0x1000n;
      return chosen.map((name) => {
        const [gap, memsz, stored] = sizes.next().value as [number, number, number];
        const result = segment(name, address, BigInt(memsz), BigInt(Math.min(memsz, stored)));
        address += BigInt(memsz + gap);
        return result;
      });
    });
  fc.assert(
    fc.property(anySegments, (segments) => {
      const layout = packedLayout(ppc64le, null, segments);
      let end = 64 + 56 * segments.length;
      layout.segments.forEach((each, index) => {
        expect(each.address > (layout.segments[index - 1]?.address ?? -1n)).toBe(true);
        expect(each.fileOffset % 4096).toBe(0);
        expect(each.fileSize).toBe(Number(each.name === 'elfcorehdr' || each.name === 'fdt' ? each.memsz : segments[index]?.bufsz));
        expect(each.fileOffset).toBeGreaterThanOrEqual(each.fileSize === 0 ? 0 : end);
        end = Math.max(end, each.fileOffset + each.fileSize * Math.sign(each.fileSize));
      });
      expect(layout.tailOffset + layout.tail.length).toBe(layout.fileSize);
      expect(packedLayout(ppc64le, null, [...segments].reverse())).toEqual(layout);
    }),
  );
});

describe('refused', () => {
  const kernel = segment('kernel', 0x1000n, 0x1000n, 1n);

  test.each([
    ['no segment', [], 'wrong number of segments'],
    [
      '17 segments',
      Array.from({ length: 17 }, (_, index) => segment('other', BigInt(index) * 0x1000n, 0x1000n, 0n)),
      'wrong number of segments',
    ],
    ['overlapping', [kernel, segment('initrd', 0x1fffn, 1n, 0n)], 'two segments overlap'],
    ['the same twice', [kernel, kernel], 'two segments overlap'],
    ['two of a name', [kernel, segment('kernel', 0x2000n, 1n, 0n)], 'two segments are named kernel'],
    ['more bytes than room', [segment('kernel', 0n, 0x1000n, 0x1001n)], 'more bytes than the segment has room for'],
    ['past 2^64', [segment('kernel', (1n << 64n) - 1n, 2n, 0n)], 'range passes the end of the 64-bit address space'],
    ['empty', [segment('kernel', 0n, 0n, 0n)], 'range is empty'],
  ])('%s', (_, segments, problem) => {
    expect(thrown(() => packedLayout(ppc64le, null, segments))).toMatchObject({ kind: 'input', problem });
  });

  test('touching is not overlapping', () => {
    expect(packedLayout(ppc64le, null, [kernel, segment('initrd', 0x2000n, 0x1000n, 0n)]).segments).toHaveLength(2);
  });
});
