import { dataView } from '../bytes/byte-order.js';
import { latin1 } from './latin1.js';

const CELL = 4;

/**
 * A property's value in DTS syntax with a leading ` = `, or nothing for an empty one.
 *
 * A blob does not tell types. As dtc does: text when it ends in NUL, has no byte but printable ASCII, white space, `\a`, `\b` and NUL, and
 * at least as many bytes that are not NUL as are; else cells when its length is a multiple of four; else bytes.
 */
export function dtsValue(value: Uint8Array): string {
  if (value.length === 0) return '';
  if (looksLikeText(value)) return ` = ${quoted(value)}`;
  return value.length % CELL === 0 ? ` = <${cells(value)}>` : ` = [${bytes(value)}]`;
}

function looksLikeText(value: Uint8Array): boolean {
  if (value[value.length - 1] !== 0) return false;
  let nuls = 0;
  for (const byte of value) {
    if (byte === 0) nuls += 1;
    else if (!(byte >= 0x20 && byte <= 0x7e) && !(byte >= 0x07 && byte <= 0x0d)) return false;
  }
  return nuls <= value.length - nuls;
}

const escapes: Readonly<Record<string, string>> = {
  '\0': '\\0',
  '\x07': '\\a',
  '\b': '\\b',
  '\t': '\\t',
  '\n': '\\n',
  '\v': '\\v',
  '\f': '\\f',
  '\r': '\\r',
  '"': '\\"',
  '\\': '\\\\',
};

/** Inner strings are set apart by `\0`; the last NUL is implied. */
function quoted(value: Uint8Array): string {
  return `"${latin1(value, 0, value.length - 1).replace(/[^ !#-[\]-~]/g, (character) => escapes[character] ?? character)}"`;
}

function cells(value: Uint8Array): string {
  const view = dataView(value);
  const parts: string[] = [];
  for (let at = 0; at < value.length; at += CELL) parts.push(`0x${view.getUint32(at).toString(16).padStart(2, '0')}`);
  return parts.join(' ');
}

function bytes(value: Uint8Array): string {
  return Array.from(value, (byte) => byte.toString(16).padStart(2, '0')).join(' ');
}
