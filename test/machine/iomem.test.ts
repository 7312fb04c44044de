import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { crashKernelRanges, nestedIn, parseIomem, systemRam, type IomemEntry } from '../../src/machine/iomem.js';
import { formatRange, sizeOf, type Range } from '../../src/memory/range.js';
import { processorTime } from '../helpers/processor-time.js';
import { thrown } from '../helpers/thrown.js';

/** riscv64-6.12, shortened. */
const RISCV = `00101000-00101fff : 101000.rtc rtc@101000
10000000-100000ff : serial
80000000-ffffffff : System RAM
  80000000-8007ffff : Reserved
  80202000-8206a337 : Kernel image
    80202000-80c76977 : Kernel code
    81200000-81bfffff : Kernel rodata
    81fb9000-8206a337 : Kernel bss
  ebc00000-fbbfffff : Crash kernel
  ffdf8000-ffffffff : Reserved
400000000-7ffffffff : pci@30000000
`;

/** x86_64-6.12-file-load after 03-mem-add-1G, shortened. */
const X86 = `00000000-00000fff : Reserved
00001000-0009fbff : System RAM
000f0000-000fffff : Reserved
  000f0000-000fffff : System ROM
00100000-7ffdffff : System RAM
  01000000-01ffffff : Kernel code
  6f000000-7effffff : Crash kernel
b0000000-bfffffff : PCI ECAM 0000 [bus 00-ff]
  b0000000-bfffffff : Reserved
    b0000000-bfffffff : pnp 00:04
100000000-10fffffff : System RAM
110000000-14fffffff : System RAM
fd00000000-ffffffffff : Reserved
`;

/** Memory that drivers added, as CXL and virtio-mem show it. */
const DRIVER_RAM = `00001000-0009ffff : System RAM
100000000-1ffffffff : virtio0
  100000000-17fffffff : System RAM (virtio_mem)
200000000-2ffffffff : CXL Window 0
  200000000-2ffffffff : region0
    200000000-2ffffffff : dax0.0
      200000000-2ffffffff : System RAM (kmem)
800000000-8ffffffff : System RAM (boot alias)
`;

const text = (ranges: readonly Range[]): string[] => ranges.map((range) => formatRange(range).replaceAll('0x', ''));

function format(entries: readonly IomemEntry[]): string {
  return entries
    .map(({ range, name, depth, children }) => {
      const [start, last] = [range.start, range.end - 1n].map((address) => address.toString(16).padStart(8, '0'));
      return `${' '.repeat(depth * 2)}${start ?? ''}-${last ?? ''} : ${name}\n${format(children)}`;
    })
    .join('');
}

