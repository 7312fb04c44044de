import { createHash } from 'node:crypto';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { architectureNamed } from '../../src/arch/registry.js';
import { encodeElfcorehdr, parseElfcorehdr, programHeaderCapacity } from '../../src/elf/elfcorehdr.js';
import { formatDts } from '../../src/fdt/dts.js';
import { editFdt } from '../../src/fdt/edit/edit.js';
import { parseFdt } from '../../src/fdt/fdt.js';
import type { FileSystem } from '../../src/file/file-system.js';
import { nodeFileSystem } from '../../src/file/node-file-system.js';
import { cpusOf } from '../../src/description/cpus.js';
import { planHotplug } from '../../src/plan/plan.js';
import { openImage, closeImage } from '../../src/image/open.js';
import { encodeJournal, parseJournal, type Journal } from '../../src/journal/journal.js';
import { applyPlan } from '../../src/patch/apply.js';
import { openForPatching } from '../../src/patch/open-for-patching.js';
import { closeTarget, openTarget } from '../../src/patch/target.js';
import { buildFdt, cells, END, node, prop, raw, type Item } from '../fdt/build.js';
import { build, packedFile, partsOf, ramFile } from '../helpers/build-image.js';
import { elfcorehdr, elfcorehdrBytes, load, note } from '../helpers/elfcorehdr.js';
import { copyOf, section } from '../helpers/fixtures.js';
import { processorTime } from '../helpers/processor-time.js';
import { has, PROGRAM, run as spawned, scratchFolder } from '../helpers/run.js';
import { runHere as run } from '../helpers/run-here.js';
import { thrown } from '../helpers/thrown.js';
import { expectDamaged, expectRefused, ONE_LINE, stateOf } from './program.js';

/*
 * Input that somebody made to do harm, or that went wrong in a way that does. The numbers are fixed. A name says what happens where that is
 * less, or other, than one might ask for.
 */

const folder = scratchFolder();
const isRoot = process.geteuid?.() === 0;
const U64 = 1n << 64n;
const ADD = ['--add-memory', '0x80000000+256M'];

let files = 0;
const fresh = (name = 'file'): string => join(folder, `${name}-${(files += 1)}`);

/** A test that needs something of the machine; without it the reason is printed. */
function testWith(needed: boolean, reason: string, name: string, body: () => void | Promise<void>): void {
  if (!needed) console.warn(`${name}: skipped, ${reason}`);
  test.skipIf(!needed)(name, body);
}

// ---------------------------------------------------------------------------------------------------------------- elfcorehdr

const HEADERS = [note(0xff0000n), note(0xff1000n, 0x1024n), load(0n, 0x10000n, 0x510000n), load(0x10000n, 0x400000n)];

/** A good little-endian elfcorehdr with `change` made to it. */
function elf(change: (bytes: Buffer) => void = () => undefined, headers = HEADERS): Buffer {
  const bytes = Buffer.from(elfcorehdrBytes(headers));
  change(bytes);
  return bytes;
}

function expectElfRefused(bytes: Uint8Array, words = /./): void {
  const error = thrown(() => parseElfcorehdr(bytes));
  expect(error.kind).toBe('input');
  expect(error.message).toMatch(words);
}

const at = (index: number, field: number): number => 64 + 56 * index + field;
const [P_OFFSET, P_PADDR, P_FILESZ, P_MEMSZ] = [8, 24, 32, 40];

/** A small big-endian packed image; `change` is made to its elfcorehdr. */
function tiny(change: (segment: Buffer) => void = () => undefined, name = '.kexec.elfcorehdr'): string {
  const path = copyOf('tiny-ppc64', folder);
  const { offset, size } = section(path, name);
  const file = readFileSync(path);
  change(file.subarray(offset, offset + size));
  writeFileSync(path, file);
  return path;
}

