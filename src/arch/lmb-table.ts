import { KdumpError, hex } from '../errors.js';
import { readCells, readU32, u32At } from '../fdt/cells.js';
import type { TreeNode } from '../fdt/tree-node.js';
import { ADDRESS_SPACE_END, rangeOfSize, type Range } from '../memory/range.js';

/** The node below the root that has the table. */
export const LMB_NODE = 'ibm,dynamic-reconfiguration-memory';

/** Logical memory blocks that follow each other in address and connector. */
export interface LmbRun {
  readonly count: number;
  readonly address: bigint;
  /** Connector of the first. */
  readonly index: number;
  /** Which of `ibm,associativity-lookup-arrays` is theirs. */
  readonly associativity: number;
  readonly flags: number;
}

/** The memory that a PowerPC partition has and may get, in logical memory blocks (LMBs). */
export interface LmbTable {
  /** Bytes of a block, a power of two. */
  readonly size: bigint;
  readonly runs: readonly LmbRun[];
}

/** DRCONF_MEM_ASSIGNED, _AI_INVALID and _RESERVED of arch/powerpc/include/asm/drmem.h. */
export const LMB_ASSIGNED = 0x08;
export const LMB_NO_ASSOCIATIVITY = 0x40;
/** Not for the operating system, and without a connector of its own. */
export const LMB_RESERVED = 0x80;

const ENTRY_CELLS = 4;

/**
 * `ibm,dynamic-memory-v2` or `ibm,dynamic-memory` of /ibm,dynamic-reconfiguration-memory (PAPR+ sections B.6.6.2 and B.6.6.3;
 * arch/powerpc/mm/drmem.c).
 *
 * v2: sets of (count, address, index, associativity, flags). v1: one entry a block, without count and with a reserved cell.
 *
 * @returns undefined where the tree has no such node
 * @throws KdumpError `input` when the table is damaged
 */
export function lmbTableOf(root: TreeNode): LmbTable | undefined {
  const node = root.children().find(({ name }) => name === LMB_NODE);
  if (node === undefined) return undefined;
  const sizeCells = cellCount(root, '#size-cells', 1);
  const sizeValue = node.property('ibm,lmb-size');
  if (sizeValue?.length !== 4 * sizeCells)
    throw damaged('ibm,lmb-size', sizeValue === undefined ? 'no such property' : `${sizeValue.length} bytes`, `${4 * sizeCells} bytes`);
  const size = readCells(sizeValue, sizeCells, 0);
  if (size === 0n || (size & (size - 1n)) !== 0n) throw damaged('ibm,lmb-size', hex(size), 'a power of two');
  return { size, runs: runsOf(root, node) };
}

/** The addresses of `count` blocks of a run from its block `from` on. @throws KdumpError `input` when they pass 2^64 */
export function lmbRange({ size }: LmbTable, { address }: LmbRun, from: number, count: number): Range {
  const start = address + BigInt(from) * size;
  if (start + BigInt(count) * size > ADDRESS_SPACE_END) throw damaged('ibm,dynamic-memory', hex(start), 'addresses below 2^64');
  return rangeOfSize(start, BigInt(count) * size);
}

function runsOf(root: TreeNode, node: TreeNode): LmbRun[] {
  const v2 = node.property('ibm,dynamic-memory-v2');
  const value = v2 ?? node.property('ibm,dynamic-memory');
  if (value === undefined) throw damaged('ibm,dynamic-memory', 'no such property', 'it, or ibm,dynamic-memory-v2');
  const addressCells = cellCount(root, '#address-cells', 2);
  const width = ENTRY_CELLS + addressCells;
  const count = u32At(value, 0);
  if (value.length !== 4 * (1 + count * width)) {
    throw damaged(
      v2 === undefined ? 'ibm,dynamic-memory' : 'ibm,dynamic-memory-v2',
      `${count} entries in ${value.length} bytes`,
      `${width * 4} bytes each`,
    );
  }
  return Array.from({ length: count }, (_, entry) => {
    const at = 1 + entry * width + (v2 === undefined ? 0 : 1);
    const end = 1 + (entry + 1) * width;
    return {
      count: v2 === undefined ? 1 : u32At(value, at - 1),
      address: readCells(value, addressCells, at),
      index: u32At(value, at + addressCells),
      associativity: u32At(value, end - 2),
      flags: u32At(value, end - 1),
    };
  });
}

/** `#address-cells` or `#size-cells` of the root. */
export function cellCount(root: TreeNode, name: string, otherwise: number): number {
  const value = root.property(name);
  const count = value === undefined ? otherwise : readU32(value);
  if (count < 1 || count > 2) throw damaged(name, String(count), '1 or 2');
  return count;
}

export function damaged(property: string, found: string, expected: string): KdumpError {
  return new KdumpError('input', `${property} is not as it should be`, { segment: 'device tree', found, expected });
}
