import { randomBytes } from 'node:crypto';
import { closeSync, ftruncateSync, openSync, readFileSync, statSync, utimesSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  build,
  BuiltFile,
  coreFile,
  CRASH_KERNEL_SIZE,
  elfcorehdrBytes,
  load,
  note,
  partsOf,
  planOf,
  programHeadersOf,
  putElfHeader,
  putProgramHeader,
  RAM_SIZE,
  ramFile,
  shown,
  type Built,
  type CoreLoad,
  type CoreOptions,
} from '../helpers/build-image.js';
import { runHere as run } from '../helpers/run-here.js';
import { expectUsable, type Inspected } from './usable-dump.js';
import { scratchFolder } from '../helpers/run.js';

const folder = scratchFolder();
let files = 0;
function fresh(name: string): string {
  files += 1;
  return join(folder, `${files}-${name}`);
}

describe('synthetic dumps', () => {
  const built = (): Built => build(partsOf('x86_64'));
  const { start, end } = partsOf('x86_64').crashKernel;
  const whole: CoreLoad = { address: 0n, size: RAM_SIZE, offset: 0x1000 };
  const made = (name: string, loads: readonly CoreLoad[], options: CoreOptions = {}): BuiltFile =>
    coreFile(fresh(name), built(), loads, options);
  const refused = (file: { path: string }, pattern: RegExp): void => {
    // Any write sets the time to that of today.
    utimesSync(file.path, 1, 1);
    for (const command of [
      ['inspect', file.path],
      ['apply', file.path, '--add-memory', '0x4000000000+1G'],
    ]) {
      const result = run(command);
      expect(result).toMatchObject({ status: 3, stdout: '' });
      expect(result.stderr).toMatch(/^kdump-hotplug: [^\n]+\n$/);
      expect(result.stderr).toMatch(pattern);
    }
    expect(statSync(file.path).mtimeMs).toBe(1000);
  };

  test('one load, page aligned', () => {
    expectUsable(made('aligned', [whole]));
  });

  test('e_ehsize 8, a header table at 192 and offsets that are not page aligned', () => {
    expectUsable(made('odd', [{ ...whole, offset: 0xf88 }], { ehsize: 8, phoff: 192 }));
  });

  test('many loads, one of 64 KiB after the other, in any order in the file', () => {
    const count = Number(RAM_SIZE / 0x10000n);
    const loads = Array.from({ length: count }, (_, index) => ({
      address: BigInt(index) * 0x10000n,
      size: 0x10000n,
      offset: 0x20000 + ((index * 37) % count) * 0x10000 + 0x10,
    }));
    // The elfcorehdr is in one load, as it has to be for a patch.
    expectUsable(made('many', loads));
  });

  test('loads in descending order', () => {
    expectUsable(
      made('descending', [
        { address: end, size: RAM_SIZE - end, offset: 0x1000 },
        { address: start, size: CRASH_KERNEL_SIZE, offset: 0x2000000 },
        { address: 0n, size: start, offset: 0x4000000 },
      ]),
    );
  });

  test('memory that is mapped more than once, as in a dump with paging', () => {
    const again = [0n, start, 0x1000000n].map((address) => ({ address, size: 0x1000n, offset: 0x1000 + Number(address) }));
    expectUsable(made('paging', [whole, ...again]));
    expectUsable(made('paging, the small ones first', [...again.slice(1), whole]));
  });

  test('a count of program headers beyond 16 bits, in section 0', () => {
    const count = 0x10005;
    const loads = [
      whole,
      ...Array.from({ length: count - 1 }, (_, index) => ({
        address: 0x100000000n + BigInt(index) * 0x1000n,
        size: 0x1000n,
        fileSize: 0n,
        offset: 0,
      })),
    ];
    expectUsable(made('extended', [{ ...whole, offset: 0x400000 }, ...loads.slice(1)], { extendedCount: count }));
  });

  test('loads without contents are as if they were not there', () => {
    expectUsable(made('hollow', [{ address: 0x8000000n, size: 0x1000000n, fileSize: 0n, offset: 0 }, whole]));
    expectUsable(made('partial', [{ ...whole, size: RAM_SIZE + 0x1000000n, fileSize: RAM_SIZE }]));
    refused(made('nothing', [{ ...whole, fileSize: 0n }]), /holds no memory.*none a PT_LOAD with contents/);
  });

  test('notes and other program headers are not memory', () => {
    expectUsable(made('notes', [whole], { before: [note(0x500n), { ...load(0n, 0x1000n, 0n), type: 0x6fffffff }] }));
  });

  test.each([
    ['no program headers', { count: 0 }, /wrong number of program headers: found 0/],
    ['PN_XNUM without a section', { count: 0xffff }, /./],
    ['PN_XNUM with a count of 0', { extendedCount: 0 }, /wrong number of program headers: found 0/],
    ['PN_XNUM with a count beyond all sense', { extendedCount: 0xffffffff }, /wrong number of program headers: found 4294967295/],
    ['PN_XNUM with a section beyond the file', { extendedCount: 1, shoff: 0x7fffffff }, /too short/],
    ['another size of program headers', {}, /wrong e_phentsize: found 57/],
  ] as const)('%s is refused', (what, options, pattern) => {
    const file = made('refused', [whole], options);
    if (what.startsWith('another')) patchFile(file.path, 54, Buffer.from([57, 0]));
    refused(file, pattern);
  });

  test('a load beyond the end of the file is refused', () => {
    refused(made('cut', [whole], { fileSize: 0x3000000 }), /lies outside the file/);
    refused(
      made('offset', [whole, { address: 0x8000000n, size: 0x1000n, fileSize: 0x1000n, offset: 0x7ffffff0 }], { fileSize: 0x4001000 }),
      /lies outside the file/,
    );
  });

  test('a dump without the crashkernel range says so', () => {
    const loads = [
      { address: 0n, size: start, offset: 0x1000 },
      { address: end, size: RAM_SIZE - end, offset: 0x1000 + Number(start) },
    ];
    refused(made('excluded', loads), /no kdump image found/);
  });

  test('a bare elfcorehdr is refused by name', () => {
    const path = fresh('elfcorehdr.bin');
    writeFileSync(path, elfcorehdrBytes(partsOf('x86_64')));
    refused({ path }, /an elfcorehdr by itself, not a memory dump.*pack/);
    for (const guest of ['ppc64le-6.12-4k', 'aarch64-6.12', 'x86_64-6.12-kexec-load']) {
      const bare = fresh(`${guest}.bin`);
      writeFileSync(bare, readFileSync(new URL(`../../fixtures/captures/${guest}/00-loaded/elfcorehdr.bin`, import.meta.url)));
      refused({ path: bare }, /an elfcorehdr by itself/);
    }
  });
});

