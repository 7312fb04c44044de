import { RecordFormat, type RecordOf } from '../bytes/record.js';

/** Elf64_Ehdr after e_ident, at offset 16 (ELF-64 object file format, section 3). */
const ELF_HEADER_FIELDS = [
  ['type', 2],
  ['machine', 2],
  ['version', 4],
  ['entry', 8],
  ['phoff', 8],
  ['shoff', 8],
  ['flags', 4],
  ['ehsize', 2],
  ['phentsize', 2],
  ['phnum', 2],
  ['shentsize', 2],
  ['shnum', 2],
  ['shstrndx', 2],
] as const;

/** Elf64_Phdr (ELF-64 object file format, section 5). */
const PROGRAM_HEADER_FIELDS = [
  ['type', 4],
  ['flags', 4],
  ['offset', 8],
  ['vaddr', 8],
  ['paddr', 8],
  ['filesz', 8],
  ['memsz', 8],
  ['align', 8],
] as const;

/** Elf64_Shdr (ELF-64 object file format, section 4). */
const SECTION_HEADER_FIELDS = [
  ['name', 4],
  ['type', 4],
  ['flags', 8],
  ['addr', 8],
  ['offset', 8],
  ['size', 8],
  ['link', 4],
  ['info', 4],
  ['addralign', 8],
  ['entsize', 8],
] as const;

/**
 * The fields of Elf64_Ehdr behind e_ident, without the `e_` of their names.
 *
 * @interface
 */
export type ElfHeaderFields = RecordOf<typeof ELF_HEADER_FIELDS>;
/** An Elf64_Phdr, without the `p_` of the names. */
export interface ProgramHeader {
  readonly type: number;
  readonly flags: number;
  /** In an elfcorehdr, a physical address of the crashed kernel. */
  readonly offset: bigint;
  readonly vaddr: bigint;
  readonly paddr: bigint;
  readonly filesz: bigint;
  readonly memsz: bigint;
  readonly align: bigint;
}
export type SectionHeader = Readonly<RecordOf<typeof SECTION_HEADER_FIELDS>>;

export const elfHeaderFormat: RecordFormat<typeof ELF_HEADER_FIELDS> = new RecordFormat(ELF_HEADER_FIELDS);
export const programHeaderFormat: RecordFormat<typeof PROGRAM_HEADER_FIELDS> = new RecordFormat(PROGRAM_HEADER_FIELDS);
export const sectionHeaderFormat: RecordFormat<typeof SECTION_HEADER_FIELDS> = new RecordFormat(SECTION_HEADER_FIELDS);
