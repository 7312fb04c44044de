import { describe, expect, test } from 'vitest';
import { editFdt, newNodeFrom, nodeSize, type FdtEdit, type NewNode } from '../../src/fdt/edit/edit.js';
import { parseFdt, type Fdt, type FdtNode } from '../../src/fdt/fdt.js';
import { END, NOP, buildFdt, cells, node, prop, text, type BlobOptions } from './build.js';
import { refusal } from './errors.js';
import { modelOf, modelOfBytes } from './model.js';

const TREE = [
  prop('model', 'test'),
  node(
    'cpus',
    prop('#address-cells', [1]),
    node('cpu@0', prop('foo,reg', [0]), prop('status', 'okay')),
    node('cpu@1', prop('foo,reg', [1])),
    node('l2'),
  ),
  node('chosen', prop('bootargs', 'quiet')),
];

const ROOMY: BlobOptions = { slack: 400, reservations: [[0x1000n, 0x2000n]] };

function tree(options: BlobOptions = ROOMY): Fdt {
  return parseFdt(buildFdt(TREE, options));
}

function at(fdt: Fdt, path: string): FdtNode {
  const found = fdt.node(path);
  if (found === undefined) throw new Error(`no ${path}`);
  return found;
}

function edit(fdt: Fdt, ...edits: FdtEdit[]) {
  return editFdt(fdt, edits, { capacity: fdt.bytes.length });
}

function names(bytes: Uint8Array, path: string): string[] {
  return at(parseFdt(bytes), path)
    .children()
    .map((child) => child.name);
}

function structOf(blob: Uint8Array): Buffer {
  const { offStruct, sizeStruct } = parseFdt(blob).header;
  return Buffer.from(blob.subarray(offStruct, offStruct + sizeStruct));
}

function newNode(name: string, ...children: NewNode[]): NewNode {
  return { name, properties: [{ name: 'reg', value: cells(7) }], children };
}

describe('nothing changes', () => {
  const layouts: BlobOptions[] = [
    ROOMY,
    { order: ['strings', 'struct', 'reserve'], gap: 3 },
    { struct: [NOP, node('', NOP, ...TREE), END], slack: 3 },
  ];
  test.each(layouts)('layout %#', (layout) => {
    const fdt = tree(layout);
    const edits: FdtEdit[] = [
      { kind: 'setProperty', node: fdt.root, name: 'model', value: text('test') },
      { kind: 'replaceProperties', node: at(fdt, '/cpus/cpu@0'), properties: at(fdt, '/cpus/cpu@0').properties() },
      ...fdt.reservations.map((entry, index): FdtEdit => ({ kind: 'setReservation', index, ...entry })),
    ];
    for (const list of [[], edits]) {
      const result = edit(fdt, ...list);
      expect(result.bytes).toEqual(fdt.bytes);
      expect(result).toMatchObject({ totalSize: fdt.bytes.length, usedSize: fdt.usedSize, grown: false });
    }
  });

  test('dirty padding stays', () => {
    const blob = buildFdt([prop('model', 'test')], { slack: 16 });
    blob[56 + 8 + 12 + 5] = 0xee;
    const fdt = parseFdt(blob);
    expect(edit(fdt, { kind: 'setProperty', node: fdt.root, name: 'model', value: text('test') }).bytes).toEqual(blob);
    const added = edit(fdt, { kind: 'addNode', parent: fdt.root, node: { name: 'n', properties: [] } });
    expect(added.bytes.subarray(56, 56 + 28)).toEqual(blob.subarray(56, 56 + 28));
  });
});

