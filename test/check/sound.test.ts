import { describe, expect, test } from 'vitest';
import type { ArchitectureName } from '../../src/arch/architecture.js';
import { architectureNamed } from '../../src/arch/registry.js';
import { soundFindings } from '../../src/check/sound.js';
import type { ProgramHeader } from '../../src/elf/records.js';
import { parseFdt } from '../../src/fdt/fdt.js';
import type { KdumpImage } from '../../src/image/image.js';
import { rangeOfSize } from '../../src/memory/range.js';
import { buildFdt, cells, node, prop, type Item } from '../fdt/build.js';
import { elfcorehdr, load, note } from '../helpers/elfcorehdr.js';

const MIB = 1n << 20n;
const CRASH_KERNEL = rangeOfSize(32n * MIB, 16n * MIB);
const ELFCOREHDR = 33n * MIB;
const FDT = 34n * MIB;
const BACKUP = 35n * MIB;

const NOTES = [note(0x1000n), note(0x2000n)];
const LOW = load(0n, 0x10000n, BACKUP);
const RAM = [load(0x10000n, 32n * MIB), load(48n * MIB, 64n * MIB)];
const cpu = (id: number, ...threads: number[]): Item =>
  node(`cpu@${id}`, prop('device_type', 'cpu'), prop('reg', cells(id)), prop('ibm,ppc-interrupt-server#s', cells(...threads)));

interface Parts {
  name: ArchitectureName;
  programHeaders: ProgramHeader[];
  /** Children of /cpus; null without /cpus. */
  cpus: Item[] | null;
  /** Further children of the root, whose addresses and sizes are of two cells. */
  nodes: Item[];
  reservations: [bigint, bigint][];
  /** memsz of the elfcorehdr. */
  memsz: bigint;
  slack: number;
  facts: Partial<NonNullable<KdumpImage['fdt']>['facts']>;
  more: (image: KdumpImage) => object;
}

/** A sound image of ppc64le, but for `change`. */
function imageWith(change: (parts: Parts) => void): KdumpImage {
  const parts: Parts = {
    name: 'ppc64le',
    programHeaders: [...NOTES, LOW, ...RAM],
    cpus: [cpu(0, 0, 1), cpu(2, 2, 3)],
    nodes: [],
    reservations: [],
    memsz: 0x10000n,
    slack: 0x1000,
    facts: {},
    more: () => ({}),
  };
  change(parts);
  const items = parts.cpus === null ? [] : [node('cpus', prop('#address-cells', cells(1)), ...parts.cpus)];
  const bytes = Buffer.concat([
    buildFdt([prop('#address-cells', cells(2)), prop('#size-cells', cells(2)), ...items, ...parts.nodes], {
      reservations: parts.reservations,
    }),
    Buffer.alloc(parts.slack),
  ]);
  bytes.writeUInt32BE(bytes.length, 4);
  const segment = (name: string, address: bigint, memsz: bigint): object => ({ name, address, memsz });
  const [header, fdt] = [segment('elfcorehdr', ELFCOREHDR, parts.memsz), segment('fdt', FDT, 0x10000n)];
  const purgatory = segment('purgatory', 37n * MIB, 0x10000n);
  const image = {
    architecture: architectureNamed(parts.name),
    segments: [header, fdt, segment('backup', BACKUP, 0x10000n), segment('initrd', 36n * MIB, 0x10000n), purgatory],
    crashKernel: CRASH_KERNEL,
    crashKernelRanges: [CRASH_KERNEL],
    elfcorehdr: { segment: header, contents: elfcorehdr(parts.programHeaders) },
    fdt: {
      segment: fdt,
      tree: parseFdt(bytes),
      facts: { elfcorehdr: null, initrd: null, crashKernelRanges: [], cmaRanges: [], ...parts.facts },
    },
    purgatory: { segment: purgatory, regions: null, hasForeignTable: false },
  } as unknown as KdumpImage;
  return { ...image, ...parts.more(image) };
}

const found = (change: (parts: Parts) => void): string[] =>
  soundFindings(imageWith(change)).map(({ severity, code, message }) => `${severity} ${code}: ${message}`);
/** An elfcorehdr of these instead. */
const listing =
  (...programHeaders: ProgramHeader[]) =>
  (parts: Parts): void => {
    parts.programHeaders = programHeaders;
  };

test('a sound image has no findings', () => {
  expect(found(() => undefined)).toEqual([]);
});

