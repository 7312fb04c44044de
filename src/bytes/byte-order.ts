/** `lsb` and `msb` as the ELF specification names them: least or most significant byte first. */
export type ByteOrder = 'lsb' | 'msb';

export function dataView(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
