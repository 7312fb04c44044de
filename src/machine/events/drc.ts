import { KdumpError, hex, within } from '../../errors.js';
import { cpuId, cpuIdCells } from '../../arch/cpu-nodes.js';
import { cpuConnectorsOf, cpuNumbering } from '../../arch/drc-tables.js';
import { LMB_NODE, LMB_RESERVED, lmbRange, lmbTableOf, type LmbRun } from '../../arch/lmb-table.js';
import { readU32 } from '../../fdt/cells.js';
import type { Range } from '../../memory/range.js';
import type { DeviceTreeNode } from '../device-tree.js';
import { treeNode } from '../tree-node.js';

/** Children of the root that name the connectors. */
export const DRC_NODES: readonly string[] = ['cpus', 'chosen', LMB_NODE];

const NO_INDEX = 0xffff_ffff;

/**
 * The memory blocks of `count` connectors from `index` on, in the order of the device tree (get_lmb_range in
 * arch/powerpc/platforms/pseries/hotplug-memory.c): `ibm,dynamic-memory-v2` or `ibm,dynamic-memory` of /ibm,dynamic-reconfiguration-memory
 * (PAPR+ sections B.6.6.2 and B.6.6.3).
 *
 * @throws KdumpError `refused` when the device tree does not name them; `input` when its tables are damaged
 */
export function memoryOfDrc(root: DeviceTreeNode, index: number, count: number): Range[] {
  const table = lmbTableOf(treeNode(root));
  if (table === undefined) throw unknown(index, 'no /ibm,dynamic-reconfiguration-memory in the device tree');
  const runs = table.runs.filter((run) => run.index !== NO_INDEX);
  let at = runs.findIndex((run) => index >= run.index && index < run.index + run.count);
  const first = runs[at];
  if (first === undefined) throw unknown(index, 'no memory block with it in the device tree');
  const blocks: Range[] = [];
  let offset = index - first.index;
  for (let run: LmbRun | undefined = first; run !== undefined && blocks.length < count; run = runs[(at += 1)], offset = 0) {
    if ((run.flags & LMB_RESERVED) !== 0) throw unknown(index + blocks.length, 'a memory block that is reserved');
    for (; offset < run.count && blocks.length < count; offset += 1) blocks.push(lmbRange(table, run, offset, 1));
  }
  if (blocks.length < count) {
    throw new KdumpError('refused', `there are not ${count} memory blocks from connector ${hex(index)} on`, {
      segment: 'device tree',
      found: String(blocks.length),
    });
  }
  return blocks;
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

function unknown(index: number, found: string): KdumpError {
  return new KdumpError('refused', `cannot resolve connector ${hex(index)}`, {
    segment: 'device tree',
    found,
    remedy: 'give --device-tree with the live tree',
  });
}
