import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { architectureNamed } from '../../src/arch/registry.js';
import { planMemory, type MemoryPlan, type MemoryPlanOptions } from '../../src/plan/plan-memory.js';
import type { KdumpImage } from '../../src/image/image.js';
import type { MemoryChange } from '../../src/machine/change.js';
import { formatRange, rangeOfSize, type Range } from '../../src/memory/range.js';
import { node, prop } from '../fdt/build.js';
import { elfcorehdr, load, note } from '../helpers/elfcorehdr.js';
import { LMB, asKexecToolsLists, numaTree, type NumaTree } from '../helpers/numa-tree.js';
import { thrown } from '../helpers/thrown.js';

// memblock of the running kernel is the model: memory that touches is one region within a node, and two across nodes.

const NOTES = [note(0x1000n), note(0x2000n, 0x10024n)];
const FAR = { start: 0x8000000000n, end: 0x8020000000n };

function imageOf(listed: readonly Range[], tree: NumaTree | null): KdumpImage {
  return {
    architecture: architectureNamed('ppc64le'),
    crashKernel: FAR,
    crashKernelRanges: [FAR],
    elfcorehdr: { contents: elfcorehdr([...NOTES, ...listed.map(({ start, end }) => load(start, end))]) },
    fdt: tree === null ? null : { tree: numaTree(tree) },
  } as unknown as KdumpImage;
}

const blocks = (from: number, count = 1): Range => rangeOfSize(BigInt(from) * LMB, BigInt(count) * LMB);
const add = (memory: Range, inNode?: number): MemoryChange => ({ action: 'add', memory, node: inNode });
const remove = (memory: Range): MemoryChange => ({ action: 'remove', memory });
const plan = (image: KdumpImage, changes: readonly MemoryChange[], options: MemoryPlanOptions = {}): MemoryPlan =>
  planMemory(image, changes, options);
const shown = ({ table }: MemoryPlan): string[] =>
  table
    .toArray()
    .filter(({ type }) => type === 1)
    .map(({ paddr, memsz }) => `${paddr / LMB}-${(paddr + memsz) / LMB - 1n}`);
const codes = ({ findings }: MemoryPlan): string[] => findings.map(({ code }) => code);
const live = (tree: NumaTree): MemoryPlanOptions => {
  const { root } = numaTree(tree);
  const copy = (from: typeof root): NonNullable<MemoryPlanOptions['deviceTree']>['root'] => ({
    name: from.name,
    properties: new Map(from.properties().map(({ name, value }) => [name, value])),
    children: from.children().map(copy),
  });
  return { deviceTree: { root: copy(root), namesAreMadeUp: false } };
};

/** The regions of memblock, `from-to` in LMBs. */
function memblock(lmbs: readonly (number | undefined)[]): string[] {
  const regions: string[] = [];
  for (let at = 0; at < lmbs.length; at += 1) {
    if (lmbs[at] === undefined) continue;
    const start = at;
    while (lmbs[at + 1] === lmbs[start]) at += 1;
    regions.push(`${start}-${at}`);
  }
  return regions;
}

const domains = fc.array(fc.option(fc.nat(3), { nil: undefined, freq: 4 }), { minLength: 2, maxLength: 24 });
const trees = fc.record<NumaTree>({
  lmbs: domains,
  inMemoryNodes: fc.nat(8),
  form: fc.constantFrom(1 as const, 2 as const),
  table: fc.constantFrom('ibm,dynamic-memory' as const, 'ibm,dynamic-memory-v2' as const),
});

