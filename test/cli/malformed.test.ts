import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { expectFailure } from '../helpers/failure.js';
import { fixtureImage, section } from '../helpers/fixtures.js';
import { runHere as run } from '../helpers/run-here.js';
import { has, scratchFolder } from '../helpers/run.js';

// Input that is not a kdump image, or is a damaged one: one clear line, exit code 3, and the file stays as it was.

const folder = scratchFolder();
const IMAGE = fixtureImage('ppc64le-64k');
const good = readFileSync(IMAGE);
const [elfcorehdr, fdt] = [section(IMAGE, '.kexec.elfcorehdr'), section(IMAGE, '.kexec.fdt')];
const ADD = ['--add-memory', '0x80000000+256M'];

function bytes(change: (image: Buffer) => void, image: Buffer = good): Buffer {
  const copy = Buffer.from(image);
  change(copy);
  return copy;
}

/** Program header `index` of the packed image: its field at `at`. */
const phdr = (index: number, at: number): number => 64 + 56 * index + at;
const P_OFFSET = 8;
const P_VADDR = 16;
const P_PADDR = 24;
const P_FILESZ = 32;
const P_MEMSZ = 40;
const E_SHOFF = 40;
const SH_ADDR = 16;

const zeros = Buffer.alloc(8192);
const DAMAGED: Record<string, Buffer> = {
  'an empty file': Buffer.alloc(0),
  'one byte': Buffer.of(0x7f),
  'a plain text file': Buffer.from('Nothing to see here.\n'.repeat(500)),
  zeros: zeros,
  'truncated in the ELF header': good.subarray(0, 40),
  'truncated right after the ELF header': good.subarray(0, 64),
  'truncated in the program headers': good.subarray(0, 64 + 56 * 3 + 10),
  'truncated in the first segment': good.subarray(0, 0x1800),
  'truncated in the elfcorehdr': good.subarray(0, elfcorehdr.offset + 100),
  'truncated in the FDT': good.subarray(0, fdt.offset + 100),
  'truncated in the section headers': good.subarray(0, good.length - 10),
  'bad magic of the image': bytes((image) => image.write('XELF', 0, 'latin1')),
  'an ELF file of another type': bytes((image) => image.writeUInt16LE(3, 16)),
  'an ELF32 file': bytes((image) => image.writeUInt8(1, 4)),
  'an unknown machine': bytes((image) => image.writeUInt16LE(40, 18)),
  'too many program headers for the file': bytes((image) => image.writeUInt16LE(0xfff0, 56)),
  'no program headers': bytes((image) => image.writeUInt16LE(0, 56)),
  // In program and section header alike, so that nothing but the overlap is wrong.
  'overlapping segments': bytes((image) => {
    const address = 0x20001000n;
    for (const at of [P_VADDR, P_PADDR]) image.writeBigUInt64LE(address, phdr(1, at));
    image.writeBigUInt64LE(address, Number(good.readBigUInt64LE(E_SHOFF)) + 2 * 64 + SH_ADDR);
  }),
  'program and section headers that disagree': bytes((image) => image.writeBigUInt64LE(0x20000000n, phdr(1, P_PADDR))),
  'a segment behind the end of the file': bytes(
    (image) => image.writeBigUInt64LE(BigInt(good.length), phdr(1, P_OFFSET)) && image.writeBigUInt64LE(16n, phdr(1, P_FILESZ)),
  ),
  'a file offset that wraps': bytes((image) => image.writeBigUInt64LE(2n ** 64n - 1n, phdr(2, P_OFFSET))),
  'a segment that passes 2^64': bytes((image) => image.writeBigUInt64LE(2n ** 64n - 1n, phdr(0, P_MEMSZ))),
  'bad magic of the elfcorehdr': bytes((image) => image.write('XELF', elfcorehdr.offset, 'latin1')),
  'e_phnum of the elfcorehdr too large': bytes((image) => image.writeUInt16LE(0xfffe, elfcorehdr.offset + 56)),
  'e_phnum of the elfcorehdr 0': bytes((image) => image.writeUInt16LE(0, elfcorehdr.offset + 56)),
  'an elfcorehdr of another architecture': bytes((image) => image.writeUInt16LE(62, elfcorehdr.offset + 18)),
  'bad magic of the FDT': bytes((image) => image.writeUInt32BE(0xd00dfeee, fdt.offset)),
  'totalsize of the FDT larger than its segment': bytes((image) => image.writeUInt32BE(0x10001, fdt.offset + 4)),
  'totalsize of the FDT 0': bytes((image) => image.writeUInt32BE(0, fdt.offset + 4)),
  'off_dt_struct of the FDT outside': bytes((image) => image.writeUInt32BE(0xfffffff0, fdt.offset + 8)),
  'off_dt_strings of the FDT outside': bytes((image) => image.writeUInt32BE(0x7fffffff, fdt.offset + 12)),
  'off_mem_rsvmap of the FDT in the header': bytes((image) => image.writeUInt32BE(8, fdt.offset + 16)),
  'an unknown version of the FDT': bytes((image) => image.writeUInt32BE(99, fdt.offset + 24)),
  'a FIT image': fitImage(),
  'a gzip file': Buffer.concat([Buffer.of(0x1f, 0x8b, 8, 0), zeros]),
  'a qcow2 image': Buffer.concat([Buffer.from('QFI\xfb\0\0\0\x03', 'latin1'), zeros]),
  'a makedumpfile dump': Buffer.concat([Buffer.from('KDUMP   ', 'latin1'), zeros]),
  'a flattened makedumpfile dump': Buffer.concat([Buffer.from('makedumpfile\0\0\0\0', 'latin1'), zeros]),
};