describe('nodes', () => {
  test('remove: the bytes move up and what they leave is zero', () => {
    const fdt = tree();
    const result = edit(fdt, { kind: 'removeNode', node: at(fdt, '/cpus/cpu@0') });
    expect(names(result.bytes, '/cpus')).toEqual(['cpu@1', 'l2']);
    const freed = 4 + 8 + 16 + 12 + 8 + 4;
    expect(result.usedSize).toBe(fdt.usedSize - freed);
    expect(result.freeSize).toBe(400 + freed);
    expect(result.bytes.subarray(result.usedSize, fdt.usedSize)).toEqual(new Uint8Array(freed));
    expect(result.bytes.subarray(fdt.usedSize)).toEqual(fdt.bytes.subarray(fdt.usedSize));
  });

  test('add: by default behind the last child, with `after` behind that one, with `properties` first', () => {
    const fdt = tree();
    const parent = at(fdt, '/cpus');
    const cpu0 = at(fdt, '/cpus/cpu@0');
    const l2 = at(fdt, '/cpus/l2');
    const result = edit(
      fdt,
      { kind: 'addNode', parent, node: newNode('end1') },
      { kind: 'addNode', parent, after: cpu0, node: newNode('a1') },
      { kind: 'addNode', parent, after: 'properties', node: newNode('first1') },
      { kind: 'addNode', parent, after: l2, node: newNode('b') },
      { kind: 'addNode', parent, after: cpu0, node: newNode('a2') },
      { kind: 'addNode', parent, node: newNode('end2') },
      { kind: 'addNode', parent, after: 'properties', node: newNode('first2') },
    );
    expect(names(result.bytes, '/cpus')).toEqual(['first1', 'first2', 'cpu@0', 'a1', 'a2', 'cpu@1', 'l2', 'b', 'end1', 'end2']);
  });

  test('add to a node without children, and properties to it at once', () => {
    const fdt = tree();
    const chosen = at(fdt, '/chosen');
    const result = edit(
      fdt,
      { kind: 'addNode', parent: chosen, node: newNode('n') },
      { kind: 'setProperty', node: chosen, name: 'status', value: text('ok') },
      { kind: 'addNode', parent: chosen, after: 'properties', node: newNode('m') },
    );
    const after = modelOf(at(parseFdt(result.bytes), '/chosen'));
    expect(after.properties.map(([name]) => name)).toEqual(['bootargs', 'status']);
    expect(after.children.map(({ name }) => name)).toEqual(['m', 'n']);
  });

  test('replace: remove, and add in its place', () => {
    const fdt = tree();
    const cpu0 = at(fdt, '/cpus/cpu@0');
    const again = newNodeFrom(cpu0);
    const result = edit(fdt, { kind: 'addNode', parent: at(fdt, '/cpus'), after: cpu0, node: again }, { kind: 'removeNode', node: cpu0 });
    expect(result.bytes).toEqual(fdt.bytes);
  });

  test('a node with children', () => {
    const fdt = tree();
    const copy: NewNode = { ...newNodeFrom(at(fdt, '/cpus')), name: 'copy' };
    const before = fdt.header.sizeStruct;
    const after = parseFdt(edit(fdt, { kind: 'addNode', parent: fdt.root, node: copy }).bytes);
    expect(after.header.sizeStruct - before).toBe(nodeSize(copy));
    expect({ ...modelOf(at(after, '/copy')), name: 'cpus' }).toEqual(modelOf(at(fdt, '/cpus')));
  });

  test('64 levels, not 65', () => {
    const fdt = parseFdt(buildFdt([], { slack: 4000 }));
    const deep = (levels: number): NewNode => {
      let result: NewNode = { name: 'n', properties: [] };
      for (let i = 1; i < levels; i += 1) result = { name: 'n', properties: [], children: [result] };
      return result;
    };
    expect(parseFdt(edit(fdt, { kind: 'addNode', parent: fdt.root, node: deep(63) }).bytes).tree.nodeCount).toBe(64);
    expect(refusal(() => edit(fdt, { kind: 'addNode', parent: fdt.root, node: deep(64) })).message).toBe(
      'fdt: new node is nested too deep: expected at most 64 levels',
    );
  });
});