describe('what images of an architecture always have', () => {
  test('an FDT, without which the capture kernel does not boot', () => {
    expect(found((parts) => (parts.more = () => ({ fdt: null })))).toEqual([
      'error fdt-missing: no FDT was found, which every ppc64le image has: the capture kernel does not boot without',
    ]);
    expect(
      found((parts) => {
        Object.assign(parts, { name: 'x86_64', programHeaders: [...NOTES, ...RAM], more: () => ({ fdt: null }) });
      }),
    ).toEqual([]);
  });

  test('a purgatory, which starts it', () => {
    expect(found((parts) => (parts.more = () => ({ purgatory: null })))).toEqual([
      'error purgatory-missing: no purgatory was found, which every ppc64le image has: it starts the capture kernel',
    ]);
    expect(
      found((parts) => {
        Object.assign(parts, { name: 'aarch64', programHeaders: [...NOTES, ...RAM], more: () => ({ purgatory: null }) });
      }),
    ).toEqual([]);
  });
});

describe('notes', () => {
  test('are there', () => {
    expect(found(listing(LOW, ...RAM))).toEqual([
      'error no-notes: there is no PT_NOTE in front: the capture kernel finds no registers and no vmcoreinfo',
    ]);
  });

  test('are in front', () => {
    expect(found(listing(...NOTES, LOW, note(0x3000n), ...RAM))).toEqual([
      'error notes-not-first: a PT_NOTE lies behind a PT_LOAD: the capture kernel merges the notes as if all were in front (merge_note_headers_elf64)',
    ]);
    // Other program headers do no harm there.
    expect(found(listing(...NOTES, LOW, { ...note(0x3000n), type: 0x6474e551 }, ...RAM))).toEqual([]);
  });
});

describe('memory', () => {
  test('that is listed a byte too long', () => {
    expect(found(listing(...NOTES, load(48n * MIB, 64n * MIB + 1n)))).toEqual([
      'warning one-byte-too-long: memory 0x3000000-0x3ffffff is listed one byte too long (p_memsz 0x1000001), as Linux 6.12 to 7.2 on ppc64 writes the rest of a range it removed memory from',
    ]);
  });

  test('that is at no address of the kernel, which s390x has none of', () => {
    const user = { ...load(48n * MIB, 64n * MIB), vaddr: (1n << 63n) - 1n };
    expect(found(listing(...NOTES, user))).toEqual([
      'warning not-linear-map: memory 0x3000000-0x3ffffff has p_vaddr 0x7fffffffffffffff, which is no address of the kernel: tools that look memory up by it will not find it',
    ]);
    expect(found(listing(...NOTES, { ...user, vaddr: 1n << 63n }))).toEqual([]);
    expect(
      found((parts) => {
        Object.assign(parts, { name: 's390x', programHeaders: [...NOTES, user], more: () => ({ fdt: null }) });
      }),
    ).toEqual([]);
    // That of the backup and of firmware is not looked up.
    expect(found(listing(...NOTES, { ...LOW, vaddr: 0n }, ...RAM))).toEqual([]);
  });

  test('of which the file has a part only', () => {
    expect(found(listing(...NOTES, { ...load(48n * MIB, 64n * MIB), filesz: 0x1000n }))).toEqual([
      'warning partial-load: memory 0x3000000-0x3ffffff has a p_filesz of 0x1000: the rest reads as zeros in the dump',
    ]);
  });

  test('that overlaps, in whatever order it is listed', () => {
    const message = 'error overlapping-memory: memory 0x3000000-0x3ffffff and 0x3fff000-0x4ffffff overlap';
    const loads = [load(48n * MIB, 64n * MIB), load(64n * MIB - 0x1000n, 80n * MIB)];
    expect(found(listing(...NOTES, ...loads))).toEqual([message]);
    expect(found(listing(...NOTES, ...loads.reverse()))).toEqual([message]);
    expect(found(listing(...NOTES, load(48n * MIB, 64n * MIB), load(64n * MIB, 80n * MIB)))).toEqual([]);
  });

  test('that meets inside a page, which the dump would hold twice', () => {
    expect(found(listing(...NOTES, load(48n * MIB, 64n * MIB + 0x800n), load(64n * MIB + 0x800n, 80n * MIB)))).toEqual([
      'warning shared-page: memory 0x3000000-0x40007ff and 0x4000800-0x4ffffff meet inside a page, which the dump will hold twice (the capture kernel rounds to pages)',
    ]);
    expect(found(listing(...NOTES, load(48n * MIB, 64n * MIB + 0x800n), load(64n * MIB + 0x1000n, 80n * MIB)))).toEqual([]);
    // The contents of the backup are elsewhere.
    const low = { ...LOW, filesz: 0xf800n, memsz: 0xf800n };
    expect(found(listing(...NOTES, low, load(0xf800n, 32n * MIB)))).toEqual([]);
  });

  test('inside the crashkernel range: the capture kernel would dump itself', () => {
    expect(found(listing(...NOTES, load(31n * MIB, 33n * MIB)))).toEqual([
      'error crashkernel-listed: memory 0x1f00000-0x20fffff overlaps the crashkernel range 0x2000000-0x2ffffff: the capture kernel would dump itself',
    ]);
    // Firmware is listed on purpose.
    expect(found(listing(...NOTES, load(40n * MIB, 41n * MIB)))).toEqual([]);
    const above = rangeOfSize(1n << 32n, 16n * MIB);
    expect(
      found((parts) => {
        parts.programHeaders = [...NOTES, load(above.end - 0x1000n, above.end + 0x1000n)];
        parts.more = () => ({ crashKernelRanges: [above, CRASH_KERNEL] });
      }),
    ).toEqual([expect.stringContaining('overlaps the crashkernel range 0x100000000-0x100ffffff') as string]);
  });

  test('of devices, at which the machine would stop', () => {
    expect(
      found((parts) => {
        const device = [prop('device_type', 'memory'), prop('compatible', 'ibm,coherent-device-memory')];
        parts.nodes = [node('memory@3800000', ...device, prop('reg', cells(0, 0x3800000, 0, 0x1000000)))];
      }),
    ).toEqual([
      'error device-memory-listed: coherent device memory 0x3800000-0x3ffffff is listed: its link is down after a crash, and the machine stops when the capture kernel reads it',
    ]);
  });
});

