/** `lsb` and `msb` as the ELF specification names them: least or most significant byte first. */
export type ByteOrder = 'lsb' | 'msb';

export const MACHINE_ORDER: ByteOrder = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1 ? 'lsb' : 'msb';

export function dataView(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * `bytes` as words of this machine's byte order, which are read faster than by a DataView; a last word that is not whole is left out. They are the
 * same memory where `bytes` begin at a multiple of 4, else a copy.
 */
export function machineWords(bytes: Uint8Array): Uint32Array {
  const own = bytes.byteOffset % 4 === 0 ? bytes : Uint8Array.from(bytes);
  return new Uint32Array(own.buffer, own.byteOffset, own.length >>> 2);
}
