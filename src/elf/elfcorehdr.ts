import { KdumpError, hex } from '../errors.js';
import { ET_CORE, PN_XNUM } from './constants.js';
import { ELF_HEADER_SIZE, PROGRAM_HEADER_SIZE, encodeElfHeader, parseElfHeader, type ElfHeader } from './elf-header.js';
import { ProgramHeaderTable } from './program-header-table.js';
import type { ProgramHeader } from './records.js';

/** The contents of an elfcorehdr segment: its ELF header and program headers, in file order. */
export interface Elfcorehdr {
  readonly header: ElfHeader;
  /** Of one that was parsed they are made when they are first asked for. */
  readonly programHeaders: readonly ProgramHeader[];
}

const tables = new WeakMap<Elfcorehdr, ProgramHeaderTable>();

/** The program headers of `contents` in their bytes. */
export function tableOf(contents: Elfcorehdr): ProgramHeaderTable {
  let table = tables.get(contents);
  if (table === undefined) {
    table = new ProgramHeaderTable(new Uint8Array(0), contents.header.byteOrder).assembled(contents.programHeaders);
    tables.set(contents, table);
  }
  return table;
}

/** An elfcorehdr with `header` and the program headers of `table`. */
function elfcorehdrOf(header: ElfHeader, table: ProgramHeaderTable): Elfcorehdr {
  let programHeaders: readonly ProgramHeader[] | undefined;
  const contents: Elfcorehdr = {
    header,
    get programHeaders() {
      return (programHeaders ??= table.toArray());
    },
  };
  tables.set(contents, table);
  return contents;
}

/** Program headers that fit `memsz` bytes of segment, and that e_phnum can count. */
export function programHeaderCapacity(memsz: bigint): number {
  const room = memsz < ELF_HEADER_SIZE ? 0n : (memsz - BigInt(ELF_HEADER_SIZE)) / BigInt(PROGRAM_HEADER_SIZE);
  return room < PN_XNUM - 1 ? Number(room) : PN_XNUM - 1;
}

/** Bytes that an elfcorehdr with `programHeaders` program headers takes. */
export function elfcorehdrSize(programHeaders: number): number {
  return ELF_HEADER_SIZE + programHeaders * PROGRAM_HEADER_SIZE;
}

/**
 * The ELF header of an elfcorehdr, from the first 64 bytes of its segment; tells how many program headers follow.
 *
 * Refused is what parse_crash_elf64_headers() in fs/proc/vmcore.c refuses. It ignores e_phoff and reads the program headers right after the
 * header, so any other e_phoff is refused here too: readers would not agree. Sections are never looked at; their fields are kept.
 *
 * @throws KdumpError `input`
 */
export function parseElfcorehdrHeader(bytes: Uint8Array): ElfHeader {
  const header = parseElfHeader(bytes);
  const { type, ehsize, phentsize, phoff, phnum } = header.fields;
  expectField('e_type', 16, type, ET_CORE);
  expectField('e_ehsize', 52, ehsize, ELF_HEADER_SIZE);
  expectField('e_phentsize', 54, phentsize, PROGRAM_HEADER_SIZE);
  expectField('e_phoff', 32, phoff, BigInt(ELF_HEADER_SIZE));
  if (phnum === 0 || phnum >= PN_XNUM) {
    throw new KdumpError('input', 'wrong e_phnum', { offset: 56, found: String(phnum), expected: `1 to ${PN_XNUM - 1}` });
  }
  return header;
}

/**
 * The elfcorehdr at the start of `segment`, which may be longer: what follows the last program header is not looked at.
 *
 * @throws KdumpError `input` for a header that the capture kernel would refuse, that does not fit the segment, or with a program header
 *   that passes the end of the address space
 */
export function parseElfcorehdr(segment: Uint8Array): Elfcorehdr {
  return parseElfcorehdrIn(new Uint8Array(segment.subarray(0, elfcorehdrSize(PN_XNUM))));
}

/** As {@link parseElfcorehdr}, without a copy: nobody changes the bytes of `segment` as long as the result is in use. */
export function parseElfcorehdrIn(segment: Uint8Array): Elfcorehdr {
  const header = parseElfcorehdrHeader(segment);
  const { phnum } = header.fields;
  if (elfcorehdrSize(phnum) > segment.length) {
    throw new KdumpError('input', 'the program headers do not fit the segment', {
      offset: 56,
      found: `e_phnum ${phnum}, which takes ${elfcorehdrSize(phnum)} bytes`,
      expected: `at most ${segment.length} bytes`,
    });
  }
  const table = new ProgramHeaderTable(segment.subarray(ELF_HEADER_SIZE, elfcorehdrSize(phnum)), header.byteOrder);
  checkProgramHeaders(table);
  return elfcorehdrOf(header, table);
}

/** The bytes of `elfcorehdr`, e_phnum set to the number of its program headers. Unchanged contents give the bytes they were parsed from. */
export function encodeElfcorehdr(contents: Elfcorehdr): Uint8Array {
  const table = tableOf(contents);
  const bytes = new Uint8Array(elfcorehdrSize(table.length));
  writeElfcorehdr(contents.header, table, bytes);
  return bytes;
}

/** Writes an elfcorehdr to the start of `bytes`, which has room for it. Its program headers are checked. */
export function writeElfcorehdr(header: ElfHeader, table: ProgramHeaderTable, bytes: Uint8Array): void {
  if (table.length >= PN_XNUM) throw new RangeError(`${table.length} program headers do not fit e_phnum`);
  encodeElfHeader({ ...header, fields: { ...header.fields, phnum: table.length } }, bytes);
  bytes.set(table.bytes, ELF_HEADER_SIZE);
}

function checkProgramHeaders(table: ProgramHeaderTable): void {
  const wrong = table.firstOutOfRange();
  if (wrong === undefined) return;
  const { index, field } = wrong;
  const programHeader = table.at(index);
  throw new KdumpError('input', `program header ${index}: ${field} is out of range`, {
    offset: elfcorehdrSize(index),
    found: `p_offset ${hex(programHeader.offset)} p_paddr ${hex(programHeader.paddr)} p_filesz ${hex(programHeader.filesz)} p_memsz ${hex(programHeader.memsz)}`,
    expected: field === 'p_filesz' ? 'at most p_memsz' : 'at most 2^64',
  });
}

function expectField(name: string, offset: number, found: bigint | number, expected: bigint | number): void {
  if (found !== expected) throw new KdumpError('input', `wrong ${name}`, { offset, found: String(found), expected: String(expected) });
}