describe('--map: a guest with a hole below 4 GiB', () => {
  // 3 GiB of RAM as q35 has it: 2 GiB at 0, the rest at 4 GiB. The image is in the upper part, so it is found only where the map says.
  const HIGH = 0x100000000n;
  const SIZE = 0x4000000;
  const LOW = 0x2000000;
  const parts = partsOf('x86_64', { crashKernelAt: HIGH + 0x400000n });
  parts.programHeaders = [
    ...parts.programHeaders.filter(({ type, vaddr }) => type === 4 || vaddr === parts.facts.text),
    load(0x100000n, BigInt(LOW) - 0x100000n, parts.facts.linear),
    load(HIGH, 0x400000n, parts.facts.linear),
    load(HIGH + 0x1400000n, 0xc00000n, parts.facts.linear),
  ];
  const built = build(parts);
  const maps = (...of: string[]): string[] => of.flatMap((map) => ['--map', map]);
  const good = maps(`0:0:0x${LOW.toString(16)}`, `0x${LOW.toString(16)}:0x${HIGH.toString(16)}:0x2000000`);

  function made(): { path: string; file: BuiltFile } {
    const path = fresh('hole.ram');
    const offsetOf = (address: bigint): number => LOW + Number(address - HIGH);
    const descriptor = openSync(path, 'wx+');
    ftruncateSync(descriptor, SIZE);
    for (const { address, bytes } of built.segments) writeSync(descriptor, bytes, 0, bytes.length, offsetOf(address));
    closeSync(descriptor);
    return { path, file: new BuiltFile(built, path, [{ address: HIGH, size: 0x2000000n, offset: LOW }], good) };
  }

  test('found and patched at the right place in the file, with its segments named', () => {
    const { path, file } = made();
    const found = run(['inspect', path, ...good, '--verify', '--json']);
    expect(found).toMatchObject({ status: 0, stderr: '' });
    expect(JSON.parse(found.stdout)).toMatchObject({
      format: 'raw',
      architecture: 'x86_64',
      crashKernel: { start: '0x100400000', size: 0x1000000 },
      purgatory: { digest: 'match' },
    });
    expect((JSON.parse(found.stdout) as Inspected).segments.map(({ fileOffset }) => fileOffset)).toEqual(
      built.segments.map(({ address }) => LOW + Number(address - HIGH)),
    );
    // boot_params has the upper half of the initrd's address apart (ext_ramdisk_image).
    expect((JSON.parse(found.stdout) as Inspected).segments.map(({ name }) => name)).toEqual(built.segments.map(({ role }) => role));
    planOf(run(['apply', path, ...good, '--add-memory', '0x102000000+16M', '--json']));
    expect(programHeadersOf(file.read('elfcorehdr')).map(shown)).toEqual(
      [...parts.programHeaders, load(0x102000000n, 0x1000000n, parts.facts.linear)].map(shown),
    );
    expect(file.digests().stored).toBe(file.digests().computed);
  });

  test('not found where the map puts it elsewhere, or without one', () => {
    const { path } = made();
    expect(run(['inspect', path]).status).toBe(3);
    expect(run(['inspect', path, ...maps(`0:0:0x${LOW.toString(16)}`, `0x${LOW.toString(16)}:0x200000000:0x2000000`)]).status).toBe(3);
  });

  test.each([
    ['overlapping maps', maps('0:0:0x2000000', '0x2000000:0x1000000:0x1000000'), 3, /claim the same physical memory/],
    ['a map beyond the file', maps('0:0:0x2000000', '0x2000000:0x100000000:0x2000001'), 3, /lies outside the file/],
    ['a map that starts beyond the file', maps('0x8000000:0:0x1000'), 3, /lies outside the file/],
    ['a map that passes 2^64', maps('0:0xfffffffffffff000:0x2000'), 2, /2\^64/],
    ['an empty map', maps('0:0:0'), 2, /empty/],
    ['half a map', maps('0:0'), 2, /not a mapping/],
  ] as const)('%s: refused', (_, options, status, pattern) => {
    const { path } = made();
    const result = run(['inspect', path, ...options]);
    expect(result).toMatchObject({ status, stdout: '' });
    expect(result.stderr).toMatch(pattern);
  });

  test('--map and --base are for raw memory', () => {
    const dump = coreFile(fresh('map.dump'), build(partsOf('x86_64')), [{ address: 0n, size: RAM_SIZE, offset: 0x1000 }]);
    for (const options of [['--base', '0'], maps('0:0:4096')]) {
      const result = run(['inspect', dump.path, ...options]);
      expect(result).toMatchObject({ status: 2, stdout: '' });
      expect(result.stderr).toContain('raw');
    }
  });
});