describe('memory of four nodes', () => {
  test('every rebuild lists what memblock does, whatever kexec-tools listed', () => {
    fc.assert(
      fc.property(trees, fc.infiniteStream(fc.nat()), fc.constantFrom(undefined, 'linux' as const), (before, random, compat) => {
        const tree = { ...before, inMemoryNodes: Math.min(before.inMemoryNodes, before.lmbs.length) };
        const free = tree.lmbs.flatMap((domain, at) => (domain === undefined && at >= tree.inMemoryNodes ? [at] : []));
        fc.pre(free.length > 0 && tree.lmbs.some((domain) => domain !== undefined));
        const after = [...tree.lmbs];
        const added = free.filter((_, index) => index === 0 || Number(random.next().value) % 2 === 0);
        for (const at of added) after[at] = Number(random.next().value) % 4;
        const image = imageOf(asKexecToolsLists(tree), tree);

        // By the live tree, and by the change itself.
        const byTree = plan(
          image,
          added.map((at) => add(blocks(at))),
          { ...live({ ...tree, lmbs: after }), compat },
        );
        expect(shown(byTree)).toEqual(memblock(after));
        expect(codes(byTree)).toEqual([]);
        const byChange = plan(
          image,
          added.map((at) => add(blocks(at), after[at])),
          { compat },
        );
        expect(shown(byChange)).toEqual(memblock(after));
        expect(codes(byChange)).toEqual([]);

        // Removing what was added gives the list of memblock before.
        const changed = { ...image, elfcorehdr: { contents: elfcorehdr(byTree.table.toArray()) } } as unknown as KdumpImage;
        const back = plan(
          changed,
          added.map((at) => remove(blocks(at))),
          live({ ...tree, lmbs: after }),
        );
        expect(shown(back)).toEqual(memblock(tree.lmbs));
      }),
    );
  });

  const FOUR: NumaTree = { lmbs: [0, 0, 1, 1, 1, 2, undefined, undefined], inMemoryNodes: 3, form: 2, table: 'ibm,dynamic-memory-v2' };

  test('a memory node and LMBs are joined, LMBs of two nodes taken apart, in an image as kexec-tools lists it', () => {
    const listed = [blocks(3, 3), blocks(2), blocks(0, 2)];
    expect(shown(plan(imageOf(listed, FOUR), [add(blocks(100), 3)]))).toEqual(['0-1', '2-4', '5-5', '100-100']);
  });

  test('nothing is listed anew where nothing changes', () => {
    const image = imageOf([blocks(3, 3), blocks(2), blocks(0, 2)], FOUR);
    expect(shown(plan(image, [add(blocks(4))]))).toEqual(['3-5', '2-2', '0-1']);
  });

  test('one range of several nodes is taken apart', () => {
    const after = live({ ...FOUR, lmbs: [0, 0, 1, 1, 1, 2, 2, 3] });
    expect(shown(plan(imageOf([blocks(0, 2), blocks(2, 4)], FOUR), [add(blocks(6, 2))], after))).toEqual(['0-1', '2-4', '5-6', '7-7']);
  });

  test('what was added before is of the node of the range that it became part of', () => {
    const image = imageOf([blocks(0, 2), blocks(2, 3), blocks(5, 2)], FOUR);
    const result = plan(image, [add(blocks(7), 2)]);
    expect(shown(result)).toEqual(['0-1', '2-4', '5-7']);
    expect(codes(result)).toEqual([]);
  });
});