describe('elfcorehdr', () => {
  test('case 1: a segment or file shorter than an ELF header is refused', () => {
    for (const length of [0, 1, 63]) expectElfRefused(elf().subarray(0, length), /truncated ELF header/);
    const path = fresh();
    writeFileSync(path, elf().subarray(0, 63));
    expectDamaged(path, /truncated ELF header/);
  });

  test('case 2: a bad magic is refused, one whose first byte is zero too; with the journal of the interrupted patch it is read as before', () => {
    for (const index of [0, 1, 2, 3])
      expectElfRefused(
        elf((bytes) => (bytes[index] = 0)),
        /not an ELF header/,
      );
    const path = tiny((bytes) => (bytes[0] = 0));
    expectDamaged(path, /not an ELF header/);
    const { offset } = section(path, '.kexec.elfcorehdr');
    writeJournal(path, {
      records: [{ position: offset, before: Buffer.from('7f', 'hex'), after: Buffer.from('7f', 'hex') }],
      markers: [offset],
    });
    const result = run(['inspect', path]);
    expect(result).toMatchObject({ status: 0, stderr: expect.stringMatching(/was interrupted.*recover/) as string });
  });

  test('case 3: another ELF class than 64 bit is refused', () => {
    for (const value of [0, 1, 3, 255])
      expectElfRefused(
        elf((bytes) => (bytes[4] = value)),
        /EI_CLASS/,
      );
  });

  test('case 4: a byte order that is neither is refused; of either, the fields decide and stay as they are', () => {
    for (const value of [0, 3])
      expectElfRefused(
        elf((bytes) => (bytes[5] = value)),
        /EI_DATA/,
      );
    const big = elfcorehdrBytes(HEADERS, 'msb');
    for (const value of [1, 2]) {
      big[5] = value;
      expect(parseElfcorehdr(big).header.byteOrder).toBe('msb');
      expect(Buffer.compare(encodeElfcorehdr(parseElfcorehdr(big)), big)).toBe(0);
    }
  });

  test('case 5: another ELF version than 1 is refused', () => {
    expectElfRefused(
      elf((bytes) => (bytes[6] = 0)),
      /EI_VERSION/,
    );
    for (const value of [0, 2, 0xffffffff])
      expectElfRefused(
        elf((bytes) => bytes.writeUInt32LE(value, 20)),
        /e_version/,
      );
  });

  test('case 6: another e_type than ET_CORE is refused', () => {
    for (const value of [0, 1, 2, 3, 5, 0xffff])
      expectElfRefused(
        elf((bytes) => bytes.writeUInt16LE(value, 16)),
        /e_type/,
      );
  });

  test('case 7: an unknown e_machine is refused; no option overrides it', () => {
    expectDamaged(
      tiny((bytes) => bytes.writeUInt16BE(3, 18)),
      /e_machine/,
    );
    expectRefused(fresh(), ['inspect', 'x', '--arch', 'ppc64'], 2, /--arch/);
  });

  test('case 8: another e_ehsize than 64 is refused', () => {
    for (const value of [0, 52, 63, 65, 0xffff])
      expectElfRefused(
        elf((bytes) => bytes.writeUInt16LE(value, 52)),
        /e_ehsize/,
      );
  });

  test('case 9: another e_phentsize than 56 is refused', () => {
    for (const value of [0, 1, 55, 57, 0xffff])
      expectElfRefused(
        elf((bytes) => bytes.writeUInt16LE(value, 54)),
        /e_phentsize/,
      );
  });

  test('case 10: no program headers are refused', () => {
    expectElfRefused(
      elf((bytes) => bytes.writeUInt16LE(0, 56)),
      /e_phnum/,
    );
  });

  test('case 11: an e_phnum of PN_XNUM without a section is refused', () => {
    expectElfRefused(Buffer.concat([elf((bytes) => bytes.writeUInt16LE(0xffff, 56)), Buffer.alloc(65535 * 56)]), /e_phnum/);
  });

  test('case 12: PN_XNUM is refused whatever section 0 says, and never written', () => {
    for (const count of [0, 3, 0xffffffff]) {
      const bytes = Buffer.concat([elf(), Buffer.alloc(64)]);
      bytes.writeUInt16LE(0xffff, 56);
      bytes.writeBigUInt64LE(BigInt(bytes.length - 64), 40);
      bytes.writeUInt16LE(64, 58);
      bytes.writeUInt16LE(1, 60);
      bytes.writeUInt32LE(count, bytes.length - 64 + 44);
      expectElfRefused(bytes, /e_phnum/);
    }
    expect(() => encodeElfcorehdr(elfcorehdr(Array.from({ length: 65535 }, () => note(1n))))).toThrow(RangeError);
  });

  test('case 13: 65,534 program headers in a segment of four are refused before anything is allocated', () => {
    const before = process.memoryUsage().arrayBuffers;
    expectElfRefused(
      elf((bytes) => bytes.writeUInt16LE(65534, 56)),
      /do not fit the segment/,
    );
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1 << 20);
  });

  test('case 14: a change that needs program header 65,535 does not fit, however large the segment', () => {
    expect(programHeaderCapacity(1n << 40n)).toBe(65534);
    const headers = [
      note(0x700000n),
      note(0x701000n),
      ...Array.from({ length: 65532 }, (_, i) => load(BigInt(i + 0x100) * 0x2000n, BigInt(i + 0x100) * 0x2000n + 0x1000n)),
    ];
    const path = fresh('full');
    writeFileSync(`${path}.bin`, elfcorehdrBytes(headers, 'msb'));
    const manifest = {
      architecture: 'ppc64',
      segments: [
        { name: 'kernel', address: '0x400000000', memsz: '64K', fill: 1 },
        { name: 'elfcorehdr', address: '0x400010000', memsz: '16M', file: `${path}.bin` },
      ],
    };
    writeFileSync(`${path}.json`, JSON.stringify(manifest));
    expect(run(['pack', '--manifest', `${path}.json`, '-o', path])).toMatchObject({ status: 0, stderr: '' });
    expectRefused(path, ['apply', path, '--force', '--add-memory', '0x800000000+16M'], 4, /65535 program headers/);
  });

  test('case 15: program headers that do not begin right behind the header are refused', () => {
    for (const value of [0n, 63n, 65n, 1n << 63n, U64 - 56n])
      expectElfRefused(
        elf((bytes) => bytes.writeBigUInt64LE(value, 32)),
        /e_phoff/,
      );
  });

  test('case 16: section headers that point into the program headers are not followed, and stay', () => {
    const bytes = elf((image) => {
      image.writeBigUInt64LE(64n, 40);
      image.writeUInt16LE(64, 58);
      image.writeUInt16LE(4, 60);
    });
    expect(Buffer.compare(encodeElfcorehdr(parseElfcorehdr(bytes)), bytes)).toBe(0);
  });

  test('case 17: file contents that pass 2^64 are refused', () => {
    expectElfRefused(
      elf((bytes) => bytes.writeBigUInt64LE(U64 - 0x1000n, at(3, P_OFFSET))),
      /p_offset \+ p_filesz/,
    );
  });

  test('case 18: memory that passes 2^64 is refused, memory that ends there is taken', () => {
    const ending = (end: bigint): Buffer => elf((bytes) => bytes.writeBigUInt64LE(end - 0x3f0000n, at(3, P_PADDR)));
    expectElfRefused(Buffer.from(ending(U64 - 1n)).fill(0xff, at(3, P_PADDR), at(3, P_PADDR) + 8), /p_paddr \+ p_memsz/);
    expect(parseElfcorehdr(ending(U64)).programHeaders[3]?.paddr).toBe(U64 - 0x3f0000n);
  });

  test('case 19: a PT_LOAD of no memory is kept, one with less in the file is reported, one with more is refused', () => {
    expect(parseElfcorehdr(elf((bytes) => bytes.fill(0, at(3, P_FILESZ), at(3, P_MEMSZ) + 8))).programHeaders).toHaveLength(4);
    expectElfRefused(
      elf((bytes) => bytes.writeBigUInt64LE(0x3f0001n, at(3, P_FILESZ))),
      /p_filesz/,
    );
    const path = tiny((bytes) => bytes.writeBigUInt64BE(0x1000n, at(4, P_FILESZ)));
    expect(run(['inspect', path]).stdout).toContain('[partial-load]');
  });

  test('case 20: PT_LOADs that overlap are reported by check, and a change is refused; duplicates likewise', () => {
    const path = tiny((bytes) => {
      for (const field of [P_OFFSET, P_PADDR]) bytes.writeBigUInt64BE(0x10000n, at(4, field));
    });
    expect(run(['check', path])).toMatchObject({ status: 1, stderr: '' });
    expect(run(['inspect', path]).stdout).toContain('[overlapping-memory]');
    expectRefused(path, ['apply', path, ...ADD], 4, /overlap/);
  });

  test('case 21: PT_NOTEs of any size are kept as they are; what they point at is never walked', () => {
    const path = tiny((bytes) => {
      bytes.writeBigUInt64BE(0xffffffffn, at(0, P_FILESZ));
      bytes.writeBigUInt64BE(0xffffffffn, at(0, P_MEMSZ));
    });
    expect(run(['inspect', path])).toMatchObject({ status: 0, stderr: '' });
    expectElfRefused(
      elf((bytes) => bytes.writeBigUInt64LE(U64 - 1n, at(0, P_FILESZ))),
      /p_offset \+ p_filesz/,
    );
  });

  test('case 22: 65,533 PT_NOTEs are read in less than a second', () => {
    const bytes = elf(() => undefined, [...Array.from({ length: 65533 }, (_, index) => note(BigInt(index) * 0x1000n)), load(0n, 0x1000n)]);
    const started = processorTime();
    expect(parseElfcorehdr(bytes).programHeaders).toHaveLength(65534);
    expect(processorTime() - started).toBeLessThan(2000);
  });

  test('case 23: program headers of unknown types stay to the byte', () => {
    for (const type of [0x6fffffff, 3, 0, 0xffffffff]) {
      const bytes = elf((image) => image.writeUInt32LE(type, at(2, 0)));
      expect(Buffer.compare(encodeElfcorehdr(parseElfcorehdr(bytes)), bytes)).toBe(0);
    }
  });

  test('case 24: what stands behind the last program header is no program header', () => {
    expect(parseElfcorehdr(Buffer.concat([elf(), Buffer.alloc(560, 0xff)])).programHeaders).toHaveLength(4);
  });

  test('case 25: a table one byte longer than its segment is refused', () => {
    expectElfRefused(elf().subarray(0, 64 + 4 * 56 - 1), /do not fit the segment/);
  });

  test('case 26: growth beyond the segment is refused with what it takes and what there is; nothing is written', () => {
    const path = copyOf('tiny-ppc64', folder);
    const ranges = Array.from({ length: 68 }, (_, index) => [
      '--add-memory',
      `0x${(0x10000000 + index * 0x200000).toString(16)}+1M`,
    ]).flat();
    expectRefused(path, ['apply', path, ...ranges], 4, /4152 bytes.*4096 bytes/);
  });

  test('case 27: an address that is none is refused before the image is opened', () => {
    for (const text of ['0x10000000000000000', '-1', '0x', '1e9', '٣', '9'.repeat(65), '', ' 1', '1 ', '1_000', 'NaN']) {
      expectRefused(fresh(), ['plan', join(folder, 'no-such-image'), '--add-memory', `${text}+1M`], 2, /--add-memory/);
    }
  });
});

