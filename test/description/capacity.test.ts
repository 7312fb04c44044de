import { describe, expect, test } from 'vitest';
import { architectureNamed } from '../../src/arch/registry.js';
import { capacityOf } from '../../src/description/capacity.js';
import { parseFdt } from '../../src/fdt/fdt.js';
import type { KdumpImage } from '../../src/image/image.js';
import { buildFdt, cells, node, prop, type Item } from '../fdt/build.js';
import { elfcorehdr, load, note } from '../helpers/elfcorehdr.js';

/** A node of 12 bytes of structure and name, and two properties of 16 and 12 + 4 bytes; its strings are there already. */
const cpu = (id: number, more: Item[] = []): Item => node(`cpu@${id}`, prop('reg', cells(id)), prop('device_type', 'cpu'), ...more);
const CPU_NODE = 4 + 8 + (12 + 4) + (12 + 4) + 4;

/** `slack` free bytes inside totalsize, `behind` bytes of the segment behind it. */
function imageWith(memsz: number, cpus: Item[] | null, slack = 0, behind = 0): KdumpImage {
  const contents = elfcorehdr([note(0x1000n), note(0x2000n), load(0n, 0x1000n)]);
  const image = { architecture: architectureNamed('ppc64le'), elfcorehdr: { segment: { memsz: BigInt(memsz) }, contents } };
  if (cpus === null) return { ...image, fdt: null } as unknown as KdumpImage;
  const tree = buildFdt([node('cpus', prop('#address-cells', cells(1)), ...cpus)]);
  const bytes = Buffer.concat([tree, Buffer.alloc(slack)]);
  bytes.writeUInt32BE(bytes.length, 4);
  const segment = { memsz: BigInt(behind === 0 ? 0 : bytes.length + behind) };
  return { ...image, fdt: { tree: parseFdt(bytes), segment } } as unknown as KdumpImage;
}

describe('the room that is left', () => {
  test('in an elfcorehdr is counted in whole program headers', () => {
    const left = (memsz: number): number => capacityOf(imageWith(memsz, null)).memoryRanges;
    expect([64 + 56 * 3, 64 + 56 * 4 - 1, 64 + 56 * 4, 64 + 56 * 10 + 55].map(left)).toEqual([0, 0, 1, 7]);
    // The table is larger than its segment: no room, not less than none.
    expect(left(64)).toBe(0);
  });

  test('in an FDT is counted in nodes like that of the last CPU', () => {
    const left = (slack: number, behind = 0): number | null =>
      capacityOf(imageWith(4096, [cpu(0, [prop('more', cells(1, 2, 3))]), cpu(1)], slack, behind)).cpus;
    expect([0, CPU_NODE - 4, CPU_NODE, 3 * CPU_NODE].map((slack) => left(slack))).toEqual([0, 0, 1, 3]);
    expect(capacityOf(imageWith(4096, [cpu(0)], CPU_NODE)).cpus).toBe(1);
    // And in the rest of its segment.
    expect([left(0, CPU_NODE), left(CPU_NODE, 2 * CPU_NODE)]).toEqual([1, 3]);
  });

  test('in an FDT is not known without a CPU, nor without an FDT', () => {
    expect(capacityOf(imageWith(4096, []))).toEqual({ memoryRanges: 69, cpus: null });
    expect(capacityOf(imageWith(4096, null))).toEqual({ memoryRanges: 69, cpus: null });
    const withoutCpus = imageWith(4096, []);
    const fdt = { ...withoutCpus.fdt, tree: parseFdt(buildFdt([])) };
    expect(capacityOf({ ...withoutCpus, fdt } as unknown as KdumpImage).cpus).toBeNull();
  });
});