/** A minimal FDT with an /images node. */
function fitImage(): Buffer {
  const structure = Buffer.from('00000001 00000000 00000001 696d6167 65730000 00000002 00000002 00000009'.replaceAll(' ', ''), 'hex');
  const header = Buffer.alloc(56);
  [0xd00dfeed, 56 + structure.length, 56, 56 + structure.length, 40, 17, 16, 0, 0, structure.length].forEach((value, index) =>
    header.writeUInt32BE(value, 4 * index),
  );
  return Buffer.concat([header, structure]);
}

const ONE_LINE = /^kdump-hotplug: [^\n]+\n$/;

describe.each(Object.entries(DAMAGED))('%s', (name, contents) => {
  const path = join(folder, `${name.replaceAll(/[^a-zA-Z0-9]+/g, '-')}.img`);

  test.each([
    ['inspect', []],
    ['plan', ADD],
    ['apply', ADD],
    ['apply', [...ADD, '--json']],
    ['capture', ['-o', `${path}.out`]],
    ['extract', ['-d', `${path}.d`]],
  ] as const)('%s %j', (command, more) => {
    writeFileSync(path, contents);
    const { mtimeNs } = statSync(path, { bigint: true });
    const result = run([command, path, ...more]);
    expectFailure(result, more, 3);
    expect(result.stderr).toMatch(ONE_LINE);
    expect(result.stderr).toContain(path);
    expect(Buffer.compare(readFileSync(path), contents)).toBe(0);
    expect(statSync(path, { bigint: true }).mtimeNs).toBe(mtimeNs);
  });
});

test('the image that these are made from is sound, and a change that changes nothing leaves it sound', () => {
  const path = join(folder, 'sound.kdump');
  writeFileSync(
    path,
    bytes(() => undefined),
  );
  expect(run(['inspect', path])).toMatchObject({ status: 0, stderr: '' });
});

test.each([
  ['a FIT image', /FIT/],
  ['a gzip file', /gzip/],
  ['a qcow2 image', /qcow2/],
  ['a makedumpfile dump', /makedumpfile/],
  ['a flattened makedumpfile dump', /makedumpfile/],
  ['an empty file', /empty/],
  ['e_phnum of the elfcorehdr too large', /elfcorehdr.*65534/],
  ['overlapping segments', /same physical memory|overlap/],
])('%s: the line says so', (name, words) => {
  const path = join(folder, 'named.img');
  writeFileSync(path, DAMAGED[name] as Buffer);
  expect(run(['inspect', path]).stderr).toMatch(words);
});

test('diff names the file that is wrong', () => {
  const path = join(folder, 'wrong-one');
  writeFileSync(path, 'text');
  const result = run(['diff', IMAGE, path]);
  expect(result).toMatchObject({ status: 3, stdout: '' });
  expect(result.stderr).toMatch(ONE_LINE);
  expect(result.stderr).toContain(path);
});

test.each([
  ['inspect', []],
  ['apply', ADD],
])('a directory: exit code 3 (%s)', (command, more) => {
  const path = join(folder, `directory-${command}`);
  mkdirSync(path);
  const result = run([command, path, ...more]);
  expect(result).toMatchObject({ status: 3, stdout: '' });
  expect(result.stderr).toMatch(ONE_LINE);
  expect(result.stderr).toContain(path);
});

test('a missing file: exit code 5', () => {
  const path = join(folder, 'nothing-here');
  for (const command of [
    ['inspect', path],
    ['apply', path, ...ADD],
    ['diff', IMAGE, path],
  ]) {
    const result = run(command);
    expect(result).toMatchObject({ status: 5, stdout: '' });
    expect(result.stderr).toMatch(ONE_LINE);
    expect(result.stderr).toContain(path);
  }
});

test.skipIf(!has('mkfifo'))('a FIFO: exit code 3, without waiting for a writer', () => {
  const path = join(folder, 'fifo');
  execFileSync('mkfifo', [path]);
  for (const command of [
    ['inspect', path],
    ['apply', path, ...ADD],
  ]) {
    const result = run(command);
    expect(result).toMatchObject({ status: 3, stdout: '' });
    expect(result.stderr).toMatch(ONE_LINE);
    expect(result.stderr).toContain(path);
  }
});

test('a character device: exit code 3', () => {
  const result = run(['inspect', '/dev/zero']);
  expect(result).toMatchObject({ status: 3, stdout: '' });
  expect(result.stderr).toMatch(ONE_LINE);
});

test.each([
  ['overlapping', '0x401000', /overlap/],
  ['equal', '0x400000', /overlap/],
])('pack refuses %s segments, and leaves no file', (_, address, words) => {
  const manifest = join(folder, 'overlap.json');
  writeFileSync(
    manifest,
    JSON.stringify({
      architecture: 'ppc64le',
      segments: [
        { name: 'kernel', address: '0x400000', memsz: '0x2000', fill: 1 },
        { name: 'initrd', address, memsz: '0x2000', fill: 2 },
      ],
    }),
  );
  const path = join(folder, 'overlap.kdump');
  const result = run(['pack', '--manifest', manifest, '-o', path]);
  expect(result).toMatchObject({ status: 3, stdout: '' });
  expect(result.stderr).toMatch(ONE_LINE);
  expect(result.stderr).toMatch(words);
  expect(() => statSync(path)).toThrow();
});
