import { describe, expect, test } from 'vitest';
import type { ArchitectureName } from '../../src/arch/architecture.js';
import { architectureNamed } from '../../src/arch/registry.js';
import { encodeString } from '../../src/fdt/cells.js';
import { editFdt } from '../../src/fdt/edit/edit.js';
import { parseFdt, type Fdt, type FdtNode } from '../../src/fdt/fdt.js';
import type { KdumpImage } from '../../src/image/image.js';
import type { CpuChange } from '../../src/machine/change.js';
import type { DeviceTreeNode, LiveDeviceTree } from '../../src/machine/device-tree.js';
import { planCpus, type CpuPlan, type CpuPlanOptions } from '../../src/plan/plan-cpus.js';
import { buildFdt, cells, node, prop, type Item } from '../fdt/build.js';
import { thrown } from '../helpers/thrown.js';

const SERVERS = 'ibm,ppc-interrupt-server#s';

/** An image whose FDT has these items in /cpus. Planning CPUs looks at nothing else of it. */
function imageWith(items: readonly Item[], name: ArchitectureName = 'ppc64le'): KdumpImage {
  const tree = parseFdt(buildFdt([node('cpus', prop('#address-cells', cells(1)), prop('#size-cells', cells(0)), ...items)]));
  return { architecture: architectureNamed(name), fdt: { tree } } as unknown as KdumpImage;
}

/** A core of two threads. */
const core = (id: number, ...more: Item[]): Item =>
  node(
    `PowerPC,POWER9@${id.toString(16)}`,
    prop('device_type', 'cpu'),
    prop('reg', cells(id)),
    prop(SERVERS, cells(id, id + 1)),
    prop('clock-frequency', cells(1000)),
    ...more,
  );

const add = (id: number, properties?: Record<string, Uint8Array>): CpuChange => ({
  action: 'add',
  cpu: { id, ...(properties === undefined ? {} : { properties: new Map(Object.entries(properties)) }) },
});
const remove = (id: number): CpuChange => ({ action: 'remove', cpu: { id } });

/** The FDT once `changes` are made, and what the plan says of them. */
function planned(image: KdumpImage, changes: readonly CpuChange[], options: CpuPlanOptions = {}): CpuPlan & { fdt: Fdt } {
  const plan = planCpus(image, changes, options);
  const { tree } = image.fdt as NonNullable<KdumpImage['fdt']>;
  return { ...plan, fdt: parseFdt(editFdt(tree, plan.edits, { capacity: 0x10000 }).bytes) };
}

const cpusIn = (fdt: Fdt): string[] =>
  fdt
    .node('/cpus')
    ?.children()
    .map(({ name }) => name) ?? [];
const cpuIn = (fdt: Fdt, name: string): FdtNode => fdt.node(`/cpus/${name}`) ?? expect.fail(`no ${name}`);
/** The properties of a node in their order, values in hexadecimal. */
const propertiesIn = (fdt: Fdt, name: string): string[] =>
  cpuIn(fdt, name)
    .properties()
    .map((property) => `${property.name}=${Buffer.from(property.value).toString('hex')}`);
const refusal = (image: KdumpImage, changes: readonly CpuChange[], options: CpuPlanOptions = {}): string => {
  const error = thrown(() => planCpus(image, changes, options));
  expect(error).toMatchObject({ kind: 'refused', details: { segment: 'fdt' } });
  return error.message;
};

const two = imageWith([core(0), core(8)]);

describe('nothing to plan', () => {
  test('without changes', () => {
    expect(planCpus(two, [], {})).toEqual({ edits: [], effects: [], derived: [], cpus: [] });
  });

  test('without an FDT', () => {
    const plan = planCpus({ ...two, fdt: null }, [add(16), remove(8)], {});
    expect(plan).toEqual({ edits: [], effects: Array(2).fill({ made: false, reason: '' }), derived: [], cpus: [] });
  });

  test.each([8, 9])('for CPU %d, which a node has', (id) => {
    expect(planned(two, [add(id)])).toMatchObject({
      edits: [],
      effects: [{ made: false, reason: 'it is in the FDT already (PowerPC,POWER9@8)' }],
    });
  });
});