describe('properties', () => {
  test('set in place, append, remove', () => {
    const fdt = tree();
    const cpu = at(fdt, '/cpus/cpu@0');
    const result = edit(
      fdt,
      { kind: 'setProperty', node: cpu, name: 'foo,reg', value: cells(5, 6) },
      { kind: 'setProperty', node: cpu, name: 'new', value: new Uint8Array() },
      { kind: 'removeProperty', node: cpu, name: 'status' },
    );
    expect(at(parseFdt(result.bytes), '/cpus/cpu@0').properties()).toEqual([
      { name: 'foo,reg', value: cells(5, 6) },
      { name: 'new', value: new Uint8Array() },
    ]);
  });

  test('replace all; NOPs among the old ones stay', () => {
    const fdt = parseFdt(buildFdt([NOP, prop('a', [1]), prop('b', [1]), NOP, prop('c', [1]), NOP], { slack: 64 }));
    const properties = [{ name: 'd', value: cells(9) }];
    const after = parseFdt(edit(fdt, { kind: 'replaceProperties', node: fdt.root, properties }).bytes);
    expect(after.root.properties()).toEqual(properties);
    expect(after.header.sizeStruct).toBe(fdt.header.sizeStruct - 2 * 16);
    const none = parseFdt(edit(fdt, { kind: 'replaceProperties', node: fdt.root, properties: [] }).bytes);
    expect(none.root.properties()).toEqual([]);
  });

  test('replacing all mends a node with two properties of one name', () => {
    const fdt = parseFdt(buildFdt([prop('a', [1]), prop('a', [2])], { slack: 64 }));
    const properties = [{ name: 'a', value: cells(2) }];
    expect(parseFdt(edit(fdt, { kind: 'replaceProperties', node: fdt.root, properties }).bytes).root.properties()).toEqual(properties);
  });
});

describe('names in the strings block', () => {
  const nameOffset = (bytes: Uint8Array): number => {
    const { tree: index } = parseFdt(bytes);
    return index.view.getUint32((index.propertyStart.at(-1) ?? 0) + 8);
  };
  const add = (strings: string, ...wanted: string[]) => {
    const fdt = parseFdt(buildFdt([], { deadStrings: strings, slack: 200 }));
    const result = edit(fdt, ...wanted.map((name): FdtEdit => ({ kind: 'setProperty', node: fdt.root, name, value: cells(1) })));
    const { offStrings, sizeStrings } = parseFdt(result.bytes).header;
    return {
      offset: nameOffset(result.bytes),
      strings: Buffer.from(result.bytes.subarray(offStrings, offStrings + sizeStrings)).toString('latin1'),
    };
  };

  test.each([
    ['a\0reg\0', 'reg', 2],
    ['foo,reg\0reg\0', 'reg', 4],
    ['reg\0foo,reg\0', 'reg', 0],
    ['regs\0reg\0', 'reg', 5],
    ['foo,reg\0', 'g', 6],
  ])('%j has %s', (strings, name, offset) => {
    expect(add(strings, name)).toEqual({ offset, strings });
  });

  test.each([
    ['', 'reg', 0],
    ['reg', 'reg', 3],
    ['foo,re\0g\0', 'reg', 9],
  ])('%j has no %s', (strings, name, offset) => {
    expect(add(strings, name)).toEqual({ offset, strings: `${strings}${name}\0` });
  });

  test('new names share as old ones do', () => {
    expect(add('x\0', 'foo,reg', 'reg')).toEqual({ offset: 6, strings: 'x\0foo,reg\0' });
    expect(add('x\0', 'reg', 'foo,reg')).toEqual({ offset: 6, strings: 'x\0reg\0foo,reg\0' });
  });

  test('order of new names as asked for, without those that nobody needs', () => {
    const fdt = parseFdt(buildFdt([], { slack: 200 }));
    const edits = ['one', 'two', 'three'].map((name): FdtEdit => ({ kind: 'setProperty', node: fdt.root, name, value: cells(1) }));
    const { bytes } = editFdt(fdt, edits, { capacity: 1000, nameOrder: ['three', 'four', 'two'] });
    const { offStrings, sizeStrings } = parseFdt(bytes).header;
    expect(Buffer.from(bytes.subarray(offStrings, offStrings + sizeStrings)).toString()).toBe('three\0two\0one\0');
  });
});

