import { KdumpError, printable } from '../errors.js';
import { readCells, u32At } from '../fdt/cells.js';

/** Whether the kernel takes a node for a CPU's: `device_type` is `cpu` (update_cpus_node in arch/powerpc/kexec/core_64.c). */
export function isCpuType(deviceType: Uint8Array | undefined): boolean {
  return deviceType !== undefined && Buffer.from(deviceType).toString('latin1') === 'cpu\0';
}

/**
 * Cells of a CPU's id, by the `#address-cells` of /cpus: 1, or 2 where ids have 64 bits and where it is absent (Devicetree specification v0.4, sections
 * 2.3.5 and 3.8).
 *
 * @throws KdumpError `input`
 */
export function cpuIdCells(addressCells: Uint8Array | undefined): number {
  if (addressCells === undefined) return 2;
  const cells = addressCells.length === 4 ? u32At(addressCells, 0) : undefined;
  if (cells === 1 || cells === 2) return cells;
  throw new KdumpError('input', '#address-cells of /cpus does not suit CPU ids', {
    found: cells === undefined ? `${addressCells.length} bytes` : String(cells),
    expected: 'one cell, 1 or 2',
  });
}

/** The id in the `reg` of a CPU node, in the first `cells` cells of it. @throws KdumpError `input` */
export function cpuId(reg: Uint8Array | undefined, cells: number, nodeName: string): number {
  if (reg === undefined || reg.length < 4 * cells) {
    throw new KdumpError('input', `CPU node ${printable(nodeName)} has no id`, {
      found: reg === undefined ? 'no reg property' : `reg of ${reg.length} bytes`,
      expected: `reg of ${4 * cells} bytes`,
    });
  }
  const id = Number(readCells(reg, cells, 0));
  if (Number.isSafeInteger(id)) return id;
  throw new KdumpError('input', `CPU node ${printable(nodeName)} has an id above 2^53`);
}

/** The ids in the property that lists a core's threads; the core's own id where there is none. @throws KdumpError `input` */
export function threadIds(list: Uint8Array | undefined, id: number, nodeName: string): number[] {
  if (list === undefined || list.length === 0) return [id];
  if (list.length % 4 !== 0) {
    throw new KdumpError('input', `the threads of CPU node ${printable(nodeName)} are not a list of cells`, {
      found: `${list.length} bytes`,
      expected: 'a multiple of 4',
    });
  }
  return Array.from({ length: list.length / 4 }, (_, index) => u32At(list, index));
}