describe('memory whose node is not known', () => {
  const TWO: NumaTree = { lmbs: [0, 0, 1, 1, undefined, undefined, undefined], inMemoryNodes: 4, form: 2, table: 'ibm,dynamic-memory-v2' };
  const listed = [blocks(0, 2), blocks(2, 2)];

  test('becomes one with what it touches, and that is said', () => {
    const result = plan(imageOf(listed, TWO), [add(blocks(4))]);
    expect(shown(result)).toEqual(['0-1', '2-4']);
    expect(result.findings).toMatchObject([{ severity: 'info', code: 'node-assumed' }]);
    expect(result.findings[0]?.message).toContain('0x20000000-0x4fffffff is listed as one');
    expect(result.findings[0]?.message).toContain('adjacent at 0x40000000');
  });

  test('of two nodes that it touches, with the lower one', () => {
    const tree: NumaTree = { ...TWO, lmbs: [0, 0, undefined, 1, 1] };
    const image = imageOf([blocks(0, 2), blocks(3, 2)], { ...tree, inMemoryNodes: 2 });
    expect(shown(plan(image, [add(blocks(2))]))).toEqual(['0-2', '3-4']);
  });

  test('apart from all others nothing is assumed', () => {
    expect(codes(plan(imageOf(listed, TWO), [add(blocks(10))]))).toEqual([]);
  });

  test('what is listed apart though it touches stays apart, and is not of that node', () => {
    const image = imageOf([...listed, blocks(4)], TWO);
    const ofNode1 = plan(image, [add(blocks(5), 1)]);
    expect(shown(ofNode1)).toEqual(['0-1', '2-3', '4-4', '5-5']);
    expect(codes(ofNode1)).toEqual([]);
    const ofNode0 = plan(image, [add(blocks(5), 0)]);
    expect(shown(ofNode0)).toEqual(['0-1', '2-3', '4-5']);
    expect(codes(ofNode0)).toEqual(['node-assumed']);
  });

  test('one node in the whole tree is that of all', () => {
    const one: NumaTree = { ...TWO, lmbs: [5, 5, 5, 5, undefined] };
    const result = plan(imageOf([blocks(0, 2), blocks(2, 2)], one), [add(blocks(4))]);
    expect(shown(result)).toEqual(['0-4']);
    expect(codes(result)).toEqual([]);
  });

  test('memory blocks and the monitor say it before any tree', () => {
    const memoryNodes = () => [{ range: blocks(4, 2), node: 0 }];
    const result = plan(imageOf(listed, TWO), [add(blocks(4))], { ...live({ ...TWO, lmbs: [0, 0, 1, 1, 1] }), memoryNodes });
    expect(shown(result)).toEqual(['0-1', '2-3', '4-4']);
  });

  test('what was taken offline and comes back is of the node that the image knows', () => {
    const image = imageOf([blocks(0, 2), blocks(2, 2)], TWO);
    const result = plan(image, [remove(blocks(1)), add(blocks(1))]);
    expect(shown(result)).toEqual(['0-1', '2-3']);
    expect(codes(result)).toEqual([]);
  });

  test('x86_64 keeps all apart, and says nothing', () => {
    const image = { ...imageOf(listed, null), architecture: architectureNamed('x86_64') };
    const result = plan(image, [add(blocks(4))]);
    expect(shown(result)).toEqual(['0-1', '2-3', '4-4']);
    expect(codes(result)).toEqual([]);
  });
});

describe('coherent device memory', () => {
  const GPU = node('memory@4000000000', prop('compatible', 'ibm,coherent-device-memory'), prop('reg', [0x40, 0, 4, 0]));
  const TREE: NumaTree = { lmbs: [0, 0], inMemoryNodes: 2, form: 1, table: 'ibm,dynamic-memory', more: [GPU] };
  const part = rangeOfSize(0x4000000000n, 0x10000000n);

  test.each([
    ['the FDT of the image', TREE, {}],
    ['the live tree', { ...TREE, more: [] }, live(TREE)],
    ['both, with --compat linux', TREE, { ...live(TREE), compat: 'linux' as const }],
  ])('that %s names is added with force only', (_, tree, options) => {
    const image = imageOf([blocks(0, 2)], tree);
    expect(thrown(() => plan(image, [add(part)], options))).toMatchObject({
      kind: 'refused',
      details: { forcible: true, found: expect.stringContaining('coherent device memory 0x4000000000-0x43ffffffff') as string },
    });
    expect(
      plan(image, [add(part)], { ...options, force: true })
        .table.toArray()
        .at(-1),
    ).toMatchObject({ paddr: part.start });
    expect(formatRange(part)).toBe('0x4000000000-0x400fffffff');
  });
});
