import { KdumpError, hex, within } from '../errors.js';
import { EI_CLASS, ELFCLASS32, ET_CORE, ET_EXEC } from '../elf/constants.js';
import { ELF_HEADER_SIZE, hasElfMagic, parseElfHeader } from '../elf/elf-header.js';
import type { InputFile } from '../file/input-file.js';
import { HEAD_SIZE, knownFile } from '../file/known-files.js';
import type { Container, FileStart } from './container.js';
import { elfCore } from './elf-core.js';
import { packed } from './packed.js';
import { raw } from './raw.js';

export type ImageFormat = 'packed' | 'elf-core' | 'raw';

/** The containers of a kdump image (docs/containers.md), by their names. A file is the first of them that recognises it. */
export const CONTAINERS: Readonly<Record<ImageFormat, Container>> = { packed, 'elf-core': elfCore, raw };

export const FORMATS = Object.keys(CONTAINERS) as readonly ImageFormat[];

/** The container called `text`, `kdump` being what version 0.1 called a packed image; undefined where there is none. */
export function formatNamed(text: string): ImageFormat | undefined {
  return text === 'kdump' ? 'packed' : FORMATS.find((format) => format === text);
}

/**
 * The container that the first bytes speak for; anything without a magic of its own may be plain memory.
 *
 * @throws KdumpError `input` for an empty file and for files that are known to be something else
 */
export function recogniseFormat(file: InputFile): ImageFormat {
  if (file.size === 0n) throw new KdumpError('input', 'the file is empty', { file: file.path });
  const start = startOf(file);
  const format = FORMATS.find((each) => CONTAINERS[each].recognises(start));
  if (format !== undefined) return format;
  if (start.elf !== undefined) {
    throw new KdumpError('input', 'an ELF file of the wrong type', {
      file: file.path,
      offset: 16,
      found: `e_type ${start.elf.fields.type}`,
      expected: `${ET_EXEC} (packed image) or ${ET_CORE} (memory dump)`,
    });
  }
  const known = knownFile(start.head());
  throw new KdumpError('input', 'not a kdump image', {
    file: file.path,
    ...(known === undefined ? {} : { found: known.what }),
    remedy:
      limeMaps(file) ?? `${known?.remedy ?? ''}${known?.mayBeMemory === true ? ', or say --format raw if it is memory after all' : ''}`,
  });
}

function startOf(file: InputFile): FileStart {
  const start = file.readStart(ELF_HEADER_SIZE);
  const isElf64 = hasElfMagic(start) && start[EI_CLASS] !== ELFCLASS32;
  let head: Uint8Array | undefined;
  return {
    elf: isElf64 ? within({ file: file.path }, () => parseElfHeader(start)) : undefined,
    head: () => (head ??= file.readStart(HEAD_SIZE)),
  };
}

/** More ranges than machines have; a hostile file is not followed further. */
const MAX_LIME_RANGES = 32;
const LIME_HEADER = 32;

/** LiME: magic and version, then the first and the last address of a range (u64), 8 bytes of padding and the memory itself; again and again. */
function limeMaps(file: InputFile): string | undefined {
  const maps: string[] = [];
  let at = 0n;
  while (at < file.size) {
    if (maps.length === MAX_LIME_RANGES || at + BigInt(LIME_HEADER) > file.size) return undefined;
    const header = Buffer.from(file.read(at, LIME_HEADER));
    const [start, last] = [header.readBigUInt64LE(8), header.readBigUInt64LE(16)];
    const data = at + BigInt(LIME_HEADER);
    if (header.toString('latin1', 0, 4) !== 'EMiL' || last < start || data + last - start >= file.size) return undefined;
    maps.push(`--map ${hex(data)}:${hex(start)}:${hex(last - start + 1n)}`);
    at = data + last - start + 1n;
  }
  return `its ranges are plain memory: --format raw ${maps.join(' ')}`;
}
