import { describe, expect, test } from 'vitest';
import { InputFile } from '../../src/file/input-file.js';
import { HEAD_SIZE, knownFile } from '../../src/file/known-files.js';
import { recogniseFormat } from '../../src/container/recognise.js';
import { MemoryFileSystem } from '../helpers/memory-file-system.js';
import { thrown } from '../helpers/thrown.js';

// Each file of another program is refused by its name, with a next step that works.

function fileOf(...parts: (string | Buffer)[]): InputFile {
  const fileSystem = new MemoryFileSystem();
  fileSystem.contents = Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : part)));
  return InputFile.open(fileSystem, 'file');
}

const hex = (text: string): Buffer => Buffer.from(text, 'hex');
const zeros = Buffer.alloc(8192);
const at = (offset: number, text: string): Buffer => Buffer.concat([Buffer.alloc(offset), Buffer.from(text, 'latin1'), zeros]);
const flattened = (contents: string): Buffer => {
  const head = Buffer.alloc(4096);
  head.write('makedumpfile', 'latin1');
  head.writeBigUInt64BE(1n, 16);
  head.writeBigUInt64BE(1n, 24);
  return Buffer.concat([head, Buffer.alloc(16), Buffer.from(contents, 'latin1'), zeros]);
};
/** Of the header as far as machine. */
const kdump = (sysname: string): string => {
  const head = Buffer.alloc(12 + 6 * 65);
  head.write('KDUMP   \x06', 'latin1');
  head.write(sysname, 12, 'latin1');
  head.write('x86_64', 12 + 4 * 65, 'latin1');
  return head.toString('latin1');
};
const bzImage = at(0x1fe, '\x55\xaa\0\0HdrS');

const FOREIGN: [string, Buffer, RegExp][] = [
  ['a dump of QEMU or virsh (kdump-compressed)', Buffer.from(kdump(''), 'latin1'), /holds all memory.*dump-guest-memory, or virsh dump --memory-only --format elf/],
  ['a makedumpfile dump (kdump-compressed)', Buffer.from(kdump('Linux'), 'latin1'), /no crashkernel range/],
  ['a flattened dump of QEMU or virsh (kdump-compressed)', flattened(kdump('')), /holds all memory/],
  ['a flattened makedumpfile dump (kdump-compressed)', flattened(kdump('Linux')), /no crashkernel range/],
  ['flattened makedumpfile dump', flattened('\x7fELF'), /leaves the crashkernel range out/],
  ['diskdump', Buffer.from('DISKDUMP'), /leaves the crashkernel range out/],
  ['LKCD dump', hex('ed238f61730119a8'), /leaves the crashkernel range out/],
  ['LKCD dump', hex('a8190173618f23ed'), /leaves the crashkernel range out/],
  ['AVML', hex('41564d4c02000000'), /avml-convert/],
  ['save file of libvirt', Buffer.from('LibvirtQemudSave'), /virsh restore.*virsh dump --memory-only/],
  ['QEMU migration stream', hex('5145564d00000003'), /dump-guest-memory/],
  ['VMware', hex('d0bed2be08000000'), /\.vmem/],
  ['VMware', hex('d2bed2be08000000'), /vmss2core -N6/],
  ['VMware', hex('d3bed3be08000000'), /\.vmem/],
  ['VMware', hex('d1bad1ba08000000'), /\.vmem/],
  ['VirtualBox', Buffer.from('\x7fVirtualBox SavedState V2.0\n'), /dumpvmcore/],
  ['Hyper-V', hex('14202801'), /capture \/proc\/kcore in the running guest/],
  ['Windows', Buffer.from('PAGEDU64'), /no kdump image/],
  ['Windows', Buffer.from('PAGEDUMP'), /no kdump image/],
  ['Xen', Buffer.from('Xen saved domain, xl format\n'), /capture \/proc\/kcore/],
  ['Xen', Buffer.from('XenSavedDomain\n'), /capture \/proc\/kcore/],
  ['Xen', hex('ffffffffffffffff58454e46'), /capture \/proc\/kcore/],
  ['vma', Buffer.from('VMA\0'), /a disk holds no memory/],
  ['qcow2', hex('514649fb00000003'), /a disk holds no memory/],
  ['QED', Buffer.from('QED\0'), /a disk holds no memory/],
  ['vhdx', Buffer.from('vhdxfile'), /a disk holds no memory/],
  ['vhd ', Buffer.from('conectix'), /a disk holds no memory/],
  ['vmdk', Buffer.from('KDMV'), /a disk holds no memory/],
  ['vmdk', Buffer.from('# Disk DescriptorFile\nversion=1\n'), /a disk holds no memory/],
  ['vdi', Buffer.from('<<< Oracle VM VirtualBox Disk Image >>>\n'), /a disk holds no memory/],
  ['tar', at(257, 'ustar\0'), /unpack it first/],
  ['zip', Buffer.from('PK\x03\x04'), /unpack it first/],
  ['lzop', Buffer.from('\x89LZO\0\r\n\x1a\n', 'latin1'), /unpack it first/],
  ['gzip', hex('1f8b0800'), /unpack it first/],
  ['xz', hex('fd377a585a00'), /unpack it first/],
  ['zstd', hex('28b52ffd'), /unpack it first/],
  ['lz4', hex('04224d18'), /unpack it first/],
  ['bzip2', Buffer.from('BZh9'), /unpack it first/],
  ['7z', Buffer.from('7z\xbc\xaf\x27\x1c', 'latin1'), /unpack it first/],
  ['cpio', Buffer.from('070701'), /the memory it is in/],
  ['Linux kernel', bzImage, /the memory it is in/],
  ['device tree', hex('d00dfeed'), /the memory it is in/],
  ['32-bit ELF', hex('7f454c4601010100'), /64-bit/],
  ['memory map', Buffer.from('00000000-7fffffff : System RAM\n'), /--iomem/],
  ['log of kexec', Buffer.from('Modified cmdline: x\nsegment[0].buf   = 0x1\n'), /--kexec-log/],
  ['JSON', Buffer.from('[{"action": "add"}]\n'), /--changes/],
  ['text', Buffer.from('nothing\n'), /packed image/],
]; // prettier-ignore