describe('a node made after another CPU’s', () => {
  test('comes behind the last one, and is that of the core that the thread is in', () => {
    const { fdt, effects } = planned(two, [add(17)]);
    expect(effects).toEqual([{ made: true, reason: '' }]);
    expect(cpusIn(fdt)).toEqual(['PowerPC,POWER9@0', 'PowerPC,POWER9@8', 'PowerPC,POWER9@10']);
    expect(propertiesIn(fdt, 'PowerPC,POWER9@10')).toEqual([
      'device_type=63707500',
      'reg=00000010',
      `${SERVERS}=0000001000000011`,
      'clock-frequency=000003e8',
    ]);
  });

  test('is made after the CPU with the highest id, wherever its node is', () => {
    const { fdt, derived } = planned(imageWith([core(8, prop('own', cells(8))), core(0, prop('own', cells(0)))]), [add(16)]);
    expect(propertiesIn(fdt, 'PowerPC,POWER9@10')).toContain('own=00000008');
    expect(derived.at(-1)).toEqual({ node: 'PowerPC,POWER9@10', property: 'all others', how: 'copied from PowerPC,POWER9@8' });
  });

  test('says how each value was derived', () => {
    const { derived } = planned(imageWith([core(0, prop('phandle', cells(7)), prop('name', 'PowerPC,POWER9'))]), [add(2)]);
    expect(derived.map(({ property, how }) => `${property}: ${how}`)).toEqual([
      'unit address: the CPU id',
      'reg: the CPU id',
      `${SERVERS}: id of each thread`,
      'phandle: left out: nothing refers to the new node',
      'name: the name of the node',
      'all others: copied from PowerPC,POWER9@0',
    ]);
  });

  test('names what is copied and may have to differ: where the CPU is, and what differs between those that are there', () => {
    const noted = (...cores: Item[]): string[] =>
      planned(imageWith(cores), [add(16)])
        .derived.filter(({ how }) => how === 'copied from PowerPC,POWER9@8, and may have to differ')
        .map(({ property }) => property);
    const place = (cache: number): Item[] => [prop('l2-cache', cells(cache)), prop('own', cells(cache)), prop('same', cells(1))];
    expect(noted(core(0, ...place(1)), core(8, ...place(2)))).toEqual(['l2-cache', 'own']);
    expect(noted(core(0), core(8, prop('ibm,associativity', cells(4, 0, 0, 0, 8)), prop('new', cells(1))))).toEqual(['new']);
    expect(noted(core(8, prop('ibm,associativity', cells(4, 0, 0, 0, 1)), prop('same', cells(1))))).toEqual(['ibm,associativity']);
  });

  test('has what a change gives for it, in the place of the template’s or at the end', () => {
    const { fdt, derived } = planned(two, [add(16, { reg: cells(99), extra: cells(1), phandle: cells(5) })]);
    expect(propertiesIn(fdt, 'PowerPC,POWER9@10')).toEqual([
      'device_type=63707500',
      'reg=00000063',
      `${SERVERS}=0000001000000011`,
      'clock-frequency=000003e8',
      'extra=00000001',
      'phandle=00000005',
    ]);
    expect(derived.map(({ property }) => property)).not.toContain('reg');
  });

  test('has the template’s children, without phandles at any depth', () => {
    const cache = node('l2-cache', prop('phandle', cells(3)), prop('size', cells(4)), node('inner', prop('linux,phandle', cells(9))));
    const { fdt } = planned(imageWith([core(0, cache)]), [add(2)]);
    const copy = cpuIn(fdt, 'PowerPC,POWER9@2').child('l2-cache');
    expect(copy?.properties().map(({ name }) => name)).toEqual(['size']);
    expect(copy?.child('inner')?.properties()).toEqual([]);
  });

  test('of a template whose name has no unit address', () => {
    const template = node('cpu', prop('device_type', 'cpu'), prop('reg', cells(0)), prop('name', 'cpu'));
    const { fdt } = planned(imageWith([template], 'riscv64'), [add(3)]);
    expect(cpusIn(fdt)).toEqual(['cpu', 'cpu@3']);
    expect(propertiesIn(fdt, 'cpu@3')).toEqual(['device_type=63707500', 'reg=00000003', 'name=63707500']);
  });

  test('is refused where there is no CPU to make it after, or ids do not go by cores', () => {
    expect(refusal(imageWith([node('cpu-map')]), [add(0)])).toContain('no CPU node to make it after, expected one; give --device-tree');
    expect(refusal(imageWith([core(0), core(3)]), [add(8)])).toContain(
      'CPU ids that are not multiples of 2, the threads of a core, expected such multiples; give --device-tree',
    );
  });
});

