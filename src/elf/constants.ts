/** Values of the ELF-64 specification and the machine numbers of the supported kernels. */
export const ELF_MAGIC: Uint8Array = Uint8Array.of(0x7f, 0x45, 0x4c, 0x46);

export const EI_CLASS = 4;
export const EI_DATA = 5;
export const EI_VERSION = 6;
export const EI_NIDENT = 16;

export const ELFCLASS32 = 1;
export const ELFCLASS64 = 2;
export const ELFDATA2LSB = 1;
export const ELFDATA2MSB = 2;
export const EV_CURRENT = 1;

export const ET_EXEC = 2;
export const ET_CORE = 4;

export const EM_PPC64 = 21;
export const EM_S390 = 22;
export const EM_X86_64 = 62;
export const EM_AARCH64 = 183;
export const EM_RISCV = 243;
export const EM_LOONGARCH = 258;

/** p_type: a range of memory that the dump holds. */
export const PT_LOAD = 1;
/** p_type: the notes of a CPU, or vmcoreinfo. */
export const PT_NOTE = 4;
/** p_flags of every PT_LOAD in an elfcorehdr: read, write, execute. */
export const PF_RWX = 7;
/** e_phnum at and above this means "look elsewhere for the count"; the vmcore reader knows no such place. */
export const PN_XNUM = 0xffff;

export const SHT_PROGBITS = 1;
export const SHT_STRTAB = 3;
export const SHT_NOBITS = 8;
export const SHF_ALLOC = 2;
