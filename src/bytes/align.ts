/** `value` rounded up to a multiple of `alignment`, a power of two. */
export function alignUp(value: bigint, alignment: bigint): bigint {
  return (value + alignment - 1n) & ~(alignment - 1n);
}

/** `value` rounded down to a multiple of `alignment`, a power of two. */
export function alignDown(value: bigint, alignment: bigint): bigint {
  return value & ~(alignment - 1n);
}