// ---------------------------------------------------------------------------------------------------------------- FDT

const TREE = [node('chosen', prop('bootargs', 'x')), node('cpus', prop('#address-cells', [1]), prop('#size-cells', [0]))];
const HEADER = {
  totalSize: 1,
  offStruct: 2,
  offStrings: 3,
  offReserveMap: 4,
  version: 5,
  lastCompatible: 6,
  sizeStrings: 8,
  sizeStruct: 9,
};

function expectFdtRefused(bytes: Uint8Array, words = /./): void {
  const error = thrown(() => parseFdt(bytes));
  expect(error.kind).toBe('input');
  expect(error.message).toMatch(words);
}

/** A tree with one word of its header, or of any other place, set. */
function fdtWith(word: number, value: number, items: readonly Item[] = TREE): Uint8Array {
  const bytes = Buffer.from(buildFdt(items));
  bytes.writeUInt32BE(value, 4 * word);
  return bytes;
}

const structure = (...items: Item[]): Uint8Array => buildFdt([], { struct: items });

/** A blob around a structure block of `words`; strings "a". */
function wide(words: Buffer): Buffer {
  const head = Buffer.from(buildFdt([], { struct: [] }));
  const blob = Buffer.concat([head.subarray(0, 56), words, Buffer.from('a\0', 'latin1')]);
  [blob.length, 56, 56 + words.length, 40].forEach((value, index) => blob.writeUInt32BE(value, 4 + 4 * index));
  blob.writeUInt32BE(2, 32);
  blob.writeUInt32BE(words.length, 36);
  return blob;
}

const hexWords = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/g, ''), 'hex');
const repeated = (text: string, count: number): Buffer => {
  const piece = hexWords(text);
  return Buffer.alloc(piece.length * count, piece);
};
const ROOT = '00000001 00000000';
const CLOSE = '00000002 00000009';

