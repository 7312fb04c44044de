import { describe, expect, test } from 'vitest';
import { ppc64, ppc64le } from '../../src/arch/ppc64.js';
import { ppc64Cpus } from '../../src/arch/ppc64-cpu.js';
import { parseFdt, type FdtNode } from '../../src/fdt/fdt.js';
import { buildFdt, cells, node, prop, type Item } from '../fdt/build.js';
import { thrown } from '../helpers/thrown.js';

const names = (...list: string[]): Uint8Array => Buffer.concat([cells(list.length), Buffer.from(list.map((name) => `${name}\0`).join(''))]);

/** /cpus with two cores of four threads and a connector for each of four. */
function cpus(drcIndex = 0x10000004, ...more: Item[]): { parent: FdtNode; template: Parameters<typeof ppc64Cpus.derive>[1] } {
  const fdt = parseFdt(
    buildFdt([
      node(
        'cpus',
        prop('#address-cells', cells(1)),
        prop('ibm,drc-names', names('CPU 0', 'CPU 4', 'CPU 8', 'CPU 12')),
        prop('ibm,drc-indexes', cells(4, 0x10000000, 0x10000004, 0x10000008, 0x1000000c)),
        prop('ibm,drc-types', names('CPU', 'CPU', 'CPU', 'CPU')),
        ...more,
        node('PowerPC,POWER9@4', prop('device_type', 'cpu'), prop('reg', cells(4)), prop('ibm,my-drc-index', cells(drcIndex))),
      ),
    ]),
  );
  const parent = fdt.node('/cpus');
  const template = parent?.children()[0];
  if (parent === undefined || template === undefined) throw new Error('no /cpus');
  return { parent, template: { node: template, id: 4, threads: [4, 5, 6, 7] } };
}

describe('the node of a new CPU', () => {
  const derive = (name: string, value: Uint8Array, id = 12): number[] | undefined => {
    const { parent, template } = cpus();
    const derived = ppc64Cpus.derive({ name, value }, template, id, parent);
    if (derived === undefined) return undefined;
    const bytes = Buffer.from(derived.value);
    return Array.from({ length: bytes.length / 4 }, (_, index) => bytes.readUInt32BE(4 * index));
  };

  test('its threads are numbered after it', () => {
    expect(derive('ibm,ppc-interrupt-server#s', cells(4, 5, 6, 7))).toEqual([12, 13, 14, 15]);
    expect(derive('ibm,ppc-interrupt-gserver#s', cells(4, 0, 5, 0))).toEqual([12, 0, 13, 0]);
  });

  test('its connector is the one that the tables name after it', () => {
    expect(derive('ibm,my-drc-index', cells(0x10000004))).toEqual([0x1000000c]);
    expect(derive('ibm,my-drc-index', cells(0x10000004), 8)).toEqual([0x10000008]);
  });

  test('its last associativity domain follows it where the template’s did', () => {
    expect(derive('ibm,associativity', cells(4, 0, 0, 0, 4))).toEqual([4, 0, 0, 0, 12]);
    expect(derive('ibm,associativity', cells(4, 0, 0, 0, 9))).toBeUndefined();
  });

  test('anything else stays as it is', () => {
    expect(derive('clock-frequency', cells(4))).toBeUndefined();
    expect(derive('ibm,pa-features', cells(4, 4, 4))).toBeUndefined();
  });

  test('what cannot be derived is refused, with what to do', () => {
    const refusal = (name: string, value: Uint8Array, id: number, drcIndex?: number): void => {
      const { parent, template } = cpus(drcIndex);
      const error = thrown(() => ppc64Cpus.derive({ name, value }, template, id, parent));
      expect(error).toMatchObject({ kind: 'refused' });
      expect(error.message).toContain('give --device-tree');
    };
    refusal('ibm,my-drc-index', cells(0x10000004), 16);
    // The connectors are not named after ids.
    refusal('ibm,my-drc-index', cells(0x10000000), 12, 0x10000000);
    refusal('ibm,ppc-interrupt-server#s', cells(64), 12);
  });
});

describe('firmware memory', () => {
  const firmware = (...items: Item[]): [bigint, bigint][] =>
    (ppc64le.firmware?.(parseFdt(buildFdt(items))) ?? []).map(({ start, end }) => [start, end - start]);

  test('RTAS in words and OPAL in double words, unrounded', () => {
    expect(firmware(node('rtas', prop('linux,rtas-base', cells(0x2fff0000)), prop('rtas-size', cells(0x89c))))).toEqual([
      [0x2fff0000n, 0x89cn],
    ]);
    expect(
      firmware(node('ibm,opal', prop('opal-base-address', cells(1, 0x30000000)), prop('opal-runtime-size', cells(0, 0x2c00000)))),
    ).toEqual([[0x130000000n, 0x2c00000n]]);
  });

  test('none', () => {
    expect(firmware()).toEqual([]);
    expect(firmware(node('rtas', prop('linux,rtas-base', cells(1))))).toEqual([]);
    expect(firmware(node('rtas', prop('linux,rtas-base', cells(1)), prop('rtas-size', cells(0))))).toEqual([]);
  });
});

test('the room that kexec-tools reserves for hotplug is that of the captured guests with 8 possible CPUs', () => {
  // memsz 0x71000 with 4 KiB pages, 0x80000 with 64 KiB.
  const reserved = ppc64.hotplugReservation?.(8) ?? 0n;
  const pages = (size: bigint): bigint => ((reserved + size - 1n) / size) * size;
  expect(reserved % 1024n).toBe(0n);
  expect(pages(0x1000n)).toBe(0x71000n);
  expect(pages(0x10000n)).toBe(0x80000n);
});
