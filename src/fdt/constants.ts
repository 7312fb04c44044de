/** Devicetree specification v0.4, section 5.2 (header), 5.4.1 (tokens). */
export const FDT_MAGIC = 0xd00dfeed;
export const FDT_HEADER_SIZE = 40;
export const FDT_VERSION = 17;
/** The oldest of the same form: it only does not state the size of the structure block. The kernel writes it on pseries (prom_init.c). */
export const FDT_OLDEST_VERSION = 16;
/** libfdt keeps offsets and sizes in a signed 32-bit integer. */
export const FDT_MAX_SIZE = 0x7fffffff;

export const FDT_BEGIN_NODE = 1;
export const FDT_END_NODE = 2;
export const FDT_PROP = 3;
export const FDT_NOP = 4;
export const FDT_END = 9;

export const TOKEN_SIZE = 4;
/** Token, value length and name offset in front of each property value. */
export const PROPERTY_HEADER_SIZE = 12;
export const RESERVATION_SIZE = 16;

export const STRUCT_ALIGNMENT = 4;
export const RESERVATION_ALIGNMENT = 8;

/** The kernel's FDT_MAX_DEPTH (drivers/of/fdt.c); the root counts as 1. */
export const MAX_DEPTH = 64;
/**
 * The specification allows 31 characters and a unit address. With no limit, many properties that share one name of a megabyte
 * would take time and memory in the product of the two.
 */
export const MAX_NAME_LENGTH = 255;

/** `size`, below 2^31 - 3, rounded up to a multiple of four: the padding of names and values in the structure block. */
export function padded(size: number): number {
  return (size + 3) & ~3;
}