describe('FDT', () => {
  test('case 28: a blob shorter than its header is refused', () => {
    for (const length of [0, 4, 16, 39]) expectFdtRefused(buildFdt(TREE).subarray(0, length), /cut short/);
  });

  test('case 29: a magic with its bytes swapped is refused with a hint', () => {
    expectFdtRefused(fdtWith(0, 0xedfe0dd0), /swapped.*big endian/);
  });

  test('case 30: a totalsize of nothing, beyond 2 GiB, or beyond the segment is refused', () => {
    for (const value of [0, 39, 0x7fffffff, 0x80000000, 0xffffffff]) expectFdtRefused(fdtWith(HEADER.totalSize, value));
    expectDamaged(
      tiny((fdt) => fdt.writeUInt32BE(0x1001, 4), '.kexec.fdt'),
      /fdt.*totalsize/,
    );
  });

  test('case 31: a block outside the blob, in its header, or that passes 2^32 is refused', () => {
    for (const field of ['offStruct', 'offStrings', 'offReserveMap'] as const)
      for (const value of [0, 8, 0x7ffffff8, 0xfffffff8]) expectFdtRefused(fdtWith(HEADER[field], value));
    for (const field of ['sizeStruct', 'sizeStrings'] as const)
      for (const value of [0x7fffffff, 0xffffffff]) expectFdtRefused(fdtWith(HEADER[field], value));
  });

  test('case 32: blocks that are not aligned are refused', () => {
    expectFdtRefused(fdtWith(HEADER.offStruct, 58), /aligned/);
    expectFdtRefused(fdtWith(HEADER.offReserveMap, 44), /aligned/);
  });

  test('case 33: blocks that overlap are refused', () => {
    const bytes = Buffer.from(buildFdt(TREE));
    for (const field of [HEADER.offStrings, HEADER.offReserveMap])
      expectFdtRefused(fdtWith(field, bytes.readUInt32BE(8)), /overlap|no end/);
  });

  test('case 34: another version than 17 is refused, but for a later one that says a reader of 17 can read it, which is not edited', () => {
    for (const value of [0, 1, 2, 3, 16]) expectFdtRefused(fdtWith(HEADER.version, value), /version/);
    for (const value of [18, 0xffffffff]) expectFdtRefused(fdtWith(HEADER.lastCompatible, value), /newer/);
    const later = parseFdt(fdtWith(HEADER.version, 18));
    expect(thrown(() => editFdt(later, [], { capacity: 65536 })).kind).toBe('refused');
  });

  test('case 35: a memory reservation block without an end is refused', () => {
    const blob = Buffer.from(buildFdt(TREE, { order: ['struct', 'strings', 'reserve'], reservations: [[1n, 1n]] }));
    expectFdtRefused(blob.fill(0xff, blob.readUInt32BE(16)), /no end/);
  });

  test('case 36: a property that is longer than the block is refused', () => {
    for (const length of [0xffffffff, 0x7ffffff8, 0x100]) expectFdtRefused(structure(raw(1, 0, 3, length, 0, 2), END), /passes the end/);
  });

  test('case 37: a property name outside the strings block, or without an end in it, is refused', () => {
    for (const offset of [2, 0x7fffffff, 0xffffffff])
      expectFdtRefused(wide(hexWords(`${ROOT} 00000003 00000000 ${offset.toString(16).padStart(8, '0')} ${CLOSE}`)));
    const open = wide(hexWords(`${ROOT} 00000003 00000000 00000000 ${CLOSE}`));
    open[open.length - 1] = 0x61;
    expectFdtRefused(open);
  });

  test('case 38: a node name without an end is refused', () => {
    expectFdtRefused(structure(raw(1, 0, 1, 0x61616161)), /./);
  });

  test('case 39: two roots, a root with a name, a property outside the root, anything behind the end: refused', () => {
    expectFdtRefused(structure(node(''), node(''), END), /second root/);
    expectFdtRefused(structure(node('name'), END), /root node has a name/);
    expectFdtRefused(structure(prop('a', 'b'), node(''), END), /outside the root/);
    expectFdtRefused(structure(node(''), END, END), /after FDT_END/);
  });

  test('case 40: ends without beginnings, no end, unknown tokens: refused', () => {
    expectFdtRefused(structure(raw(2), node(''), END), /without a node/);
    expectFdtRefused(structure(node('', prop('a', 'b'))), /without FDT_END/);
    expectFdtRefused(structure(raw(1, 0, 4, 4, 4), END), /without FDT_END_NODE/);
    for (const token of [0, 5, 6, 7, 8, 10, 0xffffffff]) expectFdtRefused(structure(raw(1, 0, token, 2), END), /unknown token/);
  });

  test('case 41: level 65 is refused, and a million levels at once', () => {
    for (const levels of [64, 999_999]) {
      const blob = wide(
        Buffer.concat([hexWords(ROOT), repeated('00000001 61000000', levels), repeated('00000002', levels), hexWords(CLOSE)]),
      );
      const started = processorTime();
      expectFdtRefused(blob, /too deep/);
      expect(processorTime() - started).toBeLessThan(1000);
    }
    parseFdt(wide(Buffer.concat([hexWords(ROOT), repeated('00000001 61000000', 63), repeated('00000002', 63), hexWords(CLOSE)])));
  });

  test('case 42: 25,000,000 NOPs are read in a time linear in them', () => {
    const blob = wide(Buffer.concat([hexWords(ROOT), repeated('00000004', 25_000_000), hexWords(CLOSE)]));
    const started = processorTime();
    expect(parseFdt(blob).root.children()).toEqual([]);
    expect(processorTime() - started).toBeLessThan(40_000);
  });

  test('case 43: 2,000,000 siblings of one name are read in a time linear in them, and a change beside them is refused', () => {
    const blob = wide(Buffer.concat([hexWords(ROOT), repeated('00000001 61000000 00000002', 2_000_000), hexWords(CLOSE)]));
    const started = processorTime();
    const fdt = parseFdt(blob);
    const added = { kind: 'addNode', parent: fdt.root, node: { name: 'b', properties: [] } } as const;
    expect(thrown(() => editFdt(fdt, [added], { capacity: 1 << 30 })).kind).toBe('refused');
    expect(processorTime() - started).toBeLessThan(8000);
  });

  test('case 44: a property twice in a node is read, but such a node is not edited', () => {
    const fdt = parseFdt(buildFdt([prop('a', 'x'), prop('a', 'y')]));
    expect(thrown(() => editFdt(fdt, [{ kind: 'setProperty', node: fdt.root, name: 'a', value: cells(1) }], { capacity: 4096 })).kind).toBe(
      'refused',
    );
  });

  test('case 45: a property behind a child is refused', () => {
    expectFdtRefused(buildFdt([node('child'), prop('a', 'b')]), /after a child/);
  });

  test('case 46: no /cpus, cells of another size, a reg that is no whole number of them: a CPU change is refused', () => {
    const ppc64 = architectureNamed('ppc64le');
    const cpus = (...items: Item[]): unknown => cpusOf(parseFdt(buildFdt([node('cpus', ...items)])), ppc64);
    expect(thrown(() => cpusOf(parseFdt(buildFdt([])), ppc64)).message).toMatch(/no \/cpus/);
    for (const count of [0, 3, 0xffffffff]) expect(thrown(() => cpus(prop('#address-cells', [count]))).message).toMatch(/#address-cells/);
    const cpu = node('cpu@0', prop('device_type', 'cpu'), prop('reg', Uint8Array.of(0, 0, 0)));
    expect(thrown(() => cpus(prop('#address-cells', [1]), cpu)).message).toMatch(/has no id/);
    const path = tiny((fdt) => fdt.write('cpux', fdt.indexOf('cpus\0')), '.kexec.fdt');
    expectRefused(path, ['apply', path, '--add-cpu', '1'], 3, /\/cpus/);
  });

  test('case 47: names with escapes, slashes and invalid UTF-8 are printed escaped and are no paths', () => {
    const fdt = parseFdt(buildFdt([prop('\x1b[2Jp', 'x'), node('a/b\n\x1b]0;t\x07', node('c')), node('\xff\xfe')]));
    expect(formatDts(fdt)).not.toMatch(/[^\n\t -~]/);
    expect(fdt.node('/a/b\n\x1b]0;t\x07')).toBeUndefined();
    const path = tiny((tree) => tree.write('\x1b[2J', tree.indexOf('cpu@0\0'), 'latin1'), '.kexec.fdt');
    for (const args of [
      ['inspect', path],
      ['inspect', path, '--fdt'],
      ['inspect', path, '--json'],
      ['plan', path, '--add-cpu', '1'],
    ]) {
      const { stdout, stderr } = run(args);
      // eslint-disable-next-line no-control-regex
      expect(stdout + stderr).not.toMatch(/[\x00-\x08\x0b-\x1f\x7f]/);
    }
  });

  test('case 48: a CPU id that two nodes have is reported; phandles are no concern, a new node gets none', () => {
    const parts = partsOf('ppc64le');
    const twice = parts.cpus[0];
    if (twice !== undefined) parts.cpus.push({ ...twice, node: 'PowerPC,POWER9@7' });
    const image = ramFile(fresh('ram'), [build(parts)]);
    expect(run(['check', image.path, ...image.options])).toMatchObject({ status: 1 });
    expect(run(['inspect', image.path, ...image.options]).stdout).toContain('[duplicate-cpu]');
  });

  test('case 49: a node that does not fit the segment is refused with what it takes and what there is', () => {
    const fdt = parseFdt(buildFdt([node('cpus')]));
    const added = { kind: 'addNode', parent: fdt.root, node: { name: 'cpu@1', properties: [{ name: 'reg', value: cells(1) }] } } as const;
    const error = thrown(() => editFdt(fdt, [added], { capacity: fdt.header.totalSize }));
    expect(error.kind).toBe('refused');
    expect(error.message).toMatch(/\d+ bytes needed.*\d+ bytes available/);
  });

  test('case 50: a second blob behind totalsize is never touched', () => {
    const image = packedFile(join(folder, 'two-blobs'), build(partsOf('ppc64le', { hotplug: true })));
    const BEHIND = 0x4000;
    image.write('fdt', image.read('fdt').subarray(0, 200), BEHIND);
    const before = image.read('fdt');
    expect(run(['apply', image.path, '--add-cpu', '2'])).toMatchObject({ status: 0, stderr: '' });
    const after = image.read('fdt');
    expect(parseFdt(after).node('/cpus/PowerPC,POWER9@2')).toBeDefined();
    expect(after.subarray(BEHIND).equals(before.subarray(BEHIND))).toBe(true);
  });
});

// ---------------------------------------------------------------------------------------------------------------- container

/** Program header `index` of the big-endian packed image and its section header: `field` of each set to `value`. */
function packedWith(index: number, changes: readonly (readonly [programHeader: number, sectionHeader: number, value: bigint])[]): string {
  const path = copyOf('tiny-ppc64', folder);
  const file = readFileSync(path);
  const sections = Number(file.readBigUInt64BE(40));
  for (const [inProgramHeader, inSectionHeader, value] of changes) {
    file.writeBigUInt64BE(value, at(index, inProgramHeader));
    if (inProgramHeader === P_PADDR) file.writeBigUInt64BE(value, at(index, 16));
    if (inSectionHeader > 0) file.writeBigUInt64BE(value, sections + 64 * (index + 1) + inSectionHeader);
  }
  writeFileSync(path, file);
  return path;
}

describe('container', () => {
  test('case 51: segments that overlap, or begin at one address, are refused', () => {
    for (const address of [0x520000n, 0x520800n]) expectDamaged(packedWith(3, [[P_PADDR, 16, address]]), /same physical memory|overlap/);
  });

  test('case 52: a segment behind the end of the file, or of 2^53, is refused', () => {
    for (const offset of [0x5000n, 1n << 53n, (1n << 53n) - 1n, U64 - 4096n]) expectDamaged(packedWith(2, [[P_OFFSET, 24, offset]]));
    expectDamaged(packedWith(2, [[P_FILESZ, 32, 1n << 62n]]));
  });

  test('case 53: a position that is no safe integer never reaches a system call; strings are kept out by the types alone', () => {
    const path = fresh();
    writeFileSync(path, 'contents');
    const descriptor = nodeFileSystem.open(path, 'modify');
    try {
      for (const position of [4096n, 0.5, -1, NaN, 2 ** 53, Infinity] as unknown as number[]) {
        expect(() => {
          nodeFileSystem.write(descriptor, Uint8Array.of(0), position);
        }, String(position)).toThrow();
      }
    } finally {
      nodeFileSystem.close(descriptor);
    }
    expect(readFileSync(path, 'utf8')).toBe('contents');
  });

  test('case 54: an elfcorehdr that lies in a hole of a sparse file in part is patched there', () => {
    const image = ramFile(fresh('sparse'), [build(partsOf('ppc64le'))]);
    const ranges = Array.from({ length: 80 }, (_, index) => [
      '--add-memory',
      `0x${(0x10000000 + index * 0x200000).toString(16)}+1M`,
    ]).flat();
    expect(run(['apply', image.path, ...image.options, ...ranges])).toMatchObject({ status: 0, stderr: '' });
    expect(image.read('elfcorehdr').readUInt16LE(56)).toBe(86);
    expect(image.digests().computed).toBe(image.digests().stored);
  });

  test('case 55: copies of headers in memory are passed over; two whole images are listed and refused', () => {
    const one = build(partsOf('ppc64le'));
    const image = ramFile(fresh('decoy'), [one]);
    const file = readFileSync(image.path);
    for (const role of ['elfcorehdr', 'fdt'] as const) file.set(image.read(role), role === 'fdt' ? 0x300000 : 0x200000);
    writeFileSync(image.path, file);
    expect(run(['inspect', image.path])).toMatchObject({ status: 0, stderr: '' });
    const two = ramFile(fresh('two'), [one, build(partsOf('ppc64le', { crashKernelAt: 0x3000000n }))]);
    expectRefused(two.path, ['inspect', two.path], 3, /2 kdump images found/);
    expectRefused(two.path, ['apply', two.path, ...ADD], 3, /2 kdump images found/);
  });

  test('case 56: a file that somebody shortens before the write is refused, and not made longer', () => {
    const path = copyOf('tiny-ppc64', folder);
    const { target, image } = openForPatching(nodeFileSystem, path);
    try {
      const plan = planHotplug(image, [{ action: 'add', memory: { start: 0x80000000n, end: 0x90000000n } }]);
      truncateSync(path, 4096);
      expect(['input', 'io', 'refused']).toContain(thrown(() => applyPlan(target, plan)).kind);
    } finally {
      closeTarget(target);
    }
    expect(statSync(path).size).toBe(4096);
    expect(readdirSync(folder).filter((name) => name.includes('kdhp-journal') && name.includes(path.split('/').pop() ?? ''))).toEqual([]);
  });

  test('case 57: a file that grows meanwhile is patched where it was planned, and keeps what was added', () => {
    const path = copyOf('tiny-ppc64', folder);
    const { target, image } = openForPatching(nodeFileSystem, path);
    try {
      const plan = planHotplug(image, [{ action: 'add', memory: { start: 0x80000000n, end: 0x90000000n } }]);
      appendFileSync(path, 'more');
      applyPlan(target, plan);
    } finally {
      closeTarget(target);
    }
    expect(readFileSync(path).subarray(-4).toString()).toBe('more');
    expect(section(path, '.kexec.elfcorehdr').bytes.readUInt16BE(56)).toBe(6);
  });

  test('case 58: compressed files and images of other programs are refused by their names', () => {
    const magics: [RegExp, string][] = [[/gzip/, '1f8b0800'], [/xz/, 'fd377a585a00'], [/zstd/, '28b52ffd'], [/qcow2/, '514649fb00000003'], [/makedumpfile/, '4b44554d50202020'], [/flattened/, '6d616b6564756d7066696c65']]; // prettier-ignore
    for (const [words, magic] of magics) {
      const path = fresh();
      writeFileSync(path, Buffer.concat([Buffer.from(magic, 'hex'), Buffer.alloc(8192)]));
      expectDamaged(path, words);
    }
  });

  test('case 59: a file of 2^63 - 1 bytes is refused at once', () => {
    const path = fresh();
    writeFileSync(path, '');
    const { status } = spawnSync('truncate', ['-s', '9223372036854775807', path]);
    if (status !== 0) {
      console.warn('case 59: not held, this file system has no files of that size');
      return;
    }
    expectDamaged(path, /2\^52/);
    rmSync(path);
  });

  test('case 60: what is no regular file is refused without waiting: empty, directory, FIFO, socket, devices, /proc', async () => {
    const empty = fresh();
    writeFileSync(empty, '');
    expectDamaged(empty, /empty/);
    const directory = fresh();
    mkdirSync(directory);
    expectRefused(empty, ['inspect', directory], 3, /a directory/);
    expectRefused(empty, ['apply', directory, ...ADD], 3, /a directory/);
    for (const device of ['/dev/zero', '/dev/null', '/dev/tty'].filter((path) => existsSync(path))) {
      const { status, stderr } = run(['inspect', device]);
      expect([3, 5]).toContain(status);
      expect(stderr).toMatch(ONE_LINE);
      expectRefused(empty, ['apply', device, ...ADD], 3, /device/);
    }
    // Their stated size is 0.
    expectRefused(empty, ['inspect', '/proc/self/status'], 3, /empty/);
    if (has('mkfifo')) {
      const fifo = fresh();
      execFileSync('mkfifo', [fifo]);
      expectRefused(empty, ['inspect', fifo], 3, /pipe/);
      expectRefused(empty, ['apply', fifo, ...ADD], 3, /pipe/);
    }
    const socket = fresh();
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(socket, resolve));
    try {
      expectRefused(empty, ['inspect', socket], 5, /socket/);
      expectRefused(empty, ['apply', socket, ...ADD], 3, /socket/);
    } finally {
      server.close();
    }
  });
});

