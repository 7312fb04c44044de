/** `bytes` from `start` up to `end` as text, one character a byte, so that every byte round-trips. */
export function latin1(bytes: Uint8Array, start = 0, end: number = bytes.length): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1');
}
