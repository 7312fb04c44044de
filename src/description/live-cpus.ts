import { KdumpError, within } from '../errors.js';
import type { Architecture } from '../arch/architecture.js';
import { cpuId, cpuIdCells, isCpuType, threadIds } from '../arch/cpu-nodes.js';
import type { FdtProperty } from '../fdt/fdt.js';
import type { DeviceTreeNode, LiveDeviceTree } from '../machine/device-tree.js';

export interface LiveCpu {
  readonly node: DeviceTreeNode;
  readonly id: number;
  readonly threads: readonly number[];
  readonly properties: readonly FdtProperty[];
}

/**
 * The CPU nodes of the live tree by ascending id.
 *
 * @param keepNames also keeps a `name` that may be made up, as the kernel does when it copies CPU nodes
 * @throws KdumpError `input` when there are none, or one has no readable id
 */
export function liveCpusOf(live: LiveDeviceTree, architecture: Architecture, keepNames: boolean): LiveCpu[] {
  const surroundings = { segment: '/cpus', ...(live.source === undefined ? {} : { file: live.source }) };
  return within(surroundings, () => readCpus(live, architecture, keepNames));
}

function readCpus(live: LiveDeviceTree, architecture: Architecture, keepNames: boolean): LiveCpu[] {
  const parent = live.root.children.find(({ name }) => name === 'cpus');
  if (parent === undefined) throw noCpus('no such node');
  const nodes = parent.children.filter(({ properties }) => isCpuType(properties.get('device_type')));
  if (nodes.length === 0) throw noCpus(`${parent.children.length} children, none with device_type "cpu"`);
  const cells = cpuIdCells(parent.properties.get('#address-cells'));
  return nodes
    .map((node) => {
      const id = cpuId(node.properties.get('reg'), cells, node.name);
      return {
        node,
        id,
        threads: threadIds(node.properties.get(architecture.cpuThreadsProperty ?? ''), id, node.name),
        properties: propertiesOf(node, keepNames || !live.namesAreMadeUp),
      };
    })
    .sort((a, b) => a.id - b.id);
}

function propertiesOf(node: DeviceTreeNode, keepName: boolean): FdtProperty[] {
  return [...node.properties].filter(([name]) => keepName || name !== 'name').map(([name, value]) => ({ name, value }));
}

function noCpus(found: string): KdumpError {
  return new KdumpError('input', 'the device tree has no CPU nodes', {
    found,
    remedy: 'give the whole live tree, such as /proc/device-tree',
  });
}