// ---------------------------------------------------------------------------------------------------------------- paths

const CHANGE = [{ action: 'add', memory: { start: 0x80000000n, end: 0x90000000n } }] as const;

/** The real file system with `changed` calls. */
const fileSystemWith = (changed: Partial<FileSystem>): FileSystem => ({ ...nodeFileSystem, ...changed });

const journalOf = (path: string): string => path.replace(/([^/]+)$/, '.$1.kdhp-journal');
const bootId = (): string => readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').slice(0, 36);

function journalBytes(
  path: string,
  { records, markers = [], ...identity }: { records: Journal['records']; markers?: readonly number[] } & Partial<Journal['image']>,
): Uint8Array {
  const { dev, ino, size, birthtimeNs } = statSync(path, { bigint: true });
  const image = { device: dev, inode: ino, size, birthTime: birthtimeNs, ...identity };
  return encodeJournal({
    kind: 'journal',
    live: false,
    transaction: new Uint8Array(16).fill(7),
    image,
    bootId: bootId(),
    records,
    markers,
  });
}

function writeJournal(path: string, journal: Parameters<typeof journalBytes>[1]): void {
  writeFileSync(journalOf(path), journalBytes(path, journal), { mode: 0o600 });
}

const zero = Uint8Array.of(0);
const one = Uint8Array.of(1);

