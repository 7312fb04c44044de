import { encodeElfcorehdr, type Elfcorehdr } from '../../src/elf/elfcorehdr.js';
import type { ProgramHeader } from '../../src/elf/records.js';
import type { ByteOrder } from '../../src/bytes/byte-order.js';

const PPC64 = 21;
export const LINEAR_MAP = 0xc000000000000000n;

/** A PT_NOTE as the kernel writes one. */
export function note(paddr: bigint, size = 0x218n): ProgramHeader {
  return { type: 4, flags: 0, offset: paddr, vaddr: 0n, paddr, filesz: size, memsz: size, align: 0n };
}

/** A PT_LOAD of the memory from `start` up to `end`; its contents at `offset` where that is another place. */
export function load(start: bigint, end: bigint, offset = start): ProgramHeader {
  return { type: 1, flags: 7, offset, vaddr: start + LINEAR_MAP, paddr: start, filesz: end - start, memsz: end - start, align: 0n };
}

/** As crash_prepare_elf64_headers() writes it: EI_DATA is LSB in both byte orders. */
export function elfcorehdr(programHeaders: readonly ProgramHeader[], byteOrder: ByteOrder = 'lsb', machine = PPC64): Elfcorehdr {
  const ident = Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  return {
    header: {
      ident,
      byteOrder,
      fields: {
        type: 4,
        machine,
        version: 1,
        entry: 0n,
        phoff: 64n,
        shoff: 0n,
        flags: 0,
        ehsize: 64,
        phentsize: 56,
        phnum: programHeaders.length,
        shentsize: 0,
        shnum: 0,
        shstrndx: 0,
      },
    },
    programHeaders,
  };
}

export function elfcorehdrBytes(programHeaders: readonly ProgramHeader[], byteOrder: ByteOrder = 'lsb'): Uint8Array {
  return encodeElfcorehdr(elfcorehdr(programHeaders, byteOrder));
}
