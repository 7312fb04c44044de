import { KdumpError, within } from '../errors.js';
import type { Architecture } from '../arch/architecture.js';
import type { Cpu } from '../arch/cpu-cloning.js';
import { cpuId, cpuIdCells, isCpuType, threadIds } from '../arch/cpu-nodes.js';
import type { Fdt, FdtNode } from '../fdt/fdt.js';

/**
 * The CPU nodes of `/cpus` in their order.
 *
 * @throws KdumpError `input` when there is no /cpus, or a CPU node has no readable `reg`
 */
export function cpusOf(fdt: Fdt, architecture: Architecture): Cpu[] {
  const parent = cpusNode(fdt);
  const cells = addressCells(parent);
  return within({ segment: 'fdt' }, () =>
    parent
      .children()
      .filter((node) => isCpuType(node.property('device_type')))
      .map((node) => {
        const id = cpuId(node.property('reg'), cells, node.name);
        return { node, id, threads: threadIds(node.property(architecture.cpuThreadsProperty ?? ''), id, node.name) };
      }),
  );
}

export function cpusNode(fdt: Fdt): FdtNode {
  const node = fdt.node('/cpus');
  if (node === undefined) throw new KdumpError('input', 'there is no /cpus node', { segment: 'fdt' });
  return node;
}

/** Cells of an id in `reg` of the children of /cpus. @throws KdumpError `input` */
export function addressCells(parent: FdtNode): number {
  return within({ segment: 'fdt' }, () => cpuIdCells(parent.property('#address-cells')));
}
