import { KdumpError, within } from '../../errors.js';
import { ET_CORE, ET_EXEC } from '../../elf/constants.js';
import { ELF_HEADER_SIZE, hasElfMagic, parseElfHeader } from '../../elf/elf-header.js';
import type { InputFile } from '../../file/input-file.js';

/** Containers of a kdump image (docs/containers.md). */
export type ImageFormat = 'kdump' | 'elf-core' | 'raw';

/** What to call an image in such a container. */
export const FORMAT_NAMES: Readonly<Record<ImageFormat, string>> = {
  kdump: 'packed kdump image',
  'elf-core': 'kdump image in an ELF memory dump',
  raw: 'kdump image in raw memory',
};

const FIRST_BYTES = 16;

/** Files that hold no segments as they are, and what to do instead. */
const OTHERS: readonly { magic: string; what: string; remedy: string }[] = [
  {
    magic: 'd00dfeed',
    what: 'a device tree or FIT image',
    remedy: 'it is what a boot loader loads; give the loaded image or the memory it is in',
  },
  {
    magic: '4b44554d50202020',
    what: 'a makedumpfile dump (kdump-compressed)',
    remedy: 'dumps leave the crashkernel range out; take the memory itself, for example with dump-guest-memory without -z',
  },
  { magic: '4449534b44554d50', what: 'a diskdump', remedy: 'dumps leave the crashkernel range out; take the memory itself' },
  {
    magic: '6d616b6564756d7066696c65',
    what: 'a flattened makedumpfile dump',
    remedy: 'dumps leave the crashkernel range out; take the memory itself',
  },
  {
    magic: '514649fb',
    what: 'a qcow2 disk image',
    remedy: 'give the RAM file of the guest (memory-backend-file) or a dump-guest-memory file',
  },
  { magic: '1f8b', what: 'a gzip file', remedy: 'unpack it first' },
  { magic: 'fd377a585a00', what: 'an xz file', remedy: 'unpack it first' },
  { magic: '28b52ffd', what: 'a zstd file', remedy: 'unpack it first' },
  { magic: '04224d18', what: 'an lz4 file', remedy: 'unpack it first' },
  { magic: '425a68', what: 'a bzip2 file', remedy: 'unpack it first' },
];

/**
 * The container that the first bytes speak for; anything without a magic of its own may be plain memory.
 *
 * @throws KdumpError `input` for an empty file and for files that are known to be something else
 */
export function recogniseFormat(file: InputFile): ImageFormat {
  if (file.size === 0n) throw new KdumpError('input', 'the file is empty', { file: file.path });
  const head = file.readStart(ELF_HEADER_SIZE);
  if (hasElfMagic(head)) {
    const { type } = within({ file: file.path }, () => parseElfHeader(head)).fields;
    if (type === ET_EXEC) return 'kdump';
    if (type === ET_CORE) return 'elf-core';
    throw new KdumpError('input', 'an ELF file of the wrong type', {
      file: file.path,
      offset: 16,
      found: `e_type ${type}`,
      expected: `${ET_EXEC} (packed image) or ${ET_CORE} (memory dump)`,
    });
  }
  const start = Buffer.from(head.subarray(0, FIRST_BYTES)).toString('hex');
  const other = OTHERS.find(({ magic }) => start.startsWith(magic));
  if (other !== undefined) {
    throw new KdumpError('input', 'not a kdump image', {
      file: file.path,
      found: other.what,
      remedy: `${other.remedy}, or say --format raw if it is memory after all`,
    });
  }
  return 'raw';
}