describe('ELF core files that say nothing of physical memory', () => {
  const coreWith = (name: string, headers: readonly ReturnType<typeof load>[], notes: readonly number[]): string => {
    const path = fresh(name);
    const bytes = Buffer.alloc(0x6000);
    putElfHeader(bytes, { machine: 62, little: true, type: 4, count: headers.length + 1 });
    putProgramHeader(bytes, 64, { ...note(0n, BigInt(28 * notes.length)), offset: 0x800n }, true);
    headers.forEach((header, index) => {
      putProgramHeader(bytes, 64 + 56 * (index + 1), header, true);
    });
    notes.forEach((type, index) => {
      const at = 0x800 + 28 * index;
      bytes.writeUInt32LE(5, at);
      bytes.writeUInt32LE(8, at + 4);
      bytes.writeUInt32LE(type, at + 8);
      bytes.write('CORE', at + 12, 'latin1');
    });
    writeFileSync(path, bytes);
    return path;
  };
  const mapped = (vaddr: bigint, offset: bigint): ReturnType<typeof load> => ({ ...load(0n, 0x1000n, 0n), vaddr, offset });
  const told = (path: string, words: RegExp): void => {
    for (const command of ['inspect', 'check']) {
      const result = run([command, path]);
      expect(result).toMatchObject({ status: 3, stdout: '' });
      expect(result.stderr).toMatch(words);
      expect(result.stderr).not.toContain('pack');
    }
  };

  test('a core dump of a process, by its addresses or by its notes', () => {
    const process = /a core dump of a process, not of memory.*\/proc\/kcore/;
    const two = [mapped(0x400000n, 0x1000n), mapped(0x7ffc00000000n, 0x2000n)];
    told(coreWith('process', two, [1, 3]), process);
    // NT_AUXV and NT_FILE, which no dump of memory has.
    told(coreWith('process-auxv', [mapped(0x400000n, 0x1000n)], [1, 3, 6]), process);
    told(coreWith('process-file', [mapped(0x400000n, 0x1000n)], [0x46494c45]), process);
  });

  test('one piece of memory at address 0 is a dump as QEMU makes it', () => {
    told(coreWith('one', [mapped(0n, 0x1000n)], [1]), /no kdump image found/);
  });

  test("Xen's, which has sections alone", () => {
    const path = fresh('xen');
    const bytes = Buffer.alloc(0x1000);
    putElfHeader(bytes, { machine: 62, little: true, type: 4, count: 0 });
    bytes.writeUInt16LE(5, 60);
    writeFileSync(path, bytes);
    told(path, /without program headers.*Xen.*capture \/proc\/kcore/);
  });
});

