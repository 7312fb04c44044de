import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { coherentDeviceMemory, memoryNodes } from '../../src/arch/ppc64-memory.js';
import { parseFdt } from '../../src/fdt/fdt.js';
import type { TreeNode } from '../../src/fdt/tree-node.js';
import { formatRange } from '../../src/memory/range.js';
import { buildFdt, node, prop, type Item } from '../fdt/build.js';
import { numaTree, type NumaTree } from '../helpers/numa-tree.js';
import { has, scratchFolder } from '../helpers/run.js';
import { thrown } from '../helpers/thrown.js';

const shown = (root: TreeNode, of: 'machine' | 'image' = 'image'): unknown => {
  const nodes = memoryNodes(root, of);
  return nodes && { ranges: nodes.ranges.map(({ range, node: number }) => `${formatRange(range)} ${number}`), only: nodes.only };
};
const FOUR: NumaTree = { lmbs: [0, 0, 1, 2, 2, undefined, 3, 3], inMemoryNodes: 4, form: 1, table: 'ibm,dynamic-memory-v2' };
const treeOf = (change: Partial<NumaTree>): TreeNode => numaTree({ ...FOUR, ...change }).root;

describe('NUMA nodes of memory', () => {
  describe.each([0, 1, 2] as const)('form %d', (form) => {
    test.each(['ibm,dynamic-memory', 'ibm,dynamic-memory-v2'] as const)('of memory nodes and %s', (table) => {
      expect(shown(treeOf({ form, table }))).toEqual({
        ranges: ['0x0-0x1fffffff 0', '0x20000000-0x2fffffff 1', '0x30000000-0x4fffffff 2', '0x60000000-0x7fffffff 3'],
        only: undefined,
      });
    });
  });

  test('one in the whole tree, of which the memory of no node is, too', () => {
    expect(shown(treeOf({ lmbs: [2, 2, 2, undefined, 2] }))).toEqual({ ranges: ['0x0-0x2fffffff 2', '0x40000000-0x4fffffff 2'], only: 2 });
  });

  test('a CPU of another node is another node', () => {
    const cpu = (domain: number): Item => node('cpus', node('PowerPC,POWER9@0', prop('ibm,associativity', [5, 0, 0, 0, domain, 0])));
    expect(memoryNodes(treeOf({ lmbs: [2, 2], more: [cpu(2)] }), 'image')?.only).toBe(2);
    expect(memoryNodes(treeOf({ lmbs: [2, 2], more: [cpu(1)] }), 'image')?.only).toBeUndefined();
  });

  test('0xffff is none', () => {
    expect(shown(treeOf({ lmbs: [0, 0, 0, 0, 0xffff] }))).toEqual({ ranges: ['0x0-0x3fffffff 0'], only: 0 });
  });

  test('without reference points all is of node 0, as the kernel has it', () => {
    const { root } = parseFdt(buildFdt([node('memory@0', prop('reg', [0, 0, 0, 0x10000000]), prop('ibm,associativity', [1, 5]))]));
    expect(shown(root)).toEqual({ ranges: [], only: 0 });
  });

  test('a tree of before form 1 or 2 was agreed on: the first reference point', () => {
    const { root } = parseFdt(
      buildFdt([
        prop('#size-cells', [2]),
        node('chosen', prop('ibm,architecture-vec-5', Uint8Array.of(0, 0))),
        node('rtas', prop('ibm,associativity-reference-points', [4, 3, 2, 1])),
        node('memory@0', prop('reg', [0, 0, 0, 0x10000000]), prop('ibm,associativity', [4, 0, 0, 0, 5])),
      ]),
    );
    expect(shown(root)).toEqual({ ranges: ['0x0-0xfffffff 5'], only: 5 });
  });

  test.each([
    ['numa=off', { ranges: [], only: 0 }],
    ['ro numa=fake=1G quiet', { ranges: [], only: undefined }],
  ])('the running kernel was told %s; what the capture kernel is told does not matter', (bootargs, expected) => {
    expect(shown(treeOf({ bootargs }), 'machine')).toEqual(expected);
    expect(shown(treeOf({ bootargs }), 'image')).toEqual(shown(treeOf({})));
  });

  test('a copy of /cpus alone says nothing about memory', () => {
    expect(shown(parseFdt(buildFdt([node('cpus'), node('rtas')])).root, 'machine')).toBeUndefined();
    expect(shown(parseFdt(buildFdt([node('cpus'), node('memory@0')])).root, 'machine')).toBeUndefined();
  });

  test('a tree that gives one address two nodes tells nothing', () => {
    const twice = node('memory@8000000', prop('reg', [0, 0x8000000, 0, 0x10000000]), prop('ibm,associativity', [4, 0, 0, 7, 3]));
    expect(shown(treeOf({ more: [twice] }))).toEqual({ ranges: [], only: undefined });
  });

  test.each([
    ['ibm,associativity-lookup-arrays', [0xffffffff, 0xffffffff]],
    ['ibm,dynamic-memory', [2, 0]],
    ['ibm,lmb-size', [0, 0x30000000]],
  ])('a damaged %s is named', (name, value) => {
    const { root } = parseFdt(
      buildFdt([
        prop('#size-cells', [2]),
        node('rtas', prop('ibm,associativity-reference-points', [1])),
        node('ibm,dynamic-reconfiguration-memory', prop(name, value), prop('ibm,lmb-size', [0, 0x10000000])),
      ]),
    );
    expect(thrown(() => memoryNodes(root, 'image'))).toMatchObject({ kind: 'input', problem: `${name} is not as it should be` });
  });
});

describe('coherent device memory', () => {
  test('is what a memory node says that it is', () => {
    const gpu = node('memory@4000000000', prop('compatible', 'ibm,coherent-device-memory'), prop('reg', [0x40, 0, 4, 0]));
    expect(coherentDeviceMemory(treeOf({})).map(formatRange)).toEqual([]);
    expect(coherentDeviceMemory(treeOf({ more: [gpu] })).map(formatRange)).toEqual(['0x4000000000-0x43ffffffff']);
  });
});

const QEMU = 'qemu-system-ppc64';

describe.skipIf(!has(QEMU))('the tree that QEMU makes', () => {
  const folder = scratchFolder();

  test.each(['pseries', 'pseries-5.2'])('of a %s with four nodes', (machine) => {
    const dtb = join(folder, `${machine}.dtb`);
    const nodes = [0, 1, 2, 3].flatMap((each) => [
      ...['-object', `memory-backend-ram,id=m${each},size=${each === 2 ? 512 : 256}M`],
      ...['-numa', `node,memdev=m${each}`],
    ]);
    const { stderr } = spawnSync(
      QEMU,
      ['-M', `${machine},dumpdtb=${dtb}`, '-m', '1280M', '-smp', '4', '-display', 'none', '-nodefaults', ...nodes],
      {
        encoding: 'utf8',
      },
    );
    expect(stderr).toContain('dtb dumped');
    expect(shown(parseFdt(readFileSync(dtb)).root)).toEqual({
      ranges: ['0x0-0xfffffff 0', '0x10000000-0x1fffffff 1', '0x20000000-0x3fffffff 2', '0x40000000-0x4fffffff 3'],
      only: undefined,
    });
  });
});