describe('reservations', () => {
  test('set and add', () => {
    const fdt = tree();
    const result = parseFdt(
      edit(
        fdt,
        { kind: 'addReservation', address: 0n, size: (1n << 64n) - 1n },
        { kind: 'setReservation', index: 0, address: 0x5000n, size: 0x10n },
        { kind: 'addReservation', address: 0xffff_ffff_ffff_0000n, size: 0x10000n },
      ).bytes,
    );
    expect(result.reservations).toEqual([
      { address: 0x5000n, size: 0x10n },
      { address: 0n, size: (1n << 64n) - 1n },
      { address: 0xffff_ffff_ffff_0000n, size: 0x10000n },
    ]);
    expect(result.header.offStruct).toBe(fdt.header.offStruct + 32);
    expect(modelOf(result.root)).toEqual(modelOf(fdt.root));
  });

  test.each([
    ['its address', 0x1001n, 0x2000n],
    ['its size', 0x1000n, 0x2001n],
  ])('%s alone', (_, address, size) => {
    const result = edit(tree(), { kind: 'setReservation', index: 0, address, size });
    expect(parseFdt(result.bytes).reservations).toEqual([{ address, size }]);
  });
});

describe('values of any length', () => {
  const lengths = Array.from({ length: 70 }, (_, length) => length);
  const valueOf = (length: number): Uint8Array => Uint8Array.from({ length }, (_, index) => 0x80 + index);

  test('in a new node are written with their padding', () => {
    const fdt = parseFdt(buildFdt([]));
    const properties = lengths.map((length) => ({ name: `p${length}`, value: valueOf(length) }));
    const { bytes } = editFdt(fdt, [{ kind: 'addNode', parent: fdt.root, node: { name: 'new', properties } }], { capacity: 1 << 16 });
    const wanted = buildFdt([node('new', ...properties.map(({ name, value }) => prop(name, value)))]);
    expect(structOf(bytes).equals(structOf(wanted))).toBe(true);
  });

  test.each([
    ['another name', [['b', 1]]],
    [
      'names exchanged',
      [
        ['b', 1],
        ['a', 1],
      ],
    ],
    [
      'one more, of the same value',
      [
        ['a', 1],
        ['b', 1],
        ['c', 1],
      ],
    ],
    ['one less', [['a', 1]]],
    ['none', []],
  ] as const)('replace others of the same values: %s', (_, wanted) => {
    const fdt = parseFdt(buildFdt([node('n', prop('a', [1]), prop('b', [1]))], { slack: 100 }));
    const properties = wanted.map(([name, cell]) => ({ name, value: cells(cell) }));
    const result = parseFdt(edit(fdt, { kind: 'replaceProperties', node: at(fdt, '/n'), properties }).bytes);
    expect(
      at(result, '/n')
        .properties()
        .map(({ name }) => name),
    ).toEqual(wanted.map(([name]) => name));
  });

  test('replace others of the same names in many nodes', () => {
    const fdt = parseFdt(buildFdt(lengths.map((length) => node(`n${length}`, prop('a', valueOf(length)), prop('b', valueOf(3))))));
    const edits = lengths.map((length): FdtEdit => ({
      kind: 'replaceProperties',
      node: at(fdt, `/n${length}`),
      properties: [
        { name: 'a', value: valueOf(69 - length) },
        { name: 'b', value: valueOf(length) },
      ],
    }));
    const result = parseFdt(editFdt(fdt, edits, { capacity: 1 << 16 }).bytes);
    for (const length of lengths) {
      const changed = at(result, `/n${length}`);
      expect([changed.property('a'), changed.property('b')]).toEqual([valueOf(69 - length), valueOf(length)]);
    }
  });
});

describe('blocks in any order move with their alignment', () => {
  test.each([
    [['strings', 'reserve', 'struct']],
    [['strings', 'struct', 'reserve']],
    [['struct', 'reserve', 'strings']],
    [['struct', 'strings', 'reserve']],
    [['reserve', 'strings', 'struct']],
  ] as const)('%j', (order) => {
    const fdt = tree({ order, gap: 1, slack: 100, reservations: [[1n, 2n]], bootCpuId: 3 });
    const added = parseFdt(
      edit(fdt, { kind: 'addNode', parent: fdt.root, node: { name: 'new', properties: [{ name: 'abc', value: cells(1) }] } }).bytes,
    );
    expect(names(added.bytes, '/')).toEqual(['cpus', 'chosen', 'new']);
    expect(added.reservations).toEqual(fdt.reservations);
    expect(added.header.bootCpuId).toBe(3);
    const removed = edit(added, { kind: 'removeNode', node: at(added, '/new') });
    expect(modelOfBytes(removed.bytes)).toEqual(modelOf(fdt.root));
  });
});