describe('properties given for a CPU that is there', () => {
  test('replace its own and come behind them', () => {
    const { fdt, effects } = planned(two, [add(8, { 'clock-frequency': cells(2000), extra: cells(1) })]);
    expect(effects).toEqual([{ made: true, reason: '' }]);
    expect(propertiesIn(fdt, 'PowerPC,POWER9@8').slice(3)).toEqual(['clock-frequency=000007d0', 'extra=00000001']);
    expect(propertiesIn(fdt, 'PowerPC,POWER9@0')).toHaveLength(4);
  });

  test('change nothing where they are its own', () => {
    expect(planned(two, [add(8, { 'clock-frequency': cells(1000) })])).toMatchObject({
      edits: [],
      effects: [{ made: false, reason: 'it is in the FDT already (PowerPC,POWER9@8)' }],
    });
  });

  test('add up, for one that is there and for one that is added before', () => {
    for (const [changes, name] of [
      [[add(8, { a: cells(1) }), add(9, { b: cells(2) })], 'PowerPC,POWER9@8'],
      [[add(16, { a: cells(1) }), add(17, { b: cells(2) })], 'PowerPC,POWER9@10'],
    ] as const) {
      const { fdt, effects } = planned(two, changes);
      expect(effects.map(({ made }) => made)).toEqual([true, true]);
      expect(propertiesIn(fdt, name).slice(4)).toEqual(['a=00000001', 'b=00000002']);
    }
  });
});

describe('a removed CPU', () => {
  test('keeps its node, unless nodes are pruned', () => {
    expect(planned(two, [remove(9)])).toMatchObject({
      edits: [],
      effects: [{ made: false, reason: 'the node PowerPC,POWER9@8 stays, as the kernel leaves it; --prune-cpus deletes it' }],
    });
    const { fdt, effects } = planned(two, [remove(9)], { pruneCpus: true });
    expect(effects).toEqual([{ made: true, reason: '' }]);
    expect(cpusIn(fdt)).toEqual(['PowerPC,POWER9@0']);
  });

  test('that was added before leaves nothing, not even how it was derived', () => {
    expect(planned(two, [add(16), remove(17)], { pruneCpus: true })).toMatchObject({ edits: [], derived: [] });
  });

  test('that is not there, or the last one, is refused', () => {
    expect(refusal(two, [remove(4)])).toContain('cannot remove CPU 4: found no such CPU in the FDT, expected one of 0, 1, 8, 9');
    expect(refusal(two, [remove(0), remove(8)], { pruneCpus: true })).toContain('cannot remove CPU 8: found the last CPU of the FDT');
  });
});

