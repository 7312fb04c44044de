import { describe, expect, test } from 'vitest';
import { architectureNamed } from '../../src/arch/registry.js';
import { diffImages, isSame, memoryChanges, type ImageDifference } from '../../src/check/diff.js';
import type { ProgramHeader } from '../../src/elf/records.js';
import { parseFdt } from '../../src/fdt/fdt.js';
import type { KdumpImage } from '../../src/image/image.js';
import type { SegmentName } from '../../src/kexec/segment.js';
import { formatRange, rangeOfSize } from '../../src/memory/range.js';
import { buildFdt, cells, node, prop, type Item } from '../fdt/build.js';
import { elfcorehdr, load, note } from '../helpers/elfcorehdr.js';
import { memoryOf } from '../helpers/memory-of.js';

const MIB = 1n << 20n;
const RAM = load(MIB, 32n * MIB);
const cpu = (id: number, ...more: Item[]): Item => node(`cpu@${id}`, prop('device_type', 'cpu'), prop('reg', cells(id)), ...more);

interface Parts {
  programHeaders?: ProgramHeader[];
  cpus?: Item[] | null;
  /** Free bytes inside the FDT's totalsize, all of this value. */
  slack?: [length: number, value: number];
  segments?: { name: SegmentName; address: bigint; memsz: bigint }[];
  /** Memory from address 0 on. */
  bytes?: Uint8Array;
}

function imageOf({
  programHeaders = [RAM],
  cpus = [cpu(0)],
  slack = [8, 0],
  segments = [],
  bytes = new Uint8Array(64),
}: Parts = {}): KdumpImage {
  const tree = Buffer.concat([
    buildFdt(cpus === null ? [] : [node('cpus', prop('#address-cells', cells(1)), ...cpus)]),
    Buffer.alloc(slack[0], slack[1]),
  ]);
  tree.writeUInt32BE(tree.length, 4);
  return {
    architecture: architectureNamed('ppc64le'),
    crashKernelRanges: [rangeOfSize(32n * MIB, 16n * MIB)],
    elfcorehdr: { contents: elfcorehdr([note(0x1000n), note(0x2000n), ...programHeaders]) },
    fdt: { tree: parseFdt(tree) },
    segments,
    memory: memoryOf(bytes),
  } as unknown as KdumpImage;
}

/** What differs, in short. */
function shown(difference: ImageDifference): object {
  const { memory, cpus, otherSegments, sameElfcorehdr, sameFdt } = difference;
  return {
    ...(memory.added.length + memory.removed.length === 0
      ? {}
      : { memory: [...memory.added.map((range) => `+${formatRange(range)}`), ...memory.removed.map((range) => `-${formatRange(range)}`)] }),
    ...(cpus.added.length + cpus.removed.length + cpus.changed.length === 0
      ? {}
      : {
          cpus: [
            ...cpus.added.map(({ id }) => `+${id}`),
            ...cpus.removed.map(({ id }) => `-${id}`),
            ...cpus.changed.map(({ id, name, properties }) => `${id} ${name} ${properties.join()}`),
          ],
        }),
    ...(otherSegments.length === 0 ? {} : { otherSegments }),
    ...(sameElfcorehdr ? {} : { sameElfcorehdr }),
    ...(sameFdt ? {} : { sameFdt }),
  };
}
const between = (before: Parts, after: Parts): object => {
  const difference = diffImages(imageOf(before), imageOf(after));
  // Two images are the same only where nothing of them differs.
  expect(isSame(difference)).toBe(Object.keys(shown(difference)).length === 0);
  return shown(difference);
};

test('an image is the same as itself', () => {
  expect(between({}, {})).toEqual({});
});