describe('paths', () => {
  test('case 61: a link is followed once, the journal is that of the file; a dangling one is refused (there is no --no-follow)', () => {
    const path = copyOf('tiny-ppc64', folder);
    const link = fresh('link');
    symlinkSync(path, link);
    expect(run(['apply', link, ...ADD])).toMatchObject({ status: 0, stderr: '' });
    expect(lstatSync(link).isSymbolicLink()).toBe(true);
    expect(section(path, '.kexec.elfcorehdr').bytes.readUInt16BE(56)).toBe(6);
    const dangling = fresh('link');
    symlinkSync(join(folder, 'nothing'), dangling);
    expectRefused(path, ['inspect', dangling], 5);
    expectRefused(path, ['apply', dangling, ...ADD], 5);
    expect(existsSync(join(folder, 'nothing'))).toBe(false);
    expectRefused(path, ['apply', link, '--no-follow', ...ADD], 2, /--no-follow/);
  });

  test('case 62: a file that becomes a link while it is opened is refused', () => {
    const path = copyOf('tiny-ppc64', folder);
    const other = copyOf('tiny-ppc64', folder);
    const before = stateOf(other);
    const swapping = fileSystemWith({
      statusIn(directory, name) {
        const status = nodeFileSystem.statusIn(directory, name);
        rmSync(path);
        symlinkSync(other, path);
        return status;
      },
    });
    expect(thrown(() => openTarget(swapping, path)).message).toMatch(/ELOOP/);
    expect(stateOf(other)).toEqual(before);
  });

  test('case 63: a directory that is moved meanwhile: the patch ends in the file that was opened', () => {
    const directory = fresh('directory');
    mkdirSync(directory);
    const path = join(directory, 'image');
    renameSync(copyOf('tiny-ppc64', folder), path);
    const { target, image } = openForPatching(nodeFileSystem, path);
    try {
      const plan = planHotplug(image, CHANGE);
      renameSync(directory, `${directory}.moved`);
      mkdirSync(directory);
      applyPlan(target, plan);
    } finally {
      closeTarget(target);
    }
    expect(readdirSync(directory)).toEqual([]);
    expect(readdirSync(`${directory}.moved`)).toEqual(['image']);
    expect(section(join(`${directory}.moved`, 'image'), '.kexec.elfcorehdr').bytes.readUInt16BE(56)).toBe(6);
  });

  test('case 64: an image that another file replaces meanwhile: an error, the new file untouched, the old one as it was', () => {
    const path = copyOf('tiny-ppc64', folder);
    const original = readFileSync(path);
    const held = openSync(path, 'r');
    const other = copyOf('tiny-ppc64', folder);
    const { target, image } = openForPatching(nodeFileSystem, path);
    try {
      const plan = planHotplug(image, CHANGE);
      renameSync(other, path);
      expect(thrown(() => applyPlan(target, plan)).kind).toBe('io');
    } finally {
      closeTarget(target);
    }
    expect(Buffer.compare(readFileSync(path), original)).toBe(0);
    expect(Buffer.compare(readFileSync(`/proc/self/fd/${held}`), original)).toBe(0);
    closeSync(held);
    expect(existsSync(journalOf(path))).toBe(false);
  });

  test('case 65: a file of two names, and a deleted one, are not patched (there is no --journal)', () => {
    const path = copyOf('tiny-ppc64', folder);
    linkSync(path, `${path}.second`);
    expectRefused(path, ['apply', path, ...ADD], 4, /2 names/);
    rmSync(`${path}.second`);
    const held = openSync(path, 'r+');
    rmSync(path);
    expect(thrown(() => openForPatching(nodeFileSystem, `/proc/self/fd/${held}`)).kind).toBe('io');
    closeSync(held);
    expectRefused(path, ['apply', path, '--journal', 'x', ...ADD], 2, /--journal/);
  });

  test('case 66: names with newlines, a dash in front, 255 bytes, NUL: used as they are, shown escaped; one that is no UTF-8 is not found', () => {
    for (const name of ['a\nb\x1b[31m', '-dash', 'n'.repeat(255)]) {
      const path = join(folder, name);
      renameSync(copyOf('tiny-ppc64', folder), path);
      const result = run(['apply', path, ...ADD]);
      expect(result).toMatchObject({ status: 0, stderr: '' });
      for (const text of ['\x1b', 'a\nb']) expect(result.stdout).not.toContain(text);
      expect(spawned(['inspect', '--', name], { cwd: folder })).toMatchObject({ status: 0 });
    }
    const damaged = join(folder, 'c\nd\x1b[31m');
    writeFileSync(damaged, 'no image');
    expectDamaged(damaged, /c\\x0ad\\x1b/);
    expect(thrown(() => openImage(nodeFileSystem, 'a\0b')).kind).toBe('io');
    const { status, stderr } = spawnSync('sh', ['-c', `exec "$0" "$1" inspect "$(printf 'x\\377y')"`, process.execPath, PROGRAM], {
      cwd: folder,
      encoding: 'utf8',
    });
    expect(status).toBe(5);
    expect(stderr).toMatch(ONE_LINE);
  });

  testWith(
    isRoot,
    'only root has files of others',
    'case 67: in a directory that all may write to, a journal of another user is refused (there is no warning)',
    () => {
      const directory = fresh('shared');
      mkdirSync(directory);
      chmodSync(directory, 0o777);
      const path = join(directory, 'image');
      renameSync(copyOf('tiny-ppc64', folder), path);
      writeJournal(path, { records: [{ position: 0, before: zero, after: one }] });
      chownSync(journalOf(path), 65534, 65534);
      for (const args of [
        ['apply', path, ...ADD],
        ['recover', path],
      ])
        expectRefused(path, args, 4, /another user/);
      expect(existsSync(journalOf(path))).toBe(true);
      rmSync(journalOf(path));
      expect(run(['apply', path, ...ADD])).toMatchObject({ status: 0, stderr: '' });
    },
  );

  test('case 68: a planted journal that is a link, a FIFO, a directory, or writable by others is neither followed nor removed', () => {
    const plants: [string, (journal: string, path: string) => void][] = [
      ['link', (journal) => { symlinkSync('/etc/passwd', journal); }],
      ['directory', (journal) => { mkdirSync(journal); }],
      ['writable', (journal, path) => { writeFileSync(journal, journalBytes(path, { records: [] })); chmodSync(journal, 0o620); }],
      ['two names', (journal, path) => { writeFileSync(journal, journalBytes(path, { records: [] }), { mode: 0o600 }); linkSync(journal, `${journal}.2`); }],
    ]; // prettier-ignore
    if (has('mkfifo')) plants.push(['FIFO', (journal) => execFileSync('mkfifo', [journal])]);
    for (const [what, plant] of plants) {
      const path = copyOf('tiny-ppc64', folder);
      plant(journalOf(path), path);
      for (const args of [
        ['inspect', path],
        ['apply', path, ...ADD],
        ['recover', path, '--force'],
      ])
        expectRefused(path, args, 4, /not used/);
      expect(lstatSync(journalOf(path)), what).toBeDefined();
      rmSync(journalOf(path), { recursive: true });
    }
  });

  test('case 69: a whole journal of another file is refused; one whose records are impossible counts as never finished, and writes nothing', () => {
    const record = { position: 0, before: zero, after: one };
    for (const identity of [{ inode: 1n }, { size: 4096n }, { birthTime: 1n }]) {
      const path = copyOf('tiny-ppc64', folder);
      writeJournal(path, { records: [record], ...identity });
      for (const args of [
        ['inspect', path],
        ['apply', path, ...ADD],
        ['recover', path, '--force'],
      ])
        expectRefused(path, args, 4, /another file/);
      expect(existsSync(journalOf(path))).toBe(true);
    }
    const twoRecords = [record, { position: 1, before: zero, after: one }];
    const impossible: ((bytes: Buffer) => void)[] = [
      (bytes) => bytes.writeBigUInt64LE(0n, 4096 + 18),
      (bytes) => bytes.writeBigUInt64LE(U64 - 1n, 4096),
      (bytes) => bytes.writeBigUInt64LE(U64 - 1n, 4104),
      (bytes) => bytes.writeUInt32LE(0xffffffff, 24),
      (bytes) => bytes.writeUInt32LE(3, 24),
      (bytes) => bytes.writeUInt32LE(1, 24),
    ];
    for (const change of impossible) {
      const path = copyOf('tiny-ppc64', folder);
      const before = readFileSync(path);
      const bytes = Buffer.from(journalBytes(path, { records: twoRecords }));
      change(bytes);
      writeFileSync(journalOf(path), resigned(bytes), { mode: 0o600 });
      expect(run(['recover', path])).toMatchObject({ status: 0, stderr: '' });
      expect(Buffer.compare(readFileSync(path), before)).toBe(0);
      expect(existsSync(journalOf(path))).toBe(false);
    }
  });

  test('case 70: a journal with any bit flipped is not a whole one', () => {
    const path = copyOf('tiny-ppc64', folder);
    const bytes = journalBytes(path, { records: [{ position: 4096, before: zero, after: one }], markers: [0] });
    parseJournal(bytes);
    for (let bit = 0; bit < 8 * bytes.length; bit += 1) {
      const byte = bit >> 3;
      bytes[byte] = (bytes[byte] as number) ^ (1 << (bit & 7));
      let kind: string | undefined;
      try {
        parseJournal(bytes);
      } catch (error) {
        kind = (error as { kind?: string }).kind;
      }
      if (kind !== 'input') expect.fail(`bit ${bit}: ${kind ?? 'accepted'}`);
      bytes[byte] ^= 1 << (bit & 7);
    }
  });

  test('case 71: a journal cut at any length is not a whole one, and the image is untouched', () => {
    const path = copyOf('tiny-ppc64', folder);
    const bytes = journalBytes(path, { records: [{ position: 0, before: zero, after: one }] });
    for (let length = 0; length < bytes.length; length += 1)
      expect(thrown(() => parseJournal(bytes.subarray(0, length))).kind).toBe('input');
    const before = readFileSync(path);
    for (const length of [0, 7, 4096, bytes.length - 1]) {
      writeFileSync(journalOf(path), bytes.subarray(0, length), { mode: 0o600 });
      expect(run(['recover', path])).toMatchObject({ status: 0, stderr: '' });
      expect(Buffer.compare(readFileSync(path), before)).toBe(0);
    }
  });

  test('case 72: a journal of an image that somebody wrote to since is refused, unless --force', () => {
    const path = copyOf('tiny-ppc64', folder);
    const { offset } = section(path, '.kexec.kernel');
    const was = readFileSync(path).subarray(offset, offset + 1);
    writeJournal(path, { records: [{ position: offset, before: was, after: zero }] });
    const file = readFileSync(path);
    file[offset] = 0x99;
    writeFileSync(path, file);
    for (const args of [
      ['recover', path],
      ['apply', path, ...ADD],
    ])
      expectRefused(path, args, 4, /somebody else wrote/);
    expect(run(['recover', path, '--force'])).toMatchObject({ status: 0, stderr: '' });
    expect(readFileSync(path)[offset]).toBe(was[0]);
  });

  testWith(
    has('flock'),
    'no flock(1)',
    'case 73: whether a patch is under way is told by the lock alone, not by process ids or times',
    () => {
      const path = copyOf('tiny-ppc64', folder);
      writeJournal(path, { records: [{ position: 4096, before: readFileSync(path).subarray(4096, 4097), after: zero }] });
      const descriptor = nodeFileSystem.open(path, 'read');
      expect(nodeFileSystem.lock(descriptor, 'exclusive')).toBe(true);
      expectRefused(path, ['apply', path, ...ADD], 5, /another process is patching/);
      nodeFileSystem.close(descriptor);
      expect(run(['apply', path, ...ADD])).toMatchObject({ status: 0 });
    },
  );
});

