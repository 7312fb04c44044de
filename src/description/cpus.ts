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

/**
 * Tells which core an id means: the one whose own id or whose thread it is, the first where damage has given it to several. An id of none is
 * that of a core to come: rounded down to the first of its threads where ids go by cores, else itself.
 *
 * @returns the id of the core, as in `reg`
 */
export function coreIds(cores: readonly { readonly id: number; readonly threads: readonly number[] }[], { cpuCloning }: Architecture) {
  const byThread = new Map<number, number>();
  for (const { id, threads } of cores) for (const each of [id, ...threads]) if (!byThread.has(each)) byThread.set(each, id);
  const last = cores.reduce<(typeof cores)[number] | undefined>(
    (best, core) => (best === undefined || core.id > best.id ? core : best),
    undefined,
  );
  const width = cpuCloning?.coresByFirstThread === true ? Math.max(1, last?.threads.length ?? 1) : 1;
  return (id: number): number => byThread.get(id) ?? id - (id % width);
}
