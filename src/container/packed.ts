import { KdumpError, hex, printable, within } from '../errors.js';
import { architectureOf } from '../arch/registry.js';
import { ET_EXEC, PT_LOAD, SHT_NOBITS, SHT_PROGBITS, SHT_STRTAB } from '../elf/constants.js';
import { ELF_HEADER_SIZE, PROGRAM_HEADER_SIZE, parseElfHeader, type ElfHeader } from '../elf/elf-header.js';
import { programHeaderFormat, sectionHeaderFormat, type SectionHeader } from '../elf/records.js';
import type { InputFile } from '../file/input-file.js';
import type { Container, OpenedContainer } from './container.js';
import { FileMemory } from '../memory-source/file-memory.js';
import { MAX_SEGMENTS, checkedSegments, segmentNameOf, type Segment, type SegmentName } from '../kexec/segment.js';

export const SECTION_PREFIX = '.kexec.';
const MAX_STRING_TABLE = 4096;

/** An image by itself, each segment a section of an ELF executable (docs/packed-image.md). */
export const packed: Container = {
  imageName: 'packed kdump image',
  isPlaced: true,
  recognises: ({ elf }) => elf?.fields.type === ET_EXEC,
  open: readPacked,
};

/** Whether the ELF header is that of a packed image; `names` decides between it and any other executable. */
function isPackedHeader(header: ElfHeader): boolean {
  return header.fields.type === ET_EXEC && header.fields.shnum > 0;
}

/**
 * Reads a packed image: an ELF64 executable with one PT_LOAD and one `.kexec.*` section a segment (docs/packed-image.md).
 *
 * @throws KdumpError `input` when it is an executable of another kind, or its tables contradict each other or the file
 */
function readPacked(file: InputFile): OpenedContainer {
  return within({ file: file.path }, () => {
    const header = parseElfHeader(file.readStart(ELF_HEADER_SIZE));
    const { fields, byteOrder } = header;
    if (!isPackedHeader(header) || fields.phnum === 0 || fields.phnum > MAX_SEGMENTS)
      throw notPacked(`e_type ${fields.type}, ${fields.phnum} program headers`);
    expectSize('e_phentsize', 54, fields.phentsize, PROGRAM_HEADER_SIZE);
    expectSize('e_shentsize', 58, fields.shentsize, sectionHeaderFormat.size);
    if (fields.shnum !== fields.phnum + 2) throw notPacked(`${fields.shnum} sections for ${fields.phnum} program headers`);

    const loads = programHeaderFormat.parse(readTable(file, fields.phoff, fields.phnum * PROGRAM_HEADER_SIZE), 0, fields.phnum, byteOrder);
    const sections = sectionHeaderFormat.parse(
      readTable(file, fields.shoff, fields.shnum * sectionHeaderFormat.size),
      0,
      fields.shnum,
      byteOrder,
    );
    const names = sectionNames(file, sections, fields.shstrndx);

    const segments = loads.map((load, index): Segment => {
      const section = sections[index + 1] as SectionHeader;
      const name = segmentName(names[index + 1] ?? '');
      const agrees =
        load.type === PT_LOAD &&
        section.addr === load.paddr &&
        section.offset === load.offset &&
        (section.type === SHT_NOBITS
          ? load.filesz === 0n && section.size === load.memsz
          : section.type === SHT_PROGBITS && section.size === load.filesz);
      if (!agrees) {
        throw new KdumpError('input', `program header ${index} and section ${index + 1} do not describe the same segment`, {
          segment: name,
          offset: fields.phoff + BigInt(index * PROGRAM_HEADER_SIZE),
          found: `${hex(load.paddr)} at ${hex(load.offset)} and ${hex(section.addr)} at ${hex(section.offset)}`,
        });
      }
      return { name, address: load.paddr, memsz: load.memsz, bufsz: load.filesz };
    });
    const memory = new FileMemory(
      file,
      loads.map((load) => ({ address: load.paddr, size: load.memsz, fileOffset: load.offset, fileSize: load.filesz })),
    );
    return {
      memory,
      table: {
        architecture: architectureOf(fields.machine, byteOrder),
        entry: fields.entry === 0n ? null : fields.entry,
        segments: checkedSegments(segments),
      },
    };
  });
}

function readTable(file: InputFile, offset: bigint, size: number): Uint8Array {
  return file.read(offset, size);
}

function sectionNames(file: InputFile, sections: readonly SectionHeader[], index: number): string[] {
  const table = sections[index];
  if (table?.type !== SHT_STRTAB || table.size > MAX_STRING_TABLE) throw notPacked('no section name table');
  const strings = Buffer.from(file.read(table.offset, Number(table.size)));
  return sections.map(({ name }) => {
    const end = strings.indexOf(0, name);
    return end < 0 ? '' : strings.toString('latin1', name, end);
  });
}

function segmentName(section: string): SegmentName {
  if (!section.startsWith(SECTION_PREFIX)) throw notPacked(`a section named "${printable(section)}"`);
  const name = section.slice(SECTION_PREFIX.length);
  if (/^segment\d+$/.test(name)) return 'other';
  const known = segmentNameOf(name);
  if (known === undefined || known === 'other') throw notPacked(`a section named "${printable(section)}"`);
  return known;
}

function expectSize(name: string, offset: number, found: number, expected: number): void {
  if (found !== expected) throw new KdumpError('input', `wrong ${name}`, { offset, found: String(found), expected: String(expected) });
}

function notPacked(found: string): KdumpError {
  return new KdumpError('input', 'an ELF executable, but not a packed kdump image', {
    found,
    expected: `one ${SECTION_PREFIX}* section for each of at most ${MAX_SEGMENTS} program headers`,
    remedy: 'a kernel has no elfcorehdr: capture the loaded image, or build one with pack',
  });
}