describe('a live tree', () => {
  const live = (...children: DeviceTreeNode[]): LiveDeviceTree => ({
    root: {
      name: '',
      properties: new Map(),
      children: [{ name: 'cpus', properties: new Map([['#address-cells', cells(1)]]), children }],
    },
    namesAreMadeUp: true,
  });
  /** The live node of a core, with `more` properties in front. */
  const liveCore = (id: number, more: Record<string, Uint8Array> = {}, children: DeviceTreeNode[] = []): DeviceTreeNode => ({
    name: `PowerPC,POWER9@${id.toString(16)}`,
    properties: new Map(
      Object.entries({
        ...more,
        'clock-frequency': cells(1000),
        device_type: encodeString('cpu'),
        [SERVERS]: cells(id, id + 1),
        name: encodeString('PowerPC,POWER9'),
        reg: cells(id),
      }),
    ),
    children,
  });
  const withTree = (...children: DeviceTreeNode[]): CpuPlanOptions => ({ deviceTree: live(...children) });

  test('brings all CPUs that it has and the FDT has not, and takes away the others', () => {
    const { fdt, effects } = planned(two, [add(16)], withTree(liveCore(8), liveCore(16), liveCore(24)));
    expect(effects).toEqual([{ made: true, reason: '' }]);
    expect(cpusIn(fdt)).toEqual(['PowerPC,POWER9@8', 'PowerPC,POWER9@10', 'PowerPC,POWER9@18']);
  });

  test('that has the same CPUs changes nothing, in whatever order its properties are', () => {
    expect(planned(two, [add(9)], withTree(liveCore(0), liveCore(8)))).toMatchObject({
      edits: [],
      effects: [{ made: false, reason: 'the CPU nodes are as in the live tree already' }],
    });
  });

  test('changes properties in their places, new ones behind; a name of the FDT stays', () => {
    const image = imageWith([core(0), core(8, prop('gone', cells(1)), prop('name', 'PowerPC,POWER9'))]);
    const { fdt } = planned(image, [add(8)], withTree(liveCore(0), liveCore(8, { fresh: cells(2), [SERVERS]: cells(8, 12) })));
    expect(propertiesIn(fdt, 'PowerPC,POWER9@8')).toEqual([
      'device_type=63707500',
      'reg=00000008',
      `${SERVERS}=0000000800000009`,
      'clock-frequency=000003e8',
      'name=506f77657250432c504f5745523900',
      'fresh=00000002',
    ]);
  });

  test('gives a new node its children, without the names that are made up', () => {
    const cache: DeviceTreeNode = {
      name: 'l2-cache',
      properties: new Map([
        ['name', encodeString('l2-cache')],
        ['size', cells(4)],
      ]),
      children: [],
    };
    const { fdt } = planned(two, [add(16)], withTree(liveCore(0), liveCore(8), liveCore(16, {}, [cache])));
    expect(propertiesIn(fdt, 'PowerPC,POWER9@10').map((each) => each.split('=')[0])).not.toContain('name');
    expect(
      cpuIn(fdt, 'PowerPC,POWER9@10')
        .child('l2-cache')
        ?.properties()
        .map(({ name }) => name),
    ).toEqual(['size']);
  });

  test('is taken once for all changes, and again after a removal', () => {
    const tree = withTree(liveCore(0), liveCore(8), liveCore(16));
    expect(planned(two, [add(16), add(17), add(8)], tree).effects.map(({ made }) => made)).toEqual([true, true, true]);
    const { fdt, effects } = planned(two, [add(16), remove(16), add(16)], { ...tree, pruneCpus: true });
    expect(effects.map(({ made }) => made)).toEqual([true, true, true]);
    expect(cpusIn(fdt)).toEqual(['PowerPC,POWER9@0', 'PowerPC,POWER9@8', 'PowerPC,POWER9@10']);
  });

  test('and what a change gives for a CPU: both are made', () => {
    const tree = withTree(liveCore(0), liveCore(8));
    const { fdt, effects } = planned(two, [add(8, { extra: cells(1) })], tree);
    expect(effects).toEqual([{ made: true, reason: '' }]);
    expect(propertiesIn(fdt, 'PowerPC,POWER9@8').at(-1)).toBe('extra=00000001');
    expect(planned(two, [add(8, { 'clock-frequency': cells(1000) })], tree).effects).toMatchObject([{ made: false }]);
  });

  test('without the CPU that is added is refused', () => {
    expect(refusal(two, [add(24)], withTree(liveCore(0), liveCore(8)))).toContain(
      'cannot add CPU 24: found no such CPU in the live device tree, expected one of 0, 8',
    );
  });
});