describe('files of other programs', () => {
  test.each(FOREIGN)('%s', (what, start, remedy) => {
    const isText = ['memory map', 'log of kexec', 'JSON', 'text', 'vmdk', 'vdi'].includes(what);
    const error = thrown(() => recogniseFormat(fileOf(start, ...(isText ? [] : [zeros]))));
    expect(error).toMatchObject({ kind: 'input', details: { file: 'file' } });
    expect(error.message).toContain(what);
    expect(error.message).toMatch(remedy);
    expect(error.message).not.toContain('\n');
  });

  test('only a magic that memory may begin with by chance is left to --format raw', () => {
    expect(thrown(() => recogniseFormat(fileOf(hex('1f8b0800'), zeros))).message).toContain('--format raw if it is memory after all');
    expect(thrown(() => recogniseFormat(fileOf('LibvirtQemudSave', zeros))).message).not.toContain('--format raw');
  });

  test('LiME: the options that read its ranges are said, every one', () => {
    const range = (start: bigint, size: number): Buffer => {
      const header = Buffer.alloc(32 + size);
      header.write('EMiL');
      header.writeUInt32LE(1, 4);
      header.writeBigUInt64LE(start, 8);
      header.writeBigUInt64LE(start + BigInt(size) - 1n, 16);
      return header;
    };
    expect(thrown(() => recogniseFormat(fileOf(range(0x1000n, 0x3000), range(0x100000n, 0x2000)))).details.remedy).toBe(
      'its ranges are plain memory: --format raw --map 0x20:0x1000:0x3000 --map 0x3040:0x100000:0x2000',
    );
    for (const damaged of [range(0x1000n, 0x3000).subarray(0, 0x2000), Buffer.concat([range(0x1000n, 0x3000), zeros])]) {
      expect(thrown(() => recogniseFormat(fileOf(damaged))).details.remedy).toMatch(/a --map for each/);
    }
  });

  test('a migration stream with mapped-ram has memory in it as it is', () => {
    expect(recogniseFormat(fileOf(hex('5145564d00000003'), 'configuration/capabilities', hex('000000010a'), 'mapped-ram', zeros))).toBe(
      'raw',
    );
  });
});

describe('memory', () => {
  test.each([
    ['zeros', Buffer.alloc(HEAD_SIZE)],
    ['one byte again and again', Buffer.alloc(HEAD_SIZE, 0x5a)],
    ['words and zeros', at(16, 'a line\nanother line\n')],
    ['poison', Buffer.alloc(HEAD_SIZE, 0xaa)],
    ['nothing', Buffer.alloc(0)],
  ])('%s: no file that is known', (_, head) => {
    expect(knownFile(head)).toBeUndefined();
  });
});
