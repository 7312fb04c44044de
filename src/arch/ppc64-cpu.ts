import { KdumpError, hex, within } from '../errors.js';
import { encodeU32, encodeU32List, readU32, u32At } from '../fdt/cells.js';
import type { FdtNode, FdtProperty } from '../fdt/fdt.js';
import type { CpuCloning, Cpu } from './cpu-cloning.js';
import { cpuId, cpuIdCells, isCpuType } from './cpu-nodes.js';
import { cpuConnectorsOf, cpuNumbering, type CpuNumbering } from './drc-tables.js';

/** Ids of a core's threads. */
export const SERVERS = 'ibm,ppc-interrupt-server#s';

/** CPU nodes of 64-bit PowerPC: one a core, whose threads are its interrupt servers (PAPR+ section B.6.4.1). */
export const ppc64Cpus: CpuCloning = {
  coresByFirstThread: true,

  derive({ name, value }: FdtProperty, template: Cpu, id: number, cpus: FdtNode) {
    switch (name) {
      case SERVERS:
        return {
          value: encodeU32List(cellsOf(value).map((server) => moved(name, server, template, id))),
          derived: 'id of each thread',
        };
      case 'ibm,ppc-interrupt-gserver#s':
        // Pairs of server number and distribution queue.
        return {
          value: encodeU32List(cellsOf(value).map((cell, index) => (index % 2 === 0 ? moved(name, cell, template, id) : cell))),
          derived: 'id of each thread, with the queue of the template',
        };
      case 'ibm,my-drc-index': {
        const { index, how } = drcIndex(cpus, id);
        return { value: encodeU32(index), derived: how };
      }
      case 'ibm,associativity': {
        // The last domain is the CPU itself where firmware numbers them so.
        const cells = cellsOf(value);
        if (cells.at(-1) !== template.id || template.id === 0) return undefined;
        return { value: encodeU32List([...cells.slice(0, -1), id]), derived: 'the last domain is the CPU' };
      }
      default:
        return undefined;
    }
  },
};

function cellsOf(value: Uint8Array): number[] {
  return Array.from({ length: value.length / 4 }, (_, index) => u32At(value, index));
}

function moved(name: string, server: number, template: Cpu, id: number): number {
  const thread = server - template.id;
  if (thread < 0 || thread >= template.threads.length) {
    throw new KdumpError('refused', `cannot derive ${name} of CPU ${id}`, {
      segment: 'fdt',
      found: `server ${hex(server)} in the node of CPU ${template.id}`,
      expected: `${hex(template.id)} and on`,
      remedy: 'give --device-tree, or the value in "properties" of a change file',
    });
  }
  return id + thread;
}

function drcIndex(cpus: FdtNode, id: number): { index: number; how: string } {
  const connector = numberingOf(cpus).connectorOf(id);
  if (connector !== undefined) return connector;
  throw new KdumpError('refused', `cannot derive ibm,my-drc-index of CPU ${id}`, {
    segment: 'fdt',
    found: `no connector named "CPU ${id}" in /cpus, nor one as far from the id as those of the CPUs there`,
    remedy: 'give --device-tree, or the value in "properties" of a change file',
  });
}

/** The tables have an entry for each CPU that can be added, and are looked at for each that is. */
const numberings = new WeakMap<FdtNode, CpuNumbering>();

function numberingOf(cpus: FdtNode): CpuNumbering {
  let numbering = numberings.get(cpus);
  if (numbering === undefined) {
    numbering = within({ segment: 'fdt' }, () => {
      const cells = cpuIdCells(cpus.property('#address-cells'));
      const there = cpus.children().flatMap((node) => {
        const index = isCpuType(node.property('device_type')) ? node.property('ibm,my-drc-index') : undefined;
        return index === undefined ? [] : [{ id: cpuId(node.property('reg'), cells, node.name), index: readU32(index) }];
      });
      return cpuNumbering(
        cpuConnectorsOf((name) => cpus.property(name)),
        there,
      );
    });
    numberings.set(cpus, numbering);
  }
  return numbering;
}
