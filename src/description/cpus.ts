import { KdumpError, printable } from '../errors.js';
import type { Architecture } from '../arch/architecture.js';
import type { Cpu } from '../arch/cpu-cloning.js';
import { readCellCounts, readCells, u32At } from '../fdt/cells.js';
import type { Fdt, FdtNode } from '../fdt/fdt.js';

/** Whether the kernel takes a node for a CPU's: `device_type` is `cpu` (update_cpus_node in arch/powerpc/kexec/core_64.c). */
export function isCpuType(deviceType: Uint8Array | undefined): boolean {
  return deviceType !== undefined && Buffer.from(deviceType).toString('latin1') === 'cpu\0';
}

/**
 * The CPU nodes of `/cpus` in their order.
 *
 * @throws KdumpError `input` when there is no /cpus, or a CPU node has no readable `reg`
 */
export function cpusOf(fdt: Fdt, architecture: Architecture): Cpu[] {
  const parent = cpusNode(fdt);
  const cells = addressCells(parent);
  return parent
    .children()
    .filter((node) => isCpuType(node.property('device_type')))
    .map((node) => {
      const id = cpuId(node.property('reg'), cells, node.name);
      return { node, id, threads: threadIds(node.property(architecture.cpuThreadsProperty ?? ''), id, node.name) };
    });
}

export function cpusNode(fdt: Fdt): FdtNode {
  const node = fdt.node('/cpus');
  if (node === undefined) throw new KdumpError('input', 'there is no /cpus node', { segment: 'fdt' });
  return node;
}

/** #address-cells of /cpus: 1, or 2 where ids have 64 bits. @throws KdumpError `input` */
export function addressCells(parent: FdtNode): number {
  const { address } = readCellCounts(parent);
  if (address < 1 || address > 2) {
    throw new KdumpError('input', '#address-cells of /cpus does not suit CPU ids', {
      segment: 'fdt',
      found: String(address),
      expected: '1 or 2',
    });
  }
  return address;
}

/** The id in the `reg` of a CPU node. @throws KdumpError `input` */
export function cpuId(reg: Uint8Array | undefined, cells: number, nodeName: string): number {
  if (reg === undefined || reg.length < 4 * cells) {
    throw new KdumpError('input', `CPU node ${printable(nodeName)} has no id`, {
      segment: 'fdt',
      found: reg === undefined ? 'no reg property' : `reg of ${reg.length} bytes`,
      expected: `reg of ${4 * cells} bytes`,
    });
  }
  const id = Number(readCells(reg, cells, 0));
  if (!Number.isSafeInteger(id)) throw new KdumpError('input', `CPU node ${printable(nodeName)} has an id above 2^53`, { segment: 'fdt' });
  return id;
}

/** The ids in the property that lists a core's threads; the core's own id where there is none. @throws KdumpError `input` */
export function threadIds(list: Uint8Array | undefined, id: number, nodeName: string): number[] {
  if (list === undefined || list.length === 0) return [id];
  if (list.length % 4 !== 0) {
    throw new KdumpError('input', `the threads of CPU node ${printable(nodeName)} are not a list of cells`, {
      segment: 'fdt',
      found: `${list.length} bytes`,
      expected: 'a multiple of 4',
    });
  }
  return Array.from({ length: list.length / 4 }, (_, index) => u32At(list, index));
}