describe('parseIomem', () => {
  test('a tree', () => {
    const top = parseIomem(RISCV);
    expect(top.map(({ name, depth }) => [name, depth])).toEqual([
      ['101000.rtc rtc@101000', 0],
      ['serial', 0],
      ['System RAM', 0],
      ['pci@30000000', 0],
    ]);
    const kernel = top[2]?.children[1];
    expect(kernel).toMatchObject({ name: 'Kernel image', depth: 1, range: { start: 0x8020_2000n, end: 0x8206_a338n } });
    expect(kernel?.children.map(({ name }) => name)).toEqual(['Kernel code', 'Kernel rodata', 'Kernel bss']);
  });

  test.each([RISCV, X86, DRIVER_RAM])('gives back the text', (map) => {
    expect(format(parseIomem(map))).toBe(map);
  });

  test('parse and format are inverse', () => {
    type Shape = [before: number, after: number, name: string, children: Shape[]];
    const small = fc.nat({ max: 9 });
    const name = fc.constantFrom('Reserved', 'a : b', '', '<BAD>', 'System RAM');
    const tree: fc.Memo<Shape> = fc.memo((levels) =>
      fc.tuple(small, small, name, levels > 1 ? fc.array(tree(levels - 1), { maxLength: 3 }) : fc.constant([])),
    );
    const place = (shapes: Shape[], base: bigint, room: bigint, depth: number): IomemEntry[] => {
      const slot = room / BigInt(Math.max(shapes.length, 1));
      return shapes.map(([before, after, name, children], index) => {
        const start = base + slot * BigInt(index) + BigInt(before);
        const end = base + slot * BigInt(index + 1) - BigInt(after);
        return { range: { start, end }, name, depth, children: place(children, start, end - start, depth + 1) };
      });
    };
    fc.assert(
      fc.property(fc.array(tree(5), { maxLength: 4 }), (shapes) => {
        const entries = [
          { range: { start: 0n, end: 0x1000n }, name: 'System RAM', depth: 0, children: [] },
          ...place(shapes, 0x1000n, 1n << 60n, 0),
        ];
        expect(parseIomem(format(entries))).toEqual(entries);
      }),
    );
  });

  test('line ends of a serial console and blank lines', () => {
    expect(parseIomem(RISCV.replaceAll('\n', '\r\n\r\n'))).toEqual(parseIomem(RISCV));
  });

  test('read without privilege', () => {
    const { kind, details } = thrown(() => parseIomem(RISCV.replace(/[0-9a-f]{8,9}-[0-9a-f]{8,9} :/g, '00000000-00000000 :')));
    expect(kind).toBe('input');
    expect(details.remedy).toContain('root');
  });

  test.each([
    ['', undefined],
    ['\n\n', undefined],
    ['00000000-00000fff : Reserved\n', undefined],
    ['00000000-00000fff : System RAM (boot alias)\n', undefined],
    [`${X86}garbage\n`, 'line 14'],
    [`${X86}0-1:x\n`, 'line 14'],
    [`${X86}0x0-0x1 : x\n`, 'line 14'],
    [`${X86}ABC-ABD : x\n`, 'line 14'],
    [`${X86}-1-2 : x\n`, 'line 14'],
    [`${X86}10000000000000000-10000000000000001 : x\n`, 'line 14'],
    [`${X86}2-1 : x\n`, 'line 14'],
    [`${X86}\tfd00000000-ffffffffff : x\n`, 'line 14'],
    [`${X86} fd00000000-ffffffffff : x\n`, 'line 14'],
    [`${X86}    fd00000000-ffffffffff : x\n`, 'line 14'],
    [`${X86}  fd00000000-10000000000 : x\n`, 'line 14'],
    [`  00000000-00000fff : System RAM\n`, 'line 1'],
    [`00000000-00000fff : ${'x'.repeat(2000)}\n`, 'line 1'],
    ['\u007fELF\u0002\u0001\u0001\0', 'line 1'],
  ])('refuses %j', (map, segment) => {
    const { kind, details } = thrown(() => parseIomem(map));
    expect({ kind, segment: details.segment }).toEqual({ kind: 'input', segment });
  });

  // kexec-tools 13e0a93: /proc/iomem that changes while it is read has lines twice.
  test.each([
    ['System RAM twice', X86.replace(/^110000000.*\n/m, '$&$&'), 'line 13', 'line 12'],
    ['Crash kernel twice', X86.replace(/^ {2}6f000000.*\n/m, '$&$&'), 'line 8', 'line 7'],
    ['a resource and its last child again', X86.replace(/^(00100000.*\n)(.*\n)(.*\n)/m, '$1$2$3$1$3'), 'line 8', 'line 5'],
    ['a device twice', X86.replace(/^fd.*\n/m, '$&$&'), 'line 14', 'line 13'],
    ['the first line again at the end', `${X86}00000000-00000fff : Reserved\n`, 'line 14', 'line 1'],
    ['memory that overlaps', `${X86}14fffffff-150000000 : System RAM\n`, 'line 14', 'line 12'],
  ])('%s is refused: the list lacks what came meanwhile', (_, map, segment, before) => {
    const { kind, details } = thrown(() => parseIomem(map));
    expect({ kind, segment: details.segment }).toEqual({ kind: 'input', segment });
    expect(details.found).toContain(`on ${before} `);
    expect(details.remedy).toContain('read /proc/iomem again');
  });

  test('2 MiB of it, right or wrong, ends in time', () => {
    const started = processorTime();
    const lines = Array.from(
      { length: 60_000 },
      (_, index) => `${(index * 2 + 0x10000).toString(16)}-${(index * 2 + 0x10001).toString(16)} : System RAM\n`,
    );
    expect(parseIomem(lines.join(''))).toHaveLength(60_000);
    expect(thrown(() => parseIomem('00001000-00001fff : System RAM\n'.repeat(60_000))).details.segment).toBe('line 2');
    expect(thrown(() => parseIomem(' '.repeat(2_000_000) + 'x')).kind).toBe('input');
    expect(thrown(() => parseIomem('\n'.repeat(17_000_000))).kind).toBe('input');
    expect(processorTime() - started).toBeLessThan(3000);
  });
});

