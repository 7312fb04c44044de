import { parseFdt, type Fdt } from '../../src/fdt/fdt.js';
import type { Range } from '../../src/memory/range.js';
import { buildFdt, cells, node, prop, type Item, type Node, type Prop } from '../fdt/build.js';

/*
 * Device trees of pseries guests with NUMA nodes, in every form that firmware tells them in; as QEMU (hw/ppc/spapr_numa.c) and PowerVM do.
 */

export const LMB = 0x10000000n;

export interface NumaTree {
  /** Nodes of LMBs from address 0 on; undefined: not assigned. */
  readonly lmbs: readonly (number | undefined)[];
  /** How many of the first LMBs are in `memory@…` nodes, one for each stretch of a node. */
  readonly inMemoryNodes: number;
  readonly form: 0 | 1 | 2;
  readonly table: 'ibm,dynamic-memory' | 'ibm,dynamic-memory-v2';
  readonly more?: readonly Item[];
  readonly bootargs?: string;
}

/** An associativity list without its length: the node is at place 4 of 4 in form 1, at place 1 of 1 in form 2, at place 2 of 3 in form 0. */
const listOf = (form: number, domain: number): number[] => (form === 2 ? [domain] : form === 1 ? [0, 0, 7, domain] : [0, domain, 9]);
const REFERENCE_POINTS = [[3, 2], [4, 3, 2, 1], [1]] as const;
const VECTOR5 = [0x00, 0x80, 0xa0];
const word = (value: bigint): number[] => [Number(value >> 32n), Number(value & 0xffffffffn)];

/** The property of `/chosen` and the nodes that tell the NUMA nodes of memory. @param usable bytes that the capture kernel has, from 0 on */
export function numaItems({ lmbs, inMemoryNodes, form, table }: NumaTree, usable?: bigint): { vector5: Prop; nodes: Node[] } {
  const domains = [...new Set(lmbs.filter((domain) => domain !== undefined))];
  const memory: Node[] = [];
  for (let at = 0; at < inMemoryNodes; at += 1) {
    const domain = lmbs[at];
    if (domain === undefined) continue;
    const start = BigInt(at) * LMB;
    while (at + 1 < inMemoryNodes && lmbs[at + 1] === domain) at += 1;
    const list = listOf(form, domain);
    memory.push(
      node(
        `memory@${start.toString(16)}`,
        prop('device_type', 'memory'),
        prop('reg', [...word(start), ...word(BigInt(at + 1) * LMB - start)]),
        prop('ibm,associativity', [list.length, ...list]),
        ...(usable === undefined ? [] : [prop('linux,usable-memory', [...word(0n), ...word(start === 0n ? usable : 0n)])]),
      ),
    );
  }
  const entries = lmbs.map((domain, index) => {
    const isReserved = index < inMemoryNodes;
    const flags = isReserved ? 0xa0 : domain === undefined ? 0 : 0x8;
    const array = isReserved || domain === undefined ? 0xffffffff : domains.indexOf(domain);
    return { address: BigInt(index) * LMB, connector: 0x80000000 + index, array, flags };
  });
  const value =
    table === 'ibm,dynamic-memory'
      ? [entries.length, ...entries.flatMap(({ address, connector, array, flags }) => [...word(address), connector, 0, array, flags])]
      : [entries.length, ...entries.flatMap(({ address, connector, array, flags }) => [1, ...word(address), connector, array, flags])];
  const lists = domains.map((domain) => listOf(form, domain));
  return {
    vector5: prop('ibm,architecture-vec-5', Uint8Array.of(0x19, 0, 0x20, 0, 0, VECTOR5[form] ?? 0, 5)),
    nodes: [
      node('rtas', prop('ibm,associativity-reference-points', [...(REFERENCE_POINTS[form] as readonly number[])])),
      ...memory,
      node(
        'ibm,dynamic-reconfiguration-memory',
        prop('ibm,lmb-size', word(LMB)),
        prop('ibm,associativity-lookup-arrays', [lists.length, lists[0]?.length ?? 1, ...lists.flat()]),
        prop(table, cells(...value)),
      ),
    ],
  };
}

export function numaBlob(tree: NumaTree): Uint8Array {
  const { vector5, nodes } = numaItems(tree);
  return buildFdt([
    prop('#address-cells', [2]),
    prop('#size-cells', [2]),
    node('chosen', vector5, prop('bootargs', tree.bootargs ?? '')),
    ...nodes,
    ...(tree.more ?? []),
  ]);
}

export function numaTree(tree: NumaTree): Fdt {
  return parseFdt(numaBlob(tree));
}

/** What kexec-tools lists: each memory node, and LMBs that touch as one, of whatever nodes. */
export function asKexecToolsLists({ lmbs, inMemoryNodes }: NumaTree): Range[] {
  const ranges: Range[] = [];
  const end = (at: number): bigint => BigInt(at) * LMB;
  let open: { start: number; domain: number | undefined } | undefined;
  for (let at = 0; at <= lmbs.length; at += 1) {
    const domain = lmbs[at];
    const ends = domain === undefined || at === inMemoryNodes || (at < inMemoryNodes && domain !== open?.domain);
    if (open !== undefined && ends) {
      ranges.push({ start: end(open.start), end: end(at) });
      open = undefined;
    }
    if (domain !== undefined) open ??= { start: at, domain };
  }
  return ranges;
}
