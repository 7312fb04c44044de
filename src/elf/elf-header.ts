import { KdumpError, hex } from '../errors.js';
import { equalBytes } from '../bytes/compare.js';
import type { ByteOrder } from '../bytes/byte-order.js';
import { EI_CLASS, EI_DATA, EI_NIDENT, EI_VERSION, ELF_MAGIC, ELFCLASS64, ELFDATA2LSB, ELFDATA2MSB, EV_CURRENT } from './constants.js';
import { elfHeaderFormat, programHeaderFormat, type ElfHeaderFields } from './records.js';

export const ELF_HEADER_SIZE = 64;
export const PROGRAM_HEADER_SIZE: number = programHeaderFormat.size;

const E_VERSION_OFFSET = 20;

/** An ELF64 file header: e_ident as it was read, the fields after it, and the byte order they are in. */
export interface ElfHeader {
  readonly ident: Uint8Array;
  readonly byteOrder: ByteOrder;
  readonly fields: Readonly<ElfHeaderFields>;
}

/** Whether `bytes` begins with an ELF magic. */
export function hasElfMagic(bytes: Uint8Array): boolean {
  return equalBytes(bytes.subarray(0, ELF_MAGIC.length), ELF_MAGIC);
}

/**
 * The ELF64 header at the start of `bytes`.
 *
 * The byte order is that of e_version, not of EI_DATA: crash_prepare_elf64_headers() in kernel/crash_core.c sets EI_DATA to ELFDATA2LSB on
 * big-endian kernels too.
 *
 * @throws KdumpError `input` when it is not an ELF64 header of version 1
 */
export function parseElfHeader(bytes: Uint8Array): ElfHeader {
  if (bytes.length < ELF_HEADER_SIZE) {
    throw new KdumpError('input', 'truncated ELF header', { found: `${bytes.length} bytes`, expected: `${ELF_HEADER_SIZE}` });
  }
  if (!hasElfMagic(bytes)) {
    throw new KdumpError('input', 'not an ELF header', { offset: 0, found: hexBytes(bytes.subarray(0, 4)), expected: hexBytes(ELF_MAGIC) });
  }
  const ident = Uint8Array.from(bytes.subarray(0, EI_NIDENT));
  expectByte(ident, EI_CLASS, 'EI_CLASS', [ELFCLASS64]);
  expectByte(ident, EI_DATA, 'EI_DATA', [ELFDATA2LSB, ELFDATA2MSB]);
  expectByte(ident, EI_VERSION, 'EI_VERSION', [EV_CURRENT]);
  const byteOrder = (['lsb', 'msb'] as const).find((order) => elfHeaderFormat.parseOne(bytes, EI_NIDENT, order).version === EV_CURRENT);
  if (byteOrder === undefined) {
    throw new KdumpError('input', 'e_version is not 1 in either byte order', {
      offset: E_VERSION_OFFSET,
      found: hexBytes(bytes.subarray(E_VERSION_OFFSET, E_VERSION_OFFSET + 4)),
    });
  }
  return { ident, byteOrder, fields: elfHeaderFormat.parseOne(bytes, EI_NIDENT, byteOrder) };
}

/** Writes the header into the first 64 bytes of `bytes`. */
export function encodeElfHeader({ ident, byteOrder, fields }: ElfHeader, bytes: Uint8Array): void {
  bytes.set(ident, 0);
  elfHeaderFormat.encode(fields, bytes, EI_NIDENT, byteOrder);
}

function expectByte(ident: Uint8Array, index: number, name: string, allowed: readonly number[]): void {
  const found = ident[index] as number;
  if (!allowed.includes(found)) {
    throw new KdumpError('input', `wrong ${name}`, { offset: index, found: hex(found), expected: allowed.map(hex).join(' or ') });
  }
}

function hexBytes(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