describe('the backup of low memory', () => {
  test('lies in a segment', () => {
    const moved = { ...LOW, offset: 44n * MIB };
    expect(found(listing(...NOTES, moved, ...RAM))).toEqual([
      'error backup-elsewhere: the backup of 0x0-0xffff is to be read at 0x2c00000, but the purgatory keeps it in 0x2300000-0x230ffff',
    ]);
    const without = ({ segments }: KdumpImage): object => ({ segments: segments.filter(({ name }) => name !== 'backup') });
    const missing = (parts: Parts): void => {
      parts.programHeaders = [...NOTES, moved, ...RAM];
      parts.more = without;
    };
    expect(found(missing)).toEqual(['error backup-missing: the backup of 0x0-0xffff is to be read at 0x2c00000, where no segment is']);
  });

  test('in whatever segment, where none is called so', () => {
    const renamed = (image: KdumpImage): object => ({
      segments: image.segments.map((each) => (each.name === 'backup' ? { ...each, name: 'other' } : each)),
    });
    expect(found((parts) => (parts.more = renamed))).toEqual([]);
  });

  test('and wholly', () => {
    expect(found(listing(...NOTES, { ...LOW, memsz: 0x20000n, filesz: 0x20000n }, load(0x20000n, 32n * MIB)))).toEqual([
      expect.stringContaining('backup-elsewhere') as string,
    ]);
  });
});

describe('segments', () => {
  const placed = (name: string, address: bigint) => (parts: Parts) => {
    parts.more = ({ segments }) => ({ segments: [...segments, { name, address, memsz: 0x10000n }] });
  };

  test('lie in the crashkernel range', () => {
    expect(found(placed('kernel', 48n * MIB - 0x1000n))).toEqual([
      'error segment-outside-crashkernel: kernel at 0x2fff000-0x300efff is outside the crashkernel range 0x2000000-0x2ffffff',
    ]);
    expect(found(placed('kernel', 48n * MIB - 0x10000n))).toEqual([]);
  });

  test('but for those in the first MiB, and those that nobody knows', () => {
    expect(found(placed('kernel', 0x90000n))).toEqual([]);
    expect(found(placed('kernel', 0x100000n))).toHaveLength(1);
    expect(found(placed('other', 64n * MIB))).toEqual([]);
  });

  test('where the crashkernel range is known', () => {
    expect(
      found((parts) => {
        parts.more = ({ segments }) => ({
          crashKernel: null,
          segments: [...segments, { name: 'kernel', address: 64n * MIB, memsz: 0x10000n }],
        });
      }),
    ).toEqual([]);
  });
});

describe('what the FDT reserves', () => {
  // Five program headers.
  const USED = 64n + 56n * 5n;
  const reserving =
    (...reservations: [bigint, bigint][]) =>
    (parts: Parts): void => {
      parts.reservations = reservations;
    };

  test('keeps the elfcorehdr clear', () => {
    expect(found(reserving([FDT + 0x8000n, 1n], [ELFCOREHDR, USED - 1n]))).toEqual([
      'error elfcorehdr-not-reserved: the memory reservation block keeps 0x157 bytes of the elfcorehdr clear, which has 0x158: the capture kernel may overwrite the rest before reading it',
    ]);
  });

  test('keeps all of its room clear, or will when it grows', () => {
    expect(found(reserving([ELFCOREHDR, USED]))).toEqual([
      "info elfcorehdr-reservation-short: the FDT reserves 344 bytes of the elfcorehdr's 64 KiB: enough for now, and apply reserves more when the elfcorehdr grows",
    ]);
    expect(found(reserving([ELFCOREHDR, 0x10000n]))).toEqual([]);
  });

  test('keeps the FDT itself clear', () => {
    const { tree } = imageWith(reserving([FDT, 0n])).fdt ?? expect.fail('no FDT');
    const used = BigInt(tree.usedSize);
    expect(found(reserving([FDT, used - 1n]))).toEqual([
      `error fdt-not-reserved: the memory reservation block keeps 0x${(used - 1n).toString(16)} bytes of the FDT clear, which has 0x${used.toString(16)}`,
    ]);
    expect(found(reserving([FDT, used]))).toEqual([]);
  });
});

