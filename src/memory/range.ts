import { KdumpError, hex } from '../errors.js';

export const ADDRESS_SPACE_END: bigint = 1n << 64n;
/** The smallest page of any architecture: kexec segments and hotplugged memory are made of such pages. */
export const SMALLEST_PAGE = 0x1000n;

/** Physical addresses from `start` up to, not including, `end`; never empty, `end` at most 2^64. */
export interface Range {
  readonly start: bigint;
  readonly end: bigint;
}

/** @throws KdumpError `input` when the range is empty or passes 2^64 */
export function rangeOfSize(start: bigint, size: bigint): Range {
  return checked(start, start + size);
}

/** From an inclusive pair as in /proc/iomem. @throws KdumpError `input` when the range is empty or passes 2^64 */
export function rangeInclusive(first: bigint, last: bigint): Range {
  return checked(first, last + 1n);
}

function checked(start: bigint, end: bigint): Range {
  if (start < 0n || end > ADDRESS_SPACE_END) {
    throw new KdumpError('input', 'range passes the end of the 64-bit address space', { found: `${hex(start)} to ${hex(end)}` });
  }
  if (end <= start) throw new KdumpError('input', 'range is empty', { found: `${hex(start)} to ${hex(end)}` });
  return { start, end };
}

/** The bytes in `range`. */
export function sizeOf(range: Range): bigint {
  return range.end - range.start;
}

export function sameRange(a: Range, b: Range): boolean {
  return a.start === b.start && a.end === b.end;
}

export function overlaps(a: Range, b: Range): boolean {
  return a.start < b.end && b.start < a.end;
}

export function contains(outer: Range, inner: Range): boolean {
  return outer.start <= inner.start && inner.end <= outer.end;
}

export function containsAddress(range: Range, address: bigint): boolean {
  return range.start <= address && address < range.end;
}

export function intersection(a: Range, b: Range): Range | undefined {
  const start = a.start > b.start ? a.start : b.start;
  const end = a.end < b.end ? a.end : b.end;
  return start < end ? { start, end } : undefined;
}

/** `START-END` with END inclusive, as /proc/iomem prints it, with a 0x prefix. */
export function formatRange(range: Range): string {
  return `${hex(range.start)}-${hex(range.end - 1n)}`;
}

export function byStart(a: Range, b: Range): number {
  return a.start < b.start ? -1 : a.start > b.start ? 1 : 0;
}

export function byAddress(a: { readonly address: bigint }, b: { readonly address: bigint }): number {
  return a.address < b.address ? -1 : a.address > b.address ? 1 : 0;
}
