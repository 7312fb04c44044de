import { KdumpError, hex, within } from '../../errors.js';
import { cpuId, cpuIdCells } from '../../arch/cpu-nodes.js';
import { cpuConnectorsOf, cpuNumbering } from '../../arch/drc-tables.js';
import { readCells, readU32, u32At } from '../../fdt/cells.js';
import { ADDRESS_SPACE_END, rangeOfSize, type Range } from '../../memory/range.js';
import type { DeviceTreeNode } from '../device-tree.js';

/** Children of the root that name the connectors. */
export const DRC_NODES = ['cpus', 'chosen', 'ibm,dynamic-reconfiguration-memory'] as const;

/** Logical memory blocks that follow each other in address and connector. */
interface LmbRun {
  readonly count: number;
  readonly address: bigint;
  readonly index: number;
  readonly flags: number;
}

/** DRCONF_MEM_RESERVED of arch/powerpc/include/asm/drmem.h: not for the operating system, and without a connector of its own. */
const RESERVED = 0x80;
const NO_INDEX = 0xffff_ffff;
const ENTRY_CELLS = 4;

/**
 * The memory blocks of `count` connectors from `index` on, in the order of the device tree (get_lmb_range in
 * arch/powerpc/platforms/pseries/hotplug-memory.c): `ibm,dynamic-memory-v2` or `ibm,dynamic-memory` of /ibm,dynamic-reconfiguration-memory
 * (PAPR+ sections B.6.6.2 and B.6.6.3).
 *
 * @throws KdumpError `refused` when the device tree does not name them; `input` when its tables are damaged
 */
export function memoryOfDrc(root: DeviceTreeNode, index: number, count: number): Range[] {
  const node = root.children.find(({ name }) => name === 'ibm,dynamic-reconfiguration-memory');
  if (node === undefined) throw unknown(index, 'no /ibm,dynamic-reconfiguration-memory in the device tree');
  const size = cellsFrom(root, node, 'ibm,lmb-size', '#size-cells', 1);
  if (size === 0n || (size & (size - 1n)) !== 0n) throw damaged('ibm,lmb-size', hex(size), 'a power of two');
  const runs = lmbRuns(root, node).filter((run) => run.index !== NO_INDEX);
  let at = runs.findIndex((run) => index >= run.index && index < run.index + run.count);
  const first = runs[at];
  if (first === undefined) throw unknown(index, 'no memory block with it in the device tree');
  const blocks: Range[] = [];
  let offset = index - first.index;
  for (let run: LmbRun | undefined = first; run !== undefined && blocks.length < count; run = runs[(at += 1)], offset = 0) {
    if ((run.flags & RESERVED) !== 0) throw unknown(index + blocks.length, 'a memory block that is reserved');
    for (; offset < run.count && blocks.length < count; offset += 1) {
      const start = run.address + BigInt(offset) * size;
      if (start + size > ADDRESS_SPACE_END) throw damaged('ibm,dynamic-memory', hex(start), 'an address below 2^64');
      blocks.push(rangeOfSize(start, size));
    }
  }
  if (blocks.length < count) {
    throw new KdumpError('refused', `there are not ${count} memory blocks from connector ${hex(index)} on`, {
      segment: 'device tree',
      found: String(blocks.length),
    });
  }
  return blocks;
}

/** v2: sets of (count, address, index, associativity, flags). v1: one entry a block, without count and with a reserved cell. */
function lmbRuns(root: DeviceTreeNode, node: DeviceTreeNode): LmbRun[] {
  const v2 = node.properties.get('ibm,dynamic-memory-v2');
  const value = v2 ?? node.properties.get('ibm,dynamic-memory');
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
    return {
      count: v2 === undefined ? 1 : u32At(value, at - 1),
      address: readCells(value, addressCells, at),
      index: u32At(value, at + addressCells),
      flags: u32At(value, 1 + (entry + 1) * width - 1),
    };
  });
}

/**
 * The id, as in `reg`, of the CPU with this connector: that of the node whose `ibm,my-drc-index` it is, or for a CPU that has no node what the
 * connectors in the tables of /cpus show, as far as all nodes that are there agree ({@link cpuNumbering}).
 *
 * @throws KdumpError `refused` when the device tree does not tell; `input` when its tables are damaged
 */
export function cpuOfDrc(root: DeviceTreeNode, index: number): number {
  return within({ segment: 'device tree' }, () => cpuOf(root, index));
}

function cpuOf(root: DeviceTreeNode, index: number): number {
  const cpus = root.children.find(({ name }) => name === 'cpus');
  if (cpus === undefined) throw unknown(index, 'no /cpus in the device tree');
  const cells = cpuIdCells(cpus.properties.get('#address-cells'));
  const nodes = cpus.children.flatMap(({ name, properties }) => {
    const own = properties.get('ibm,my-drc-index');
    return own === undefined ? [] : [{ index: readU32(own), id: cpuId(properties.get('reg'), cells, name) }];
  });
  const node = nodes.find((each) => each.index === index);
  if (node !== undefined) return node.id;
  const connectors = cpuConnectorsOf((name) => cpus.properties.get(name));
  if (connectors.nameOf(index) === undefined) throw unknown(index, 'no CPU connector with it');
  const id = cpuNumbering(connectors, nodes).idOf(index);
  if (id === undefined) {
    throw unknown(index, 'connectors that are neither named after CPU ids nor all as far from them, and no CPU node with it');
  }
  return id;
}

function cellCount({ properties }: DeviceTreeNode, name: string, otherwise: number): number {
  const value = properties.get(name);
  const count = value === undefined ? otherwise : readU32(value);
  if (count < 1 || count > 2) throw damaged(name, String(count), '1 or 2');
  return count;
}

function cellsFrom(root: DeviceTreeNode, node: DeviceTreeNode, property: string, countName: string, otherwise: number): bigint {
  const value = node.properties.get(property);
  const cells = cellCount(root, countName, otherwise);
  if (value?.length !== 4 * cells)
    throw damaged(property, value === undefined ? 'no such property' : `${value.length} bytes`, `${4 * cells} bytes`);
  return readCells(value, cells, 0);
}

function unknown(index: number, found: string): KdumpError {
  return new KdumpError('refused', `cannot resolve connector ${hex(index)}`, {
    segment: 'device tree',
    found,
    remedy: 'give --device-tree with the live tree',
  });
}

function damaged(property: string, found: string, expected: string): KdumpError {
  return new KdumpError('input', `${property} is not as it should be`, { segment: 'device tree', found, expected });
}
