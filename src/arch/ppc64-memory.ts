import { KdumpError } from '../errors.js';
import { readCells, textOf, u32At } from '../fdt/cells.js';
import { baseName, type TreeNode } from '../fdt/tree-node.js';
import { joinedNodes, type NodeRange } from '../memory/node-ranges.js';
import { overlaps, rangeOfSize, type Range } from '../memory/range.js';
import type { MemoryNodes } from './architecture.js';
import { LMB_ASSIGNED, LMB_NODE, LMB_NO_ASSOCIATIVITY, LMB_RESERVED, cellCount, damaged, lmbRange, lmbTableOf } from './lmb-table.js';

/** Byte of `ibm,architecture-vec-5` that says which form of affinity firmware and kernel agreed on (OV5_FORM1_AFFINITY, _FORM2_AFFINITY). */
const FORM_BYTE = 5;
const FORM1_OR_2 = 0x80 | 0x20;
/** What POWER4 gives for "no node". */
const NO_NODE = 0xffff;

/**
 * The NUMA nodes of the memory that `root` describes, as arch/powerpc/mm/numa.c numbers them: by the associativity of `memory@…` and of the
 * LMBs that are assigned, at the place that `ibm,associativity-reference-points` names (parse_numa_properties, numa_setup_drmem_lmb).
 *
 * Without reference points, or where the running kernel was told `numa=off`, all memory is of node 0 (setup_nonnuma).
 *
 * @param of `machine`: the tree is the running kernel's, and may be a part of it; `image`: it is the capture kernel's, whose command line is
 *   another
 * @returns undefined where the tree lacks what tells it
 * @throws KdumpError `input` when a table is damaged
 */
export function memoryNodes(root: TreeNode, of: 'machine' | 'image'): MemoryNodes | undefined {
  const children = root.children();
  if (of === 'machine') {
    const has = (...names: string[]): boolean => children.some(({ name }) => names.includes(baseName(name)));
    if (!has('memory', LMB_NODE) || !has('rtas', 'ibm,opal')) return undefined;
    const numa = numaParameter(children);
    if (numa?.includes('fake=') === true) return { ranges: [], only: undefined };
    if (numa?.includes('off') === true) return { ranges: [], only: 0 };
  }
  const place = primaryDomain(root, children);
  if (place === undefined) return { ranges: [], only: 0 };
  const lookup = lookupArrays(children.find(({ name }) => name === LMB_NODE));
  const nodes = lookup.map((array) => nodeAt(array, place - 1));
  const ranges: NodeRange[] = [];
  const add = (range: Range, node: number | undefined): void => {
    if (node !== undefined) ranges.push({ range, node });
  };
  for (const memory of memoryChildren(children)) {
    const own = memory.property('ibm,associativity');
    // Either all memory nodes have one or none, says the kernel, and takes node 0 (default_nid).
    const node = own === undefined ? 0 : nodeAt(own, place);
    for (const range of rangesOf(root, memory)) add(range, node);
  }
  const table = lmbTableOf(root);
  for (const run of table?.runs ?? []) {
    if ((run.flags & LMB_ASSIGNED) === 0 || (run.flags & (LMB_RESERVED | LMB_NO_ASSOCIATIVITY)) !== 0 || run.count === 0) continue;
    if (table !== undefined) add(lmbRange(table, run, 0, run.count), nodes[run.associativity]);
  }
  const joined = joinedNodes(ranges);
  if (joined.some(({ range }, index) => index > 0 && overlaps((joined[index - 1] as NodeRange).range, range)))
    return { ranges: [], only: undefined };
  return { ranges: joined, only: onlyOf(joined, nodes, children, place) };
}

/** The memory of `memory@…` nodes that lies on a device and is out of reach once the machine crashed (skiboot hw/npu2.c). */
export function coherentDeviceMemory(root: TreeNode): Range[] {
  return memoryChildren(root.children())
    .filter((node) =>
      textOf(node.property('compatible') ?? new Uint8Array())
        .split('\0')
        .includes('ibm,coherent-device-memory'),
    )
    .flatMap((node) => rangesOf(root, node));
}

