import { KdumpError, within } from '../errors.js';
import { EI_CLASS, ELFCLASS32, ET_CORE, ET_EXEC } from '../elf/constants.js';
import { hasElfMagic } from '../elf/elf-header.js';
import type { FileSystem } from './file-system.js';
import { readBeyond, refuseLonger } from './input-file.js';

/** What a file is, by its first bytes, and what to do with it. */
export interface KnownFile {
  readonly kind: FileKind;
  /** With its article. */
  readonly what: string;
  readonly remedy: string;
  /** Its magic is so short that memory may begin with it by chance. */
  readonly mayBeMemory?: boolean;
}

/** Files that this program reads, each in its place; and all others. */
export type FileKind = 'image' | 'device-tree' | 'iomem' | 'kexec-log' | 'json' | 'text' | 'foreign';

/** So many bytes from the start of a file tell what it is. */
export const HEAD_SIZE: number = 64 << 10;

const KCORE = 'capture /proc/kcore';
const IN_THE_GUEST = `${KCORE} in the running guest`;
const DUMP_GUEST = "QEMU's dump-guest-memory, or virsh dump --memory-only --format elf";
const A_DISK = `a disk holds no memory: give the guest's RAM file (memory-backend-file) or a dump of it (${DUMP_GUEST})`;
const VMEM =
  'give the .vmem file beside it (--format raw, and --map for memory above the hole below 4 GiB), or what vmss2core -N6 makes of both';
const UNPACK = 'unpack it first';
const NO_CRASHKERNEL = 'a dump of a crash leaves the crashkernel range out: take the memory itself, while the image is loaded';

/** Magic numbers at the beginning: latin1 text, or bytes in hexadecimal where they are no text. */
const MAGICS: readonly (readonly [magic: string | readonly number[], what: string, remedy: string])[] = [
  ['DISKDUMP', 'a diskdump', NO_CRASHKERNEL],
  [[0xed, 0x23, 0x8f, 0x61, 0x73, 0x01, 0x19, 0xa8], 'an LKCD dump', NO_CRASHKERNEL],
  [[0xa8, 0x19, 0x01, 0x73, 0x61, 0x8f, 0x23, 0xed], 'an LKCD dump', NO_CRASHKERNEL],
  [[0xcd, 0x23, 0x8f, 0x61, 0x73, 0x01, 0x19, 0xa8], 'an LKCD dump of a running system', `not read: ${IN_THE_GUEST}`],
  [[0xa8, 0x19, 0x01, 0x73, 0x61, 0x8f, 0x23, 0xfd], 'an s390 stand-alone dump', NO_CRASHKERNEL],
  ['EMiL', 'a LiME dump', 'its ranges are plain memory, each behind a header of 32 bytes: --format raw, and a --map for each'],
  ['AVML', 'a compressed AVML dump', 'make a LiME dump of it with avml-convert, and give that'],
  ['LibvirtQemudSave', 'a save file of libvirt', 'virsh restore it, then virsh dump --memory-only --format elf'],
  ['LibvirtQemudPart', 'an unfinished save file of libvirt', 'save the guest again, or virsh dump --memory-only --format elf'],
  ['QEVM', 'a QEMU migration stream', `not read, unless it was made with mapped-ram: take ${DUMP_GUEST}`],
  [[0xd0, 0xbe, 0xd2, 0xbe], 'a VMware snapshot or suspended state', VMEM],
  [[0xd2, 0xbe, 0xd2, 0xbe], 'a VMware snapshot or suspended state', VMEM],
  [[0xd3, 0xbe, 0xd3, 0xbe], 'a VMware snapshot or suspended state', VMEM],
  [[0xd1, 0xba, 0xd1, 0xba], 'a VMware snapshot or suspended state', VMEM],
  ['\x7fVirtualBox SavedState', 'a saved state of VirtualBox', 'resume the guest, then VBoxManage debugvm NAME dumpvmcore'],
  [[0x14, 0x20, 0x28, 0x01], 'a saved state of Hyper-V (.vmrs)', `not read: ${IN_THE_GUEST}`],
  ['PAGEDU64', 'a crash dump of Windows', 'Windows has no kdump image'],
  ['PAGEDUMP', 'a crash dump of Windows', 'Windows has no kdump image'],
  ['MDMP', 'a minidump of Windows', 'Windows has no kdump image'],
  ['Xen saved domain', 'a saved domain of Xen', `not read: ${IN_THE_GUEST}`],
  ['XenSavedDom', 'a saved domain of Xen', `not read: ${IN_THE_GUEST}`],
  ['LinuxGuestRecord', 'a saved domain of Xen', `not read: ${IN_THE_GUEST}`],
  [[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x58, 0x45, 0x4e, 0x46], 'a saved domain of Xen', `not read: ${IN_THE_GUEST}`],
  ['VMA\0', 'a backup of Proxmox (vma)', A_DISK],
  ['QFI\xfb', 'a qcow2 disk image', A_DISK],
  ['QED\0', 'a QED disk image', A_DISK],
  ['vhdxfile', 'a vhdx disk image', A_DISK],
  ['conectix', 'a vhd disk image', A_DISK],
  ['KDMV', 'a vmdk disk image', A_DISK],
  ['COWD', 'a vmdk disk image', A_DISK],
  ['# Disk DescriptorFile', 'a vmdk disk image', A_DISK],
  ['<<< ', 'a vdi disk image', A_DISK],
  [[0x1f, 0x8b], 'a gzip file', UNPACK],
  [[0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00], 'an xz file', UNPACK],
  [[0x28, 0xb5, 0x2f, 0xfd], 'a zstd file', UNPACK],
  [[0x04, 0x22, 0x4d, 0x18], 'an lz4 file', UNPACK],
  [[0x02, 0x21, 0x4c, 0x18], 'an lz4 file', UNPACK],
  ['BZh', 'a bzip2 file', UNPACK],
  ['\x89LZO\0\r\n\x1a\n', 'an lzop file', UNPACK],
  ['7z\xbc\xaf\x27\x1c', 'a 7z archive', UNPACK],
  ['PK\x03\x04', 'a zip archive', UNPACK],
  ['070701', 'a cpio archive or initrd', 'it is what a boot loader loads; give the loaded image or the memory it is in'],
];