describe('files that are something else', () => {
  const rest = randomBytes(0x3000);
  const head = (hex: string): Buffer => Buffer.concat([Buffer.from(hex, 'hex'), rest]);
  const CASES: readonly [string, Buffer, RegExp, RegExp][] = [
    ['makedumpfile', Buffer.concat([Buffer.from('KDUMP   '), rest]), /makedumpfile dump \(kdump-compressed\)/, /memory itself/],
    ['flattened makedumpfile', Buffer.concat([Buffer.from('makedumpfile\0\0\0\0'), rest]), /flattened makedumpfile/, /memory itself/],
    ['diskdump', Buffer.concat([Buffer.from('DISKDUMP'), rest]), /diskdump/, /memory itself/],
    ['qcow2', head('514649fb00000003'), /qcow2/, /memory-backend-file/],
    ['gzip', head('1f8b0800'), /gzip/, /unpack/],
    ['xz', head('fd377a585a000004'), /an xz file/, /unpack/],
    ['zstd', head('28b52ffd04'), /zstd/, /unpack/],
    ['lz4', head('04224d1864'), /lz4/, /unpack/],
    ['bzip2', Buffer.concat([Buffer.from('BZh9'), rest]), /bzip2/, /unpack/],
    ['a device tree', head('d00dfeed00001000'), /device tree or FIT/, /loaded image/],
  ];

  test.each(CASES)('%s', (name, bytes, what, remedy) => {
    const path = fresh(name.replace(/\W/g, ''));
    writeFileSync(path, bytes);
    for (const command of [
      ['inspect', path],
      ['check', path],
      ['apply', path, '--add-memory', '0+1M'],
      ['capture', path, '-o', `${path}.out`],
    ]) {
      const result = run(command);
      expect(result).toMatchObject({ status: 3, stdout: '' });
      expect(result.stderr).toMatch(/^kdump-hotplug: [^\n]+\n$/);
      expect(result.stderr).toMatch(what);
      expect(result.stderr).toMatch(remedy);
    }
    expect(readFileSync(path).equals(bytes)).toBe(true);
  });

  test('--format raw looks into one all the same', () => {
    const parts = build(partsOf('x86_64'));
    const file = ramFile(fresh('odd.ram'), [parts]);
    patchFile(file.path, 0, Buffer.from('1f8b0800', 'hex'));
    expect(run(['inspect', file.path])).toMatchObject({ status: 3 });
    expect(run(['inspect', file.path, '--format', 'raw'])).toMatchObject({ status: 0, stderr: '' });
  });
});

function patchFile(path: string, at: number, bytes: Uint8Array): void {
  const descriptor = openSync(path, 'r+');
  writeSync(descriptor, bytes, 0, bytes.length, at);
  closeSync(descriptor);
}

test('a packed image of another kind of executable is refused by name', () => {
  const path = fresh('executable');
  const bytes = Buffer.alloc(0x2000);
  putElfHeader(bytes, { machine: 62, little: true, type: 2, count: 1 });
  putProgramHeader(bytes, 64, { ...load(0x100000n, 0x1000n, 0n), offset: 0x1000n }, true);
  writeFileSync(path, bytes);
  const result = run(['inspect', path]);
  expect(result).toMatchObject({ status: 3, stdout: '' });
  expect(result.stderr).toContain('an ELF executable, but not a packed kdump image');
});