function resigned(bytes: Buffer): Buffer {
  bytes.fill(0, 128, 160);
  bytes.set(createHash('sha256').update(bytes).digest(), 128);
  return bytes;
}

// ---------------------------------------------------------------------------------------------------------------- environment

/** Runs the program from a shell that does `before` first; "$@" are the program and its arguments. */
function fromShell(
  before: string,
  args: readonly string[],
  environment: NodeJS.ProcessEnv = {},
): { status: number | null; stdout: string; stderr: string } {
  return spawnSync('sh', ['-c', before, 'sh', process.execPath, PROGRAM, ...args], {
    encoding: 'utf8',
    timeout: 25_000,
    env: { PATH: process.env.PATH, ...environment },
  });
}

/** The image as it was, or with the change made; nothing between. */
function expectWhole(path: string, original: Buffer): void {
  if (Buffer.compare(readFileSync(path), original) === 0) return;
  expect(run(['inspect', path, '--verify'])).toMatchObject({ status: 0, stderr: '' });
  expect(section(path, '.kexec.elfcorehdr').bytes.readUInt16BE(56)).toBe(6);
}

const canMount = isRoot && spawnSync('unshare', ['-m', 'true']).status === 0;

describe('environment', () => {
  testWith(
    canMount,
    'no mount namespaces here',
    'case 74: a read-only mount and an immutable file: exit code 5, and not a byte changes',
    () => {
      const directory = fresh('read-only');
      mkdirSync(directory);
      const path = join(directory, 'image');
      renameSync(copyOf('tiny-ppc64', folder), path);
      const before = stateOf(path);
      const remount = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"';
      const result = spawnSync('unshare', ['-m', 'sh', '-c', remount, directory, process.execPath, PROGRAM, 'apply', path, ...ADD], {
        encoding: 'utf8',
      });
      expect(result).toMatchObject({ status: 5, stdout: '' });
      expect(result.stderr).toMatch(/EROFS/);
      expect(result.stderr).toMatch(ONE_LINE);
      expect(stateOf(path)).toEqual(before);
      for (const flag of ['i', 'a']) {
        if (spawnSync('chattr', [`+${flag}`, path]).status !== 0) {
          console.warn(`case 74: chattr +${flag} does not work here`);
          continue;
        }
        try {
          expectRefused(path, ['apply', path, ...ADD], 5, /EPERM/);
        } finally {
          spawnSync('chattr', [`-${flag}`, path]);
        }
      }
    },
  );

  test('case 75: a file on hugetlbfs is refused by name', () => {
    const path = copyOf('tiny-ppc64', folder);
    const before = stateOf(path);
    const error = thrown(() => openTarget(fileSystemWith({ volumeType: () => 0x958458f6n }), path));
    expect(error.kind).toBe('refused');
    expect(error.message).toContain('hugetlbfs');
    expect(stateOf(path)).toEqual(before);
  });

  test('case 76: limits on file size and descriptors, no flock(1), a umask of 0777: an error or the whole change', () => {
    for (const [before, environment] of [
      ['ulimit -f 0; exec "$@"', {}],
      ['ulimit -f 1; exec "$@"', {}],
      ['ulimit -f 12; exec "$@"', {}],
      ['ulimit -n 8; exec "$@"', {}],
      ['ulimit -n 20; exec "$@"', {}],
      ['exec "$@"', { PATH: '/nonexistent' }],
      ['umask 0777; exec "$@"', {}],
    ] as const) {
      const path = copyOf('tiny-ppc64', folder);
      const original = readFileSync(path);
      const { status, stderr } = fromShell(before, ['apply', path, ...ADD], environment);
      const isOld = Buffer.compare(readFileSync(path), original) === 0;
      expectWhole(path, original);
      expect(status === 0, `${before} ${stderr}`).toBe(!isOld);
      if (status === 5) expect(stderr).toMatch(ONE_LINE);
      expect(existsSync(journalOf(path))).toBe(false);
    }
  });

  testWith(canMount, 'no mount namespaces here', 'case 76: without /proc nothing is written, and the message says what is missing', () => {
    const path = copyOf('tiny-ppc64', folder);
    const before = stateOf(path);
    const hidden = ['-m', 'sh', '-c', 'mount -t tmpfs none /proc && exec "$@"', 'sh', process.execPath, PROGRAM, 'apply', path, ...ADD];
    const { status, stderr } = spawnSync('unshare', hidden, { encoding: 'utf8' });
    expect({ status, stderr }).toEqual({ status: 5, stderr: expect.stringContaining('/proc is not mounted') as string });
    expect(stateOf(path)).toEqual(before);
  });

  test('case 77: a standard output that is closed, or full, changes nothing about the patch', () => {
    for (const [before, codes] of [
      ['"$@" | true', [0]],
      ['"$@" >&-', [0, 5]],
      ['"$@" > /dev/full', [0, 5]],
      ['"$@" >&- 2>&-', [0, 5]],
    ] as const) {
      const path = copyOf('tiny-ppc64', folder);
      const { status } = fromShell(before, ['apply', path, ...ADD]);
      expect(codes, before).toContain(status);
      expect(section(path, '.kexec.elfcorehdr').bytes.readUInt16BE(56), before).toBe(6);
      expect(existsSync(journalOf(path))).toBe(false);
    }
  });

  test('case 78: an image of 10 GiB is patched with a heap of 64 MB and less than 128 MiB of memory', () => {
    const image = ramFile(fresh('large'), [build(partsOf('ppc64le'))], 10 * 2 ** 30);
    const measured = fresh('rss');
    const hook = fresh('hook.cjs');
    writeFileSync(
      hook,
      `process.on('exit', () => require('fs').writeFileSync(${JSON.stringify(measured)}, /^VmHWM:\\s+(\\d+)/m.exec(require('fs').readFileSync('/proc/self/status', 'latin1'))[1]));`,
    );
    const limits = ['--max-old-space-size=64', '--require', hook];
    const result = spawnSync(process.execPath, [...limits, PROGRAM, 'apply', image.path, '--crash-kernel', '0x2000000+16M', ...ADD], {
      encoding: 'utf8',
      timeout: 25_000,
    });
    expect(result).toMatchObject({ status: 0, stderr: '' });
    expect(Number(readFileSync(measured, 'utf8')) / 1024).toBeLessThan(128);
    expect(image.read('elfcorehdr').readUInt16LE(56)).toBe(7);
    rmSync(image.path);
  });

  test('case 79: a change file of 100 MB, nested deep, with __proto__, a key twice, or 1e400 is refused at once', () => {
    const path = copyOf('tiny-ppc64', folder);
    const texts: [string, RegExp][] = [
      ['['.repeat(100_000_000), /too large/],
      ['['.repeat(1_000_000), /nested too deep/],
      ['{ "changes": [ { "__proto__": {} } ] }', /__proto__/],
      ['{ "changes": [], "changes": [] }', /twice/],
      ['{ "changes": [ { "action": "add", "cpu": { "id": 1e400 } } ] }', /1e400/],
      ['{ "changes": [ { "action": "add", "cpu": { "id": 1, "properties": { "__proto__": 1 } } } ] }', /__proto__/],
    ];
    for (const [text, words] of texts) {
      const file = fresh('changes');
      writeFileSync(file, text);
      const started = processorTime();
      const result = run(['apply', path, '--changes', file]);
      expect(result.status).toSatisfy((status) => status === 2 || status === 3);
      expect(result.stderr).toMatch(ONE_LINE);
      expect(result.stderr).toMatch(words);
      expect(processorTime() - started).toBeLessThan(4000);
      rmSync(file);
    }
    expect(({} as Record<string, unknown>).action).toBeUndefined();
    const image = openImage(nodeFileSystem, path);
    expect(image.elfcorehdr.contents.programHeaders).toHaveLength(5);
    closeImage(image);
  });
});