describe('size', () => {
  test('the total stays while the result fits, to the last byte', () => {
    const value = new Uint8Array(8).fill(1);
    const fdt = parseFdt(buildFdt([], { slack: 12 + 8 + 2 }));
    const result = editFdt(fdt, [{ kind: 'setProperty', node: fdt.root, name: 'x', value }], { capacity: 4096 });
    expect(result).toMatchObject({ totalSize: fdt.bytes.length, freeSize: 0, grown: false });
  });

  test('then it grows to a multiple of eight', () => {
    const fdt = tree({});
    const result = editFdt(fdt, [{ kind: 'setProperty', node: fdt.root, name: 'x', value: cells(1) }], { capacity: 4096 });
    expect(result.grown).toBe(true);
    expect(result.totalSize).toBe(Math.ceil((fdt.usedSize + 16 + 2) / 8) * 8);
    expect(result.bytes).toHaveLength(result.totalSize);
    expect(parseFdt(result.bytes).header.totalSize).toBe(result.totalSize);
    expect(result.freeSize).toBe(result.totalSize - result.usedSize);
  });

  test('but not beyond the capacity', () => {
    const fdt = tree({});
    const edits: FdtEdit[] = [{ kind: 'setProperty', node: fdt.root, name: 'x', value: cells(1) }];
    const needed = fdt.usedSize + 16 + 2;
    expect(editFdt(fdt, edits, { capacity: needed }).totalSize).toBe(needed);
    const { problem, details } = refusal(() => editFdt(fdt, edits, { capacity: needed - 1 }));
    expect({ problem, ...details }).toEqual({
      problem: 'no room for the change in the device tree',
      code: 'no-room',
      segment: 'fdt',
      found: `${needed} bytes needed`,
      expected: `at most ${needed - 1} bytes available`,
      remedy: 'reload the kdump image with a larger reservation for its device tree',
    });
  });

  test('a capacity below the present size', () => {
    const fdt = tree();
    const size = fdt.bytes.length;
    expect(refusal(() => editFdt(fdt, [], { capacity: size - 1 })).message).toBe(
      `fdt: device tree is larger than its segment: found ${size} bytes, expected at most ${size - 1} bytes`,
    );
    expect(editFdt(fdt, [], { capacity: size }).bytes).toEqual(fdt.bytes);
  });
});

