import { KdumpError, hex } from '../errors.js';
import { alignUp } from '../bytes/align.js';
import { safePosition } from '../bytes/position.js';
import type { Architecture } from '../arch/architecture.js';
import {
  EI_CLASS,
  EI_DATA,
  EI_NIDENT,
  EI_VERSION,
  ELF_MAGIC,
  ELFCLASS64,
  ELFDATA2LSB,
  ELFDATA2MSB,
  ET_EXEC,
  EV_CURRENT,
  PF_RWX,
  PT_LOAD,
  SHF_ALLOC,
  SHT_NOBITS,
  SHT_PROGBITS,
  SHT_STRTAB,
} from '../elf/constants.js';
import { ELF_HEADER_SIZE, PROGRAM_HEADER_SIZE, encodeElfHeader } from '../elf/elf-header.js';
import { programHeaderFormat, sectionHeaderFormat, type SectionHeader } from '../elf/records.js';
import { SECTION_PREFIX } from './packed.js';
import { MAX_SEGMENTS, checkedSegments, type Segment } from '../kexec/segment.js';

const FILE_ALIGNMENT = 0x1000n;

export interface PackedLayout {
  readonly fileSize: number;
  /** The ELF header and program headers, for offset 0. */
  readonly head: Uint8Array;
  /** Section names and section headers, for offset `tailOffset`. */
  readonly tail: Uint8Array;
  readonly tailOffset: number;
  /** The segments ascending by address, each with the place of its stored bytes in the file. */
  readonly segments: readonly PackedSegment[];
}

export interface PackedSegment extends Segment {
  readonly fileOffset: number;
  readonly fileSize: number;
}

/**
 * Where everything goes in a packed image of these segments, and its tables. Pure: the same segments give the same layout.
 *
 * The elfcorehdr and FDT are stored at their full memsz, so that both can grow in place; the others at bufsz.
 *
 * @throws KdumpError `input` when segments overlap or there are more than 16
 */
export function packedLayout(
  architecture: Architecture,
  entry: bigint | null,
  unsorted: readonly (Segment & { bufsz: bigint })[],
): PackedLayout {
  const segments = checkedSegments(unsorted);
  if (segments.length === 0 || segments.length > MAX_SEGMENTS) {
    throw new KdumpError('input', 'wrong number of segments', { found: String(segments.length), expected: `1 to ${MAX_SEGMENTS}` });
  }
  const { byteOrder } = architecture;
  let end = BigInt(ELF_HEADER_SIZE + segments.length * PROGRAM_HEADER_SIZE);
  const placed = segments.map((segment): PackedSegment => {
    const growsInPlace = segment.name === 'elfcorehdr' || segment.name === 'fdt';
    const fileSize = growsInPlace ? segment.memsz : segment.bufsz;
    if (fileSize > segment.memsz) {
      throw new KdumpError('input', 'more bytes than the segment has room for', {
        segment: segment.name,
        found: hex(fileSize),
        expected: `at most ${hex(segment.memsz)}`,
      });
    }
    const fileOffset = alignUp(end, FILE_ALIGNMENT);
    // A segment without stored bytes gets the next offset all the same, so that sections stay in file order.
    end = fileSize === 0n ? end : fileOffset + fileSize;
    return { ...segment, fileOffset: safePosition(fileOffset), fileSize: safePosition(fileSize) };
  });

  const names = [
    '',
    ...placed.map((segment, index) => SECTION_PREFIX + (segment.name === 'other' ? `segment${index}` : segment.name)),
    '.shstrtab',
  ];
  const strings = Buffer.from(names.map((name) => `${name}\0`).join(''), 'latin1');
  const nameOffsets = names.map((_, index) =>
    Buffer.byteLength(
      names
        .slice(0, index)
        .map((name) => `${name}\0`)
        .join(''),
      'latin1',
    ),
  );
  const tailOffset = alignUp(end, 8n);
  const headersOffset = alignUp(tailOffset + BigInt(strings.length), 8n);

  const head = new Uint8Array(ELF_HEADER_SIZE + placed.length * PROGRAM_HEADER_SIZE);
  encodeElfHeader(
    {
      ident: identification(architecture),
      byteOrder,
      fields: {
        type: ET_EXEC,
        machine: architecture.machine,
        version: EV_CURRENT,
        entry: entry ?? 0n,
        phoff: BigInt(ELF_HEADER_SIZE),
        shoff: headersOffset,
        flags: 0,
        ehsize: ELF_HEADER_SIZE,
        phentsize: PROGRAM_HEADER_SIZE,
        phnum: placed.length,
        shentsize: sectionHeaderFormat.size,
        shnum: placed.length + 2,
        shstrndx: placed.length + 1,
      },
    },
    head,
  );
  placed.forEach(({ address, memsz, fileOffset, fileSize }, index) => {
    programHeaderFormat.encode(
      {
        type: PT_LOAD,
        flags: PF_RWX,
        offset: BigInt(fileOffset),
        vaddr: address,
        paddr: address,
        filesz: BigInt(fileSize),
        memsz: memsz,
        align: address % FILE_ALIGNMENT === 0n ? FILE_ALIGNMENT : 1n,
      },
      head,
      ELF_HEADER_SIZE + index * PROGRAM_HEADER_SIZE,
      byteOrder,
    );
  });

  const noSection: SectionHeader = {
    name: 0,
    type: 0,
    flags: 0n,
    addr: 0n,
    offset: 0n,
    size: 0n,
    link: 0,
    info: 0,
    addralign: 0n,
    entsize: 0n,
  };
  const sections: SectionHeader[] = [
    noSection,
    ...placed.map(({ address, memsz, fileOffset, fileSize }) => ({
      ...noSection,
      type: fileSize === 0 ? SHT_NOBITS : SHT_PROGBITS,
      flags: BigInt(SHF_ALLOC),
      addr: address,
      offset: BigInt(fileOffset),
      size: fileSize === 0 ? memsz : BigInt(fileSize),
      addralign: 1n,
    })),
    { ...noSection, type: SHT_STRTAB, offset: tailOffset, size: BigInt(strings.length), addralign: 1n },
  ];
  const headersInTail = Number(headersOffset - tailOffset);
  const tail = new Uint8Array(headersInTail + sections.length * sectionHeaderFormat.size);
  tail.set(strings, 0);
  sections.forEach((section, index) => {
    sectionHeaderFormat.encode(
      { ...section, name: nameOffsets[index] ?? 0 },
      tail,
      headersInTail + index * sectionHeaderFormat.size,
      byteOrder,
    );
  });
  return { fileSize: safePosition(tailOffset) + tail.length, head, tail, tailOffset: safePosition(tailOffset), segments: placed };
}

function identification(architecture: Architecture): Uint8Array {
  const ident = new Uint8Array(EI_NIDENT);
  ident.set(ELF_MAGIC);
  ident[EI_CLASS] = ELFCLASS64;
  ident[EI_DATA] = architecture.byteOrder === 'lsb' ? ELFDATA2LSB : ELFDATA2MSB;
  ident[EI_VERSION] = EV_CURRENT;
  return ident;
}