/** What the file is that begins with `head`; undefined where nothing tells. Memory itself has no magic. */
export function knownFile(head: Uint8Array): KnownFile | undefined {
  const bytes = Buffer.from(head.buffer, head.byteOffset, Math.min(head.length, HEAD_SIZE));
  if (hasElfMagic(bytes)) return elf(bytes);
  const foreign = (what: string, remedy: string): KnownFile => ({ kind: 'foreign', what, remedy });
  if (startsWith(bytes, 'KDUMP   ')) return compressedDump(bytes, 0);
  if (startsWith(bytes, 'makedumpfile\0')) {
    const first = bytes.subarray(FLATTENED_DATA);
    return startsWith(first, 'KDUMP   ') ? compressedDump(bytes, FLATTENED_DATA) : foreign('a flattened makedumpfile dump', NO_CRASHKERNEL);
  }
  if (startsWith(bytes, [0xd0, 0x0d, 0xfe, 0xed])) {
    return {
      kind: 'device-tree',
      what: 'a device tree or FIT image',
      remedy: 'it is what a boot loader loads; give the loaded image or the memory it is in, and a live tree with --device-tree',
      mayBeMemory: true,
    };
  }
  const known = MAGICS.find(([magic]) => startsWith(bytes, magic));
  if (known !== undefined) return { ...foreign(known[1], known[2]), mayBeMemory: known[0].length < 8 };
  if (bytes.toString('latin1', 257, 262) === 'ustar') return foreign('a tar archive', 'unpack it first, and give the directory or file');
  if (bytes.toString('latin1', 0x202, 0x206) === 'HdrS' && bytes.readUInt16LE(0x1fe) === 0xaa55) {
    return foreign('a Linux kernel (bzImage)', 'it is what kexec loads; give the loaded image or the memory it is in');
  }
  return text(bytes);
}

/**
 * What `parse` makes of the whole file at `path`, which has to be of this `kind`, called `name`.
 *
 * @throws what `parse` throws, with the path; KdumpError `input` when the file is of another kind that is known, or larger than `limit` bytes; `io`
 */
export function readExpected<T>(
  fileSystem: FileSystem,
  path: string,
  limit: number,
  kind: FileKind,
  name: string,
  parse: (bytes: Uint8Array) => T,
): T {
  return within({ file: path }, () => {
    const bytes = readBeyond(fileSystem, path, limit);
    return expectingFile(kind, name, bytes, () => {
      refuseLonger(path, bytes, limit);
      return parse(bytes);
    });
  });
}

