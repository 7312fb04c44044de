import { describe, expect, test } from 'vitest';
import { ppc64le } from '../../src/arch/ppc64.js';
import { liveCpusOf } from '../../src/description/live-cpus.js';
import { encodeString, encodeU32 } from '../../src/fdt/cells.js';
import type { DeviceTreeNode, LiveDeviceTree } from '../../src/machine/device-tree.js';
import { thrown } from '../helpers/thrown.js';

const node = (name: string, properties: Record<string, Uint8Array>, children: DeviceTreeNode[] = []): DeviceTreeNode => ({
  name,
  properties: new Map(Object.entries(properties)),
  children,
});
const cpu = (id: number, more: Record<string, Uint8Array> = {}): DeviceTreeNode =>
  node(`PowerPC,POWER9@${id.toString(16)}`, {
    device_type: encodeString('cpu'),
    name: encodeString('PowerPC,POWER9'),
    reg: encodeU32(id),
    ...more,
  });

function live(
  children: DeviceTreeNode[],
  more: Partial<LiveDeviceTree> = {},
  cpus: Record<string, Uint8Array> = { '#address-cells': encodeU32(1) },
): LiveDeviceTree {
  return { root: node('', {}, [node('chosen', {}), node('cpus', cpus, children)]), namesAreMadeUp: true, ...more };
}

describe('the CPU nodes of a live tree', () => {
  test('come by ascending id, with their threads; other nodes are left out', () => {
    const tree = live([cpu(16), node('l2-cache', {}), cpu(8, { 'ibm,ppc-interrupt-server#s': encodeU32(8, 9) })]);
    expect(liveCpusOf(tree, ppc64le, false).map(({ id, threads }) => ({ id, threads }))).toEqual([
      { id: 8, threads: [8, 9] },
      { id: 16, threads: [16] },
    ]);
  });

  test('without a name that may be made up, unless it is asked for', () => {
    const names = (namesAreMadeUp: boolean, keepNames: boolean): string[] | undefined =>
      liveCpusOf(live([cpu(8)], { namesAreMadeUp }), ppc64le, keepNames)[0]?.properties.map(({ name }) => name);
    expect(names(true, false)).toEqual(['device_type', 'reg']);
    expect(names(true, true)).toEqual(['device_type', 'name', 'reg']);
    expect(names(false, false)).toEqual(['device_type', 'name', 'reg']);
  });

  test('have ids of two cells where /cpus does not say', () => {
    expect(liveCpusOf(live([cpu(0, { reg: encodeU32(0, 7) })], {}, {}), ppc64le, false)[0]?.id).toBe(7);
  });
});

describe('a tree without them is not the live tree', () => {
  const remedy = 'give the whole live tree, such as /proc/device-tree';
  test.each([
    [
      'no /cpus',
      { root: node('', {}), namesAreMadeUp: true, source: 'tree' },
      { file: 'tree', segment: '/cpus', found: 'no such node', remedy },
    ],
    ['no CPU below it', live([node('cpu-map', {})]), { segment: '/cpus', found: '1 children, none with device_type "cpu"', remedy }],
  ])('%s', (_, tree, details) => {
    const error = thrown(() => liveCpusOf(tree, ppc64le, false));
    expect(error).toMatchObject({ kind: 'input', problem: 'the device tree has no CPU nodes' });
    expect(error.details).toEqual(details);
  });

  test('a CPU without an id is damage of this tree', () => {
    expect(thrown(() => liveCpusOf(live([cpu(0, { reg: new Uint8Array(2) })], { source: 'tree' }), ppc64le, false))).toMatchObject({
      kind: 'input',
      details: { file: 'tree', segment: '/cpus', found: 'reg of 2 bytes' },
    });
  });
});