/** The place, counted from 1, of the node in an associativity list (find_primary_domain_index); undefined where the kernel finds none. */
function primaryDomain(root: TreeNode, children: readonly TreeNode[]): number | undefined {
  const child = (wanted: string): TreeNode | undefined => children.find(({ name }) => name === wanted);
  const opal = child('ibm,opal');
  const points = (opal ?? child('rtas') ?? root).property('ibm,associativity-reference-points');
  if (points === undefined) return undefined;
  const form = child('chosen')?.property('ibm,architecture-vec-5')?.[FORM_BYTE];
  // A tree from before firmware and kernel agreed on a form has no such byte; every kernel of today asks for form 1 or 2.
  const isForm0 = opal === undefined && form !== undefined && (form & FORM1_OR_2) === 0;
  if (points.length < (isForm0 ? 8 : 4)) return undefined;
  const place = u32At(points, isForm0 ? 1 : 0);
  if (place === 0) throw damaged('ibm,associativity-reference-points', '0', 'a place in a list, from 1');
  return place;
}

/** The value of the parameter `numa=` in the command line. */
function numaParameter(children: readonly TreeNode[]): string | undefined {
  const bootargs = children.find(({ name }) => name === 'chosen')?.property('bootargs');
  return bootargs === undefined ? undefined : /(?:^|\s)numa=(\S*)/.exec(textOf(bootargs))?.[1];
}

/** The arrays of `ibm,associativity-lookup-arrays`, without lengths (of_get_assoc_arrays). */
function lookupArrays(node: TreeNode | undefined): Uint8Array[] {
  const value = node?.property('ibm,associativity-lookup-arrays');
  if (value === undefined) return [];
  const [count, length] = [u32At(value, 0), u32At(value, 1)];
  if (length === 0) return [];
  if (value.length < 4 * (2 + count * length)) {
    throw damaged('ibm,associativity-lookup-arrays', `${value.length} bytes`, `${count} arrays of ${length} cells`);
  }
  return Array.from({ length: count }, (_, index) => value.subarray(8 + 4 * index * length, 8 + 4 * (index + 1) * length));
}

/** The node in an associativity list, its length counted as place 0 where it has one (__associativity_to_nid); undefined where it names none. */
function nodeAt(list: Uint8Array, place: number): number | undefined {
  if (list.length < 4 * (place + 1)) return undefined;
  const node = u32At(list, place);
  return node >= NO_NODE ? undefined : node;
}

/** The one node that the whole tree knows, of CPUs and memory that may yet come too; undefined where there are several. */
function onlyOf(
  ranges: readonly NodeRange[],
  lookup: readonly (number | undefined)[],
  children: readonly TreeNode[],
  place: number,
): number | undefined {
  const known = new Set([...ranges.map(({ node }) => node), ...lookup.filter((node) => node !== undefined)]);
  const [only] = known;
  if (only === undefined || known.size > 1) return undefined;
  for (const cpu of children.find(({ name }) => name === 'cpus')?.children() ?? []) {
    const own = cpu.property('ibm,associativity');
    const node = own === undefined ? undefined : nodeAt(own, place);
    if (node !== undefined && node !== only) return undefined;
  }
  return only;
}

function memoryChildren(children: readonly TreeNode[]): TreeNode[] {
  return children.filter(({ name }) => baseName(name) === 'memory');
}

/** The ranges in `reg`; what the running kernel got, where `linux,usable-memory` says what the capture kernel will. */
function rangesOf(root: TreeNode, node: TreeNode): Range[] {
  const value = node.property('reg');
  if (value === undefined) return [];
  const [address, size] = [cellCount(root, '#address-cells', 2), cellCount(root, '#size-cells', 1)];
  const width = address + size;
  if (value.length % (4 * width) !== 0) {
    throw new KdumpError('input', 'reg of a memory node is not as it should be', {
      segment: 'device tree',
      found: `${value.length} bytes`,
      expected: `${4 * width} bytes a range`,
    });
  }
  const ranges: Range[] = [];
  for (let at = 0; at < value.length / 4; at += width) {
    const length = readCells(value, size, at + address);
    if (length > 0n) ranges.push(rangeOfSize(readCells(value, address, at), length));
  }
  return ranges;
}