describe('refused', () => {
  const fdt = tree();
  const cpus = at(fdt, '/cpus');
  const cpu0 = at(fdt, '/cpus/cpu@0');
  const other = tree().root;
  const value = cells(1);
  const set = (target: FdtNode, name: string): FdtEdit => ({ kind: 'setProperty', node: target, name, value });
  const add = (parent: FdtNode, name: string, after?: FdtNode): FdtEdit => ({
    kind: 'addNode',
    parent,
    after,
    node: { name, properties: [] },
  });
  const addWith = (inner: Omit<NewNode, 'name'>): FdtEdit => ({ kind: 'addNode', parent: cpus, node: { name: 'new', ...inner } });
  const remove: FdtEdit = { kind: 'removeNode', node: cpu0 };

  const replace = (properties: NewNode['properties']): FdtEdit => ({ kind: 'replaceProperties', node: cpu0, properties });
  const twins = [0, 1].map(() => ({ name: 'a', value }));
  const removedCpus: FdtEdit = { kind: 'removeNode', node: cpus };
  const NAME = 'expected printable ASCII without space and "/"';

  // What is said behind "fdt: ".
  const cases: [string, FdtEdit[], string][] = [
    ['removing the root', [{ kind: 'removeNode', node: fdt.root }], 'the root node cannot be removed'],
    ['removing twice', [remove, remove], 'node /cpus/cpu@0 is removed twice'],
    ['removing inside a removed node', [removedCpus, remove], 'node /cpus/cpu@0 cannot be edited, for /cpus is removed'],
    ['setting in a removed node', [set(cpu0, 'x'), remove], 'node /cpus/cpu@0 cannot be edited, for /cpus/cpu@0 is removed'],
    ['setting inside a removed node', [removedCpus, set(cpu0, 'x')], 'node /cpus/cpu@0 cannot be edited, for /cpus is removed'],
    ['replacing in a removed node', [remove, replace([])], 'node /cpus/cpu@0 cannot be edited, for /cpus/cpu@0 is removed'],
    ['adding to a removed node', [remove, add(cpu0, 'x')], 'node /cpus/cpu@0 cannot be edited, for /cpus/cpu@0 is removed'],
    ['setting twice', [set(cpu0, 'x'), set(cpu0, 'x')], 'property x of /cpus/cpu@0 is edited twice'],
    [
      'setting and removing',
      [set(cpu0, 'status'), { kind: 'removeProperty', node: cpu0, name: 'status' }],
      'property status of /cpus/cpu@0 is edited twice',
    ],
    ['replacing twice', [replace([]), replace([])], 'properties of /cpus/cpu@0 are replaced twice'],
    ['replacing and setting', [set(cpu0, 'x'), replace([])], 'properties of /cpus/cpu@0 are replaced and edited one by one'],
    ['replacing with two of one name', [replace(twins)], 'property a is given twice for /cpus/cpu@0'],
    ['removing what is not there', [{ kind: 'removeProperty', node: cpu0, name: 'absent' }], 'node /cpus/cpu@0 has no property absent'],
    ['a child that exists', [add(cpus, 'cpu@1')], 'node /cpus would have two children cpu@1'],
    ['two new children of one name', [add(cpus, 'x'), add(cpus, 'x')], 'node /cpus would have two children x'],
    [
      'after a node that is no child',
      [add(cpus, 'x', at(fdt, '/chosen'))],
      'node /chosen is no child of /cpus, so no node can follow it there',
    ],
    ['after the parent itself', [add(cpus, 'x', cpus)], 'node /cpus is no child of /cpus, so no node can follow it there'],
    ['after the root', [add(fdt.root, 'x', fdt.root)], 'node / is no child of /, so no node can follow it there'],
    ['new node with two properties of one name', [addWith({ properties: twins })], 'property a is given twice for /cpus/new'],
    [
      'new child of the root with two properties of one name',
      [{ kind: 'addNode', parent: fdt.root, node: { name: 'new', properties: twins } }],
      'property a is given twice for /new',
    ],
    [
      'new node with two children of one name',
      [addWith({ properties: [], children: [newNode('a'), newNode('a')] })],
      'new node /cpus/new has two children a',
    ],
    [
      'new node with a bad name below',
      [addWith({ properties: [], children: [newNode('a/b')] })],
      `node name is not valid: found "a/b", ${NAME}`,
    ],
    ['a node of another tree', [set(other, 'x')], 'node / belongs to another device tree'],
    ['a parent of another tree', [add(other, 'x')], 'node / belongs to another device tree'],
    ['after a node of another tree', [add(fdt.root, 'x', other)], 'node / belongs to another device tree'],
    ...[
      ['', ''],
      ['a/b', 'a/b'],
      ['a\n', 'a\\x0a'],
      ['\x1b[31m', '\\x1b[31m'],
      ['a b', 'a b'],
      ['\0', '\\x00'],
      ['a\0', 'a\\x00'],
      ['\x7f', '\\x7f'],
      ['\xff', '\xff'],
      ['\u0100', '\u0100'],
    ].flatMap(([name = '', shown = '']): [string, FdtEdit[], string][] => [
      [`node name ${JSON.stringify(name)}`, [add(cpus, name)], `node name is not valid: found "${shown}", ${NAME}`],
      [`property name ${JSON.stringify(name)}`, [set(cpus, name)], `property name is not valid: found "${shown}", ${NAME}`],
      [
        `property name ${JSON.stringify(name)} in a list`,
        [replace([{ name, value }])],
        `property name is not valid: found "${shown}", ${NAME}`,
      ],
    ]),
    ['node name of 256 bytes', [add(cpus, 'x'.repeat(256))], 'node name is too long: found 256 bytes, expected at most 255 bytes'],
    ['property name of 256 bytes', [set(cpus, 'x'.repeat(256))], 'property name is too long: found 256 bytes, expected at most 255 bytes'],
    [
      'reservation that is not there',
      [{ kind: 'setReservation', index: 1, address: 0n, size: 1n }],
      'memory reservation block has no such entry: found 1, expected below 1',
    ],
    [
      'reservation -1',
      [{ kind: 'setReservation', index: -1, address: 0n, size: 1n }],
      'memory reservation block has no such entry: found -1, expected below 1',
    ],
    [
      'reservation 0.5',
      [{ kind: 'setReservation', index: 0.5, address: 0n, size: 1n }],
      'memory reservation block has no such entry: found 0.5, expected below 1',
    ],
    [
      'reservation set twice',
      [0, 1].map(() => ({ kind: 'setReservation', index: 0, address: 0n, size: 1n })),
      'memory reservation 0 is set twice',
    ],
    ...[
      ['of size 0', 0n, 0n, 'address 0x0, size 0x0'] as const,
      ['past 2^64', 1n, 1n << 64n, 'address 0x1, size 0x10000000000000000'] as const,
      ['at a negative address', -1n, 1n, 'address 0x-1, size 0x1'] as const,
    ].map(([what, address, size, found]): [string, FdtEdit[], string] => [
      `reservation ${what}`,
      [{ kind: 'addReservation', address, size }],
      `memory reservation is out of range: found ${found}, expected a size above 0, and an end of at most 2^64`,
    ]),
  ];
  test.each(cases)('%s', (_, edits, said) => {
    expect(refusal(() => editFdt(fdt, edits, { capacity: 1 << 20 })).message).toBe(`fdt: ${said}`);
  });

  test('a name of 255 bytes is taken', () => {
    const name = 'x'.repeat(255);
    const { bytes } = editFdt(fdt, [add(cpus, name), set(cpu0, name)], { capacity: 1 << 20 });
    expect(at(parseFdt(bytes), `/cpus/${name}`).properties()).toEqual([]);
    expect(at(parseFdt(bytes), '/cpus/cpu@0').property(name)).toEqual(value);
  });

  test('names that exist twice in an edited node', () => {
    const twice = parseFdt(buildFdt([prop('a'), prop('a'), node('n'), node('n')]));
    const said = (one: FdtEdit): string => refusal(() => editFdt(twice, [one], { capacity: 4096 })).message;
    expect(said(set(twice.root, 'b'))).toBe('fdt: node / has two properties a');
    expect(said(add(twice.root, 'b'))).toBe('fdt: node / would have two children n');
    const [first] = twice.root.children();
    if (first === undefined) throw new Error('no child');
    expect(names(editFdt(twice, [{ kind: 'removeNode', node: first }, add(twice.root, 'b')], { capacity: 4096 }).bytes, '/')).toEqual([
      'n',
      'b',
    ]);
  });

  test('a version that is not 17', () => {
    const later = parseFdt(buildFdt(TREE, { header: { 5: 18 } }));
    expect(refusal(() => editFdt(later, [], { capacity: 4096 })).message).toBe(
      'fdt: device tree is of a version that cannot be edited: found 18, expected 17',
    );
  });

  test('no control byte of the tree reaches the message', () => {
    const bad = parseFdt(buildFdt([node('\x1b[31m\n', prop('\x1b'))]));
    const [child] = bad.root.children();
    if (child === undefined) throw new Error('no child');
    expect(refusal(() => editFdt(bad, [{ kind: 'removeProperty', node: child, name: 'x' }], { capacity: 4096 })).message).toMatch(
      /^[ -~]+$/,
    );
  });
});