describe('what /chosen says', () => {
  const saying =
    (facts: Parts['facts']) =>
    (parts: Parts): void => {
      parts.facts = facts;
    };
  const header = (address: bigint, size: bigint | null): Parts['facts'] => ({ elfcorehdr: { address, size, source: 'linux,elfcorehdr' } });

  test('of the elfcorehdr’s place', () => {
    expect(found(saying(header(ELFCOREHDR + 0x1000n, null)))).toEqual([
      'error elfcorehdr-elsewhere: linux,elfcorehdr says 0x2101000, the elfcorehdr is at 0x2100000',
    ]);
    expect(found(saying(header(ELFCOREHDR, null)))).toEqual([]);
  });

  test('of its size', () => {
    expect(found(saying(header(ELFCOREHDR, 0x157n)))).toEqual([
      'error elfcorehdr-size-stated-short: linux,elfcorehdr states 0x157 bytes, the elfcorehdr has 0x158',
    ]);
    expect(found(saying(header(ELFCOREHDR, 0x158n)))).toEqual([]);
  });

  test('of the initrd', () => {
    expect(found(saying({ initrd: rangeOfSize(36n * MIB, 0x10000n) }))).toEqual([]);
    expect(found(saying({ initrd: rangeOfSize(36n * MIB, 0x10001n) }))).toEqual([
      'error initrd-elsewhere: the FDT places the initrd at 0x2400000-0x2410000, the segment is 0x2400000-0x240ffff',
    ]);
    const without = (parts: Parts): void => {
      parts.facts = { initrd: rangeOfSize(36n * MIB, 0x10000n) };
      parts.more = ({ segments }) => ({ segments: segments.filter(({ name }) => name !== 'initrd') });
    };
    expect(found(without)).toEqual([
      'error initrd-elsewhere: the FDT places the initrd at 0x2400000-0x240ffff, where no initrd segment is',
    ]);
  });
});

describe('the CPUs of the FDT', () => {
  const having =
    (...cpus: Item[]) =>
    (parts: Parts): void => {
      parts.cpus = cpus;
    };
  const NONE = 'error no-cpus: the FDT describes no CPU: the capture kernel does not boot';

  test('are there', () => {
    expect(found((parts) => (parts.cpus = null))).toEqual(['error no-cpus: the FDT has no /cpus node: the capture kernel does not boot']);
    expect(found(having())).toEqual([NONE]);
    expect(found(having(node('l2-cache@0', prop('device_type', 'cache'))))).toEqual([NONE]);
  });

  test('are whole: by device_type, or by the name that others with it have', () => {
    const cut = (name: string, lack: string): string =>
      `error cpu-node-cut-short: CPU node ${name} has no ${lack}: it was cut short, as the kernel leaves it when the FDT has no more room`;
    expect(found(having(cpu(0, 0), node('cpu@1', prop('reg', cells(1))), node('cpu@2')))).toEqual([
      cut('cpu@1', 'device_type'),
      cut('cpu@2', 'reg and no device_type'),
    ]);
    // A cache and a map of cores are none.
    expect(found(having(cpu(0, 0), node('l2-cache@1'), node('cpu-map')))).toEqual([]);
  });

  test('are told apart by their threads', () => {
    expect(found(having(cpu(0, 0, 1), cpu(1, 1, 2)))).toEqual(['error duplicate-cpu: CPU 1 is described by cpu@0 and cpu@1']);
  });
});

describe('the room that is left', () => {
  test('for memory', () => {
    expect(found((parts) => (parts.memsz = 64n + 56n * 6n - 1n))).toEqual([
      'warning elfcorehdr-full: no further memory range fits the elfcorehdr: reload the kdump image with a larger reservation before memory is added',
    ]);
    expect(found((parts) => (parts.memsz = 64n + 56n * 6n))).toEqual([]);
  });

  test('for CPUs', () => {
    const full = (parts: Parts): void => {
      parts.slack = 0;
      parts.more = ({ fdt }) => ({ fdt: { ...fdt, segment: { ...fdt?.segment, memsz: 0n } } });
    };
    expect(found(full)).toEqual([
      'warning fdt-full: no further CPU node fits the FDT: reload the kdump image with a larger reservation before a CPU is added',
    ]);
  });
});