describe('memory', () => {
  test('that came and went', () => {
    expect(between({ programHeaders: [RAM] }, { programHeaders: [load(2n * MIB, 33n * MIB)] })).toEqual({
      memory: ['+0x2000000-0x20fffff', '-0x100000-0x1fffff'],
      sameElfcorehdr: false,
    });
  });

  test('that is listed in other pieces is the same, but not the elfcorehdr', () => {
    expect(between({}, { programHeaders: [load(MIB, 2n * MIB), load(2n * MIB, 32n * MIB)] })).toEqual({ sameElfcorehdr: false });
  });

  test('whose program header differs in any field', () => {
    for (const more of [{ flags: 5 }, { vaddr: 0n }, { align: 1n }])
      expect(between({}, { programHeaders: [{ ...RAM, ...more }] })).toEqual({ sameElfcorehdr: false });
  });

  test('and firmware that is listed at another place, which is neither', () => {
    const firmware = (start: bigint, end: bigint): KdumpImage => imageOf({ programHeaders: [RAM, load(start, end)] });
    const [before, after] = [firmware(40n * MIB, 41n * MIB), firmware(40n * MIB, 41n * MIB - 0x800n)];
    const changes = (one: KdumpImage, other: KdumpImage): unknown => memoryChanges(one, other, diffImages(one, other).memory);
    const none = { added: [], removed: [], firmware: [] };
    expect(changes(before, after)).toEqual({
      ...none,
      firmware: [{ before: rangeOfSize(40n * MIB, MIB), after: rangeOfSize(40n * MIB, MIB - 0x800n) }],
    });
    expect(changes(before, before)).toEqual(none);
    // Elsewhere it is another one.
    expect(changes(before, firmware(42n * MIB, 43n * MIB))).toEqual({
      added: [rangeOfSize(42n * MIB, MIB)],
      removed: [rangeOfSize(40n * MIB, MIB)],
      firmware: [],
    });
  });
});

describe('CPUs', () => {
  test('that came, went, or differ in a property', () => {
    const clock = (value: number): Item => prop('clock', cells(value));
    expect(
      between(
        { cpus: [cpu(0), cpu(1, clock(1), prop('gone', cells(1))), cpu(2), cpu(4, clock(1))] },
        { cpus: [cpu(1, clock(2), prop('new', cells(1))), cpu(2), cpu(3), cpu(4, clock(1))] },
      ),
    ).toEqual({ cpus: ['+3', '-0', '1 cpu@1 clock,gone,new'], sameFdt: false });
  });

  test('of images without /cpus, or without an FDT', () => {
    expect(between({ cpus: null }, {})).toEqual({ cpus: ['+0'], sameFdt: false });
    const without = { ...imageOf(), fdt: null };
    expect(shown(diffImages(without, without))).toEqual({});
    expect(shown(diffImages(without, imageOf()))).toEqual({ cpus: ['+0'], sameFdt: false });
    expect(shown(diffImages(imageOf(), without))).toEqual({ cpus: ['-0'], sameFdt: false });
  });
});

test('an FDT is compared as far as it is in use, and by its totalsize', () => {
  expect(between({ slack: [8, 0] }, { slack: [8, 0xff] })).toEqual({});
  expect(between({ slack: [8, 0] }, { slack: [16, 0] })).toEqual({ sameFdt: false });
});

describe('other segments', () => {
  const segment = (name: SegmentName, address: bigint, memsz: bigint): NonNullable<Parts['segments']>[number] => ({
    name,
    address,
    memsz,
  });
  const segments = [segment('kernel', 0n, 16n), segment('initrd', 16n, 16n)];

  test('by place and size', () => {
    expect(between({ segments }, { segments })).toEqual({});
    expect(between({ segments }, { segments: [segment('kernel', 0n, 16n), segment('initrd', 32n, 16n)] })).toEqual({
      otherSegments: ['initrd'],
    });
    expect(between({ segments }, { segments: [segment('kernel', 0n, 8n), segment('initrd', 16n, 16n)] })).toEqual({
      otherSegments: ['kernel'],
    });
  });

  test('that one image lacks', () => {
    expect(between({ segments }, { segments: segments.slice(0, 1) })).toEqual({ otherSegments: ['initrd'] });
    expect(between({ segments: segments.slice(0, 1) }, { segments })).toEqual({ otherSegments: ['initrd'] });
  });

  test('by contents, to the last byte', () => {
    expect(between({ segments }, { segments, bytes: new Uint8Array(64).fill(1, 31, 32) })).toEqual({ otherSegments: ['initrd'] });
    expect(between({ segments }, { segments, bytes: new Uint8Array(64).fill(1, 32, 33) })).toEqual({});
  });

  test('without elfcorehdr and FDT, which have answers of their own', () => {
    const own = [segment('elfcorehdr', 0n, 16n), segment('fdt', 16n, 16n)];
    expect(between({ segments: own }, { segments: [], bytes: new Uint8Array(64).fill(1) })).toEqual({});
  });
});