/**
 * What `parse` makes of a file that begins with `head`. Where it fails and the file is known to be of another kind, the error says that.
 *
 * @param kind what the file has to be, and `name` what to call that, with its article
 * @throws what `parse` throws; KdumpError `input` that names the file's kind
 */
export function expectingFile<T>(kind: FileKind, name: string, head: Uint8Array, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    const known = error instanceof KdumpError ? knownFile(head) : undefined;
    // What is wrong in a text is said best by its line.
    if (known === undefined || known.kind === kind || known.kind === 'text') throw error;
    throw new KdumpError('input', `not ${name}`, { found: known.what, remedy: known.remedy, cause: error });
  }
}

/** Of the flattened form: the header takes a page, then a record's offset and size, each of 8 bytes (makedumpfile.h). */
const FLATTENED_DATA = 4096 + 16;
/** struct disk_dump_header: utsname begins there with sysname; machine is its fifth field, of 65 bytes each as those before. */
const SYSNAME = 12;
const MACHINE = SYSNAME + 4 * 65;

/** QEMU fills in no field of utsname but machine (create_header64 in dump/dump.c); makedumpfile fills in all. */
function compressedDump(bytes: Buffer, at: number): KnownFile {
  const isOfQemu = bytes.length > at + MACHINE && bytes[at + SYSNAME] === 0 && bytes[at + MACHINE] !== 0;
  const what = `${at === 0 ? '' : 'flattened '}${isOfQemu ? 'dump of QEMU or virsh' : 'makedumpfile dump'} (kdump-compressed)`;
  const remedy = isOfQemu
    ? `it holds all memory, in a form that is not read: dump the guest again as ELF (${DUMP_GUEST}), or ${IN_THE_GUEST}`
    : `not read; made of /proc/vmcore it has no crashkernel range: take the memory itself while the image is loaded (${DUMP_GUEST}; on the machine ${KCORE})`;
  return { kind: 'foreign', what: `a ${what}`, remedy };
}

function elf(bytes: Buffer): KnownFile | undefined {
  if (bytes[EI_CLASS] === ELFCLASS32) {
    return {
      kind: 'foreign',
      what: 'a 32-bit ELF file',
      remedy: 'images and dumps of 64-bit kernels are read; take one as QEMU makes it for such a guest',
    };
  }
  if (bytes.length < 18) return undefined;
  const types = [bytes.readUInt16LE(16), bytes.readUInt16BE(16)];
  if (types.includes(ET_EXEC) || types.includes(ET_CORE)) {
    return { kind: 'image', what: 'an ELF image or memory dump', remedy: 'give that as the image, and here what the option asks for' };
  }
  return { kind: 'foreign', what: 'an ELF program, library or module', remedy: 'give the loaded image or the memory it is in' };
}

const IOMEM_LINE = /^ *[0-9a-f]{8,16}-[0-9a-f]{8,16} : /;
const KEXEC_LINE = /\bsegment\[\d+\]\.(?:buf|mem)|\bkexec_load: entry = |\bkexec(?:_file)?: (?:segment\[|Loading segment )/;

function text(bytes: Buffer): KnownFile | undefined {
  const start = decoded(bytes);
  // eslint-disable-next-line no-control-regex
  if (start === undefined || !start.includes('\n') || /[\u0000-\u0007\u000e-\u001a]/.test(start)) return undefined;
  if (IOMEM_LINE.test(start)) return { kind: 'iomem', what: 'a memory map (/proc/iomem)', remedy: 'give it with --iomem' };
  if (KEXEC_LINE.test(start)) return { kind: 'kexec-log', what: 'a log of kexec', remedy: 'give it with --kexec-log, beside the memory' };
  if (/^\s*[[{]/.test(start)) {
    return { kind: 'json', what: 'JSON', remedy: 'give a change file with --changes, a manifest with pack --manifest' };
  }
  return { kind: 'text', what: 'text', remedy: 'give a packed image, or memory that holds one' };
}

/** Undefined where it is not UTF-8. */
function decoded(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: true });
  } catch {
    return undefined;
  }
}

function startsWith(bytes: Uint8Array, magic: string | readonly number[]): boolean {
  const wanted = typeof magic === 'string' ? Buffer.from(magic, 'latin1') : magic;
  return bytes.length >= wanted.length && Array.from(wanted).every((byte, index) => bytes[index] === byte);
}