describe('systemRam', () => {
  test('touching resources stay apart', () => {
    expect(text(systemRam(parseIomem(X86)))).toEqual(['1000-9fbff', '100000-7ffdffff', '100000000-10fffffff', '110000000-14fffffff']);
  });

  test('memory that a driver added counts, an alias does not', () => {
    expect(text(systemRam(parseIomem(DRIVER_RAM)))).toEqual(['1000-9ffff', '100000000-17fffffff', '200000000-2ffffffff']);
  });

  test('ascending', () => {
    expect(text(systemRam(parseIomem('00002000-00002fff : System RAM\n00000000-00000fff : System RAM\n')))).toEqual(['0-fff', '2000-2fff']);
  });
});

test('crashKernelRanges', () => {
  expect(text(crashKernelRanges(parseIomem(RISCV)))).toEqual(['ebc00000-fbbfffff']);
  expect(crashKernelRanges(parseIomem(DRIVER_RAM))).toEqual([]);
});

describe('nestedIn', () => {
  const pieces = (map: string, start: bigint, end: bigint): string[] =>
    nestedIn(parseIomem(map), { start, end }).map(({ range, entry }) => `${formatRange(range).replaceAll('0x', '')} ${entry.name}`);

  test('names the innermost resource of each piece', () => {
    expect(pieces(RISCV, 0x8000_0000n, 0x8300_0000n)).toEqual([
      '80000000-8007ffff Reserved',
      '80080000-80201fff System RAM',
      '80202000-80c76977 Kernel code',
      '80c76978-811fffff Kernel image',
      '81200000-81bfffff Kernel rodata',
      '81c00000-81fb8fff Kernel image',
      '81fb9000-8206a337 Kernel bss',
      '8206a338-82ffffff System RAM',
    ]);
  });

  test('leaves out what no resource covers', () => {
    expect(pieces(RISCV, 0x10_1800n, 0x1000_0080n)).toEqual(['101800-101fff 101000.rtc rtc@101000', '10000000-1000007f serial']);
    expect(pieces(RISCV, 0n, 0x1000n)).toEqual([]);
  });

  test('pieces of memory add up', () => {
    const entries = parseIomem(RISCV);
    const address = fc.bigInt({ min: 0x8000_0000n, max: 0xffff_ffffn });
    fc.assert(
      fc.property(address, address, (a, b) => {
        const range = a <= b ? { start: a, end: b + 1n } : { start: b, end: a + 1n };
        const found = nestedIn(entries, range);
        expect(found.reduce((sum, piece) => sum + sizeOf(piece.range), 0n)).toBe(sizeOf(range));
        expect(found.every((piece, index) => index === 0 || found[index - 1]?.range.end === piece.range.start)).toBe(true);
      }),
    );
  });
});
