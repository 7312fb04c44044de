import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { KdumpError } from '../../src/errors.js';
import { formatDts } from '../../src/fdt/dts.js';
import { editFdt } from '../../src/fdt/edit/edit.js';
import { parseFdt } from '../../src/fdt/fdt.js';
import { someBlob } from './arbitrary.js';
import { END, NOP, TOKENS, buildFdt, cells, node, prop, raw, text, type BlobOptions, type Item } from './build.js';
import { inputError } from './errors.js';
import { modelOf } from './model.js';

/* prettier-ignore */
const GOLDEN = Uint8Array.of(
  // header
  0xd0, 0x0d, 0xfe, 0xed, // 0x00 magic
  0x00, 0x00, 0x00, 0x9c, // 0x04 totalsize
  0x00, 0x00, 0x00, 0x48, // 0x08 off_dt_struct
  0x00, 0x00, 0x00, 0x88, // 0x0c off_dt_strings
  0x00, 0x00, 0x00, 0x28, // 0x10 off_mem_rsvmap
  0x00, 0x00, 0x00, 0x11, // 0x14 version
  0x00, 0x00, 0x00, 0x10, // 0x18 last_comp_version
  0x00, 0x00, 0x00, 0x02, // 0x1c boot_cpuid_phys
  0x00, 0x00, 0x00, 0x0c, // 0x20 size_dt_strings
  0x00, 0x00, 0x00, 0x40, // 0x24 size_dt_struct
  // memory reservation block
  0x00, 0x00, 0x00, 0x00, // 0x28 address
  0x00, 0x01, 0x00, 0x00,
  0x00, 0x00, 0x00, 0x00, // 0x30 size
  0x1f, 0xff, 0x00, 0x00,
  0x00, 0x00, 0x00, 0x00, // 0x38 an entry of size 0 ends the map
  0x00, 0x00, 0x00, 0x00,
  0x00, 0x00, 0x00, 0x00,
  0x00, 0x00, 0x00, 0x00,
  // structure block
  0x00, 0x00, 0x00, 0x01, // 0x48 FDT_BEGIN_NODE
  0x00, 0x00, 0x00, 0x00, // 0x4c "" and its padding
  0x00, 0x00, 0x00, 0x03, // 0x50 FDT_PROP
  0x00, 0x00, 0x00, 0x03, // 0x54 length
  0x00, 0x00, 0x00, 0x00, // 0x58 name at 0x88 "model"
  0x48, 0x69, 0x00, 0x00, // 0x5c "Hi", NUL, one byte of padding
  0x00, 0x00, 0x00, 0x01, // 0x60 FDT_BEGIN_NODE
  0x63, 0x70, 0x75, 0x40, // 0x64 "cpu@"
  0x30, 0x00, 0x00, 0x00, // 0x68 "0"
  0x00, 0x00, 0x00, 0x03, // 0x6c FDT_PROP
  0x00, 0x00, 0x00, 0x04, // 0x70 length
  0x00, 0x00, 0x00, 0x08, // 0x74 name at 0x90 "reg", the end of "x,reg"
  0x00, 0x00, 0x00, 0x2a, // 0x78 value
  0x00, 0x00, 0x00, 0x02, // 0x7c FDT_END_NODE
  0x00, 0x00, 0x00, 0x02, // 0x80 FDT_END_NODE
  0x00, 0x00, 0x00, 0x09, // 0x84 FDT_END
  // strings block
  0x6d, 0x6f, 0x64, 0x65, // 0x88 "mode"
  0x6c, 0x00, 0x78, 0x2c, // 0x8c "l", NUL, "x,"
  0x72, 0x65, 0x67, 0x00, // 0x90 "reg", NUL
  // free
  0xff, 0xff, 0xff, 0xff, // 0x94
  0xff, 0xff, 0xff, 0xff, // 0x98
);

describe('a small tree, byte by byte', () => {
  const fdt = parseFdt(GOLDEN);

  test('header, reservations and sizes', () => {
    expect(fdt.header.bootCpuId).toBe(2);
    expect(fdt.reservations).toEqual([{ address: 0x10000n, size: 0x1fff0000n }]);
    expect(fdt.usedSize).toBe(0x94);
    expect(fdt.bytes).toEqual(GOLDEN);
    expect(fdt.blocks.map(({ field, start, end }) => [field, start, end])).toEqual([
      ['offReserveMap', 0x28, 0x48],
      ['offStruct', 0x48, 0x88],
      ['offStrings', 0x88, 0x94],
    ]);
  });

  test('nodes and properties', () => {
    expect(modelOf(fdt.root)).toEqual({
      name: '',
      properties: [['model', '486900']],
      children: [{ name: 'cpu@0', properties: [['reg', '0000002a']], children: [] }],
    });
  });

  test('paths', () => {
    const cpu = fdt.node('/cpu@0');
    expect(cpu?.path).toBe('/cpu@0');
    expect(cpu?.parent?.path).toBe('/');
    expect(fdt.root.path).toBe('/');
    expect(fdt.root.parent).toBeUndefined();
    expect(fdt.node('/')?.index).toBe(0);
    for (const path of ['', 'cpu@0', '/cpu', '//', '/cpu@0/', '/cpu@0/x', '//cpu@0']) expect(fdt.node(path)).toBeUndefined();
    expect(cpu?.property('reg')).toEqual(cells(0x2a));
    expect(cpu?.property('model')).toBeUndefined();
    expect(fdt.root.child('cpu@0')?.index).toBe(1);
    expect(fdt.root.child('cpu')).toBeUndefined();
  });

  test('the builder of these tests makes the same bytes', () => {
    const built = buildFdt([prop('model', 'Hi'), node('cpu@0', prop('reg', [0x2a]))], { reservations: [[0x10000n, 0x1fff0000n]] });
    expect(modelOf(parseFdt(built).root)).toEqual(modelOf(fdt.root));
    expect(built.subarray(0x28, 0x74)).toEqual(GOLDEN.subarray(0x28, 0x74));
  });

  test('what follows the blob in its segment is left away', () => {
    const segment = new Uint8Array(4096).fill(0xcc);
    segment.set(GOLDEN);
    const found = parseFdt(segment);
    expect(found.bytes).toEqual(GOLDEN);
    segment.fill(0);
    expect(found.root.property('model')).toEqual(text('Hi'));
  });
});

describe('accepted', () => {
  const options: BlobOptions[] = [
    { order: ['strings', 'struct', 'reserve'], gap: 5 },
    { order: ['struct', 'reserve', 'strings'], gap: 32, slack: 100, deadStrings: 'dead\0' },
    { struct: [NOP, NOP, node('', NOP, prop('a'), NOP, node('n', NOP), NOP), END] },
    { struct: [node(''), END] },
    { header: { 5: 18 } },
  ];
  test.each(options)('layout %#', (layout) => {
    const fdt = parseFdt(buildFdt([prop('a'), node('n')], layout));
    expect(fdt.root.name).toBe('');
  });

  test('names of any byte', () => {
    const fdt = parseFdt(buildFdt([prop('\x1b[31m\xff', 'x'), node('a/b\n', prop('p'))]));
    expect(fdt.root.properties()[0]?.name).toBe('\x1b[31m\xff');
    expect(fdt.root.children()[0]?.name).toBe('a/b\n');
    expect(fdt.node('/a/b\n')).toBeUndefined();
  });

  test('siblings and properties of one name; the first is found', () => {
    const fdt = parseFdt(buildFdt([prop('a', 'one'), prop('a', 'two'), node('n', prop('p', 'one')), node('n')]));
    expect(fdt.root.property('a')).toEqual(text('one'));
    expect(fdt.root.child('n')?.index).toBe(1);
    expect(fdt.root.properties()).toHaveLength(2);
    expect(fdt.root.children()).toHaveLength(2);
  });

  test('64 levels', () => {
    expect(parseFdt(nested(64)).tree.nodeCount).toBe(64);
  });
});

function nested(levels: number): Uint8Array {
  const name = [TOKENS.begin, 0x61000000];
  const inner = Array.from({ length: levels - 1 }, () => name).flat();
  const ends = Array.from({ length: levels }, () => TOKENS.endNode);
  return buildFdt([], { struct: [raw(TOKENS.begin, 0), { words: inner }, { words: ends }, END] });
}

describe('one mutation, one error', () => {
  const name = raw(TOKENS.begin, 0);
  const end = raw(TOKENS.endNode);
  const names = prop('a', 'x');
  // The structure block begins at 56.
  const cases: [string, Item[], number][] = [
    ['empty', [], 56],
    ['no root', [END], 56],
    ['two roots', [node(''), node(''), END], 68],
    ['named root', [node('x'), END], 60],
    ['property before the root', [names, node(''), END], 56],
    ['property behind the root', [node(''), names, END], 68],
    ['NOP behind the root', [node(''), NOP, END], 68],
    ['tokens behind FDT_END', [node(''), END, NOP], 72],
    ['two ends', [node(''), END, END], 72],
    ['FDT_END_NODE too many', [node(''), end, END], 68],
    ['FDT_END_NODE missing', [name, END], 56],
    ['FDT_END_NODE of a child missing', [name, raw(TOKENS.begin, 0x61000000), end, END], 56],
    ['FDT_END missing', [node('')], 68],
    ['FDT_END missing in a node', [name], 64],
    ['property behind a child', [name, node('b'), names, end, END], 76],
    ['property behind a child with properties', [name, node('b', names), names, end, END], 92],
    ['property cut short', [name, raw(TOKENS.prop, 0)], 64],
    ['value length 0xffffffff', [name, raw(TOKENS.prop, 0xffffffff, 0), end, END], 68],
    ['value length 0x7ffffff8', [name, raw(TOKENS.prop, 0x7ffffff8, 0), end, END], 68],
    ['value one byte too long', [name, raw(TOKENS.prop, 9, 0), end, END], 68],
    ['second root behind a property', [node('', names), node(''), END], 84],
    ['name not terminated', [name, raw(TOKENS.begin, 0x61616161)], 68],
    ['token 0', [name, raw(0), end, END], 64],
    ['token 5', [name, raw(5), end, END], 64],
    ['token 0x01000000', [name, raw(0x01000000), end, END], 64],
  ];
  test.each(cases)('%s', (_, struct, offset) => {
    expect(inputError(() => parseFdt(buildFdt([], { struct, slack: 64 }))).details).toMatchObject({ segment: 'fdt', offset });
  });

  test.each([
    ['just outside', 2],
    ['far outside', 0xffffffff],
  ])('property name %s the strings block', (_, nameOffset) => {
    const struct = [raw(TOKENS.begin, 0, TOKENS.prop, 0, 0, TOKENS.prop, 0, nameOffset, TOKENS.endNode), END];
    expect(inputError(() => parseFdt(buildFdt([], { struct, deadStrings: 'a\0' }))).details.offset).toBe(56 + 28);
  });

  test('property name without NUL', () => {
    const struct = [raw(TOKENS.begin, 0, TOKENS.prop, 0, 2, TOKENS.endNode), END];
    expect(inputError(() => parseFdt(buildFdt([], { struct, deadStrings: 'a\0b' }))).details.offset).toBe(72);
  });

  test('names of 255 bytes pass, of 256 do not', () => {
    const long = (length: number): string => 'n'.repeat(length);
    expect(parseFdt(buildFdt([prop(long(255)), node(long(255))])).root.children()[0]?.name).toBe(long(255));
    expect(inputError(() => parseFdt(buildFdt([prop(long(256))]))).details.offset).toBe(72);
    expect(inputError(() => parseFdt(buildFdt([node(long(256))]))).details.offset).toBe(68);
    const tail = [raw(TOKENS.begin, 0, TOKENS.prop, 0, 1, TOKENS.endNode), END];
    expect(parseFdt(buildFdt([], { struct: tail, deadStrings: `${long(256)}\0` })).root.properties()[0]?.name).toBe(long(255));
  });

  test('a reservation block without end', () => {
    const blob = buildFdt([], { order: ['struct', 'strings', 'reserve'], reservations: [[1n, 1n]] });
    blob.fill(1, blob.length - 16);
    expect(inputError(() => parseFdt(blob)).details.offset).toBe(56);
  });

  test.each([
    ['strings inside the structure block', { 3: 60 }],
    ['structure block inside the reservation block', { 2: 40, 9: 24 }],
    ['reservation block over the strings', { 4: 72 }],
  ])('%s', (_, header) => {
    inputError(() => parseFdt(buildFdt([], { header, slack: 64, deadStrings: 'a\0\0\0\0\0' })));
  });

  test('level 65', () => {
    expect(inputError(() => parseFdt(nested(65))).details.offset).toBe(56 + 64 * 8);
  });
});

describe('hostile sizes, in time linear in them', () => {
  test('a million levels', () => {
    inputError(() => parseFdt(nested(1_000_000)));
  });

  test('5,000,000 NOPs', () => {
    const words = new Array<number>(5_000_000).fill(TOKENS.nop);
    const struct = [raw(TOKENS.begin, 0), raw(TOKENS.endNode), END];
    const blob = buildFdt([], { struct });
    const larger = new Uint8Array(blob.length + words.length * 4);
    larger.set(blob.subarray(0, 64));
    new Uint32Array(larger.buffer, 64, words.length).fill(0x04000000);
    larger.set(blob.subarray(64), 64 + words.length * 4);
    const view = new DataView(larger.buffer);
    view.setUint32(4, larger.length);
    view.setUint32(12, larger.length);
    view.setUint32(36, view.getUint32(36) + words.length * 4);
    expect(parseFdt(larger).tree.nodeCount).toBe(1);
  });

  test('200,000 siblings of one name', () => {
    const fdt = parseFdt(buildFdt([{ words: Array.from({ length: 200_000 }, () => [1, 0x61000000, 2]).flat() }]));
    expect(fdt.root.children()).toHaveLength(200_000);
    expect(fdt.root.child('a')?.index).toBe(1);
    expect(fdt.root.child('b')).toBeUndefined();
  });

  test('one name of a megabyte, shared by 50,000 properties', () => {
    const properties = Array.from({ length: 50_000 }, (_, i) => [3, 0, i]).flat();
    inputError(() => parseFdt(buildFdt([{ words: properties }], { deadStrings: `${'a'.repeat(1_000_000)}\0` })));
  });
});

describe('any damage', () => {
  const full = parseOrError;

  test('every truncation of a good blob is refused', () => {
    for (let length = 0; length < GOLDEN.length; length += 1) inputError(() => parseFdt(GOLDEN.subarray(0, length)));
  });

  test('every truncation that its header admits is refused, until only free space is missing', () => {
    for (let length = 40; length < 0x94; length += 1) {
      const cut = GOLDEN.slice(0, length);
      new DataView(cut.buffer).setUint32(4, length);
      inputError(() => parseFdt(cut));
    }
  });

  test('any byte of the golden tree set to any value gives a tree or a KdumpError', () => {
    for (let at = 0; at < GOLDEN.length; at += 1) {
      for (let value = 0; value < 256; value += 1) {
        const bytes = GOLDEN.slice();
        bytes[at] = value;
        full(bytes);
      }
    }
  });

  test('random bytes of random trees', () => {
    const mutations = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(someBlob, mutations, (blob, list) => {
        const bytes = blob.slice();
        for (const [at, value] of list) bytes[at % bytes.length] = value;
        full(bytes);
      }),
      { numRuns: 1000 },
    );
  });

  test('random bytes behind a good header', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 200 }), (struct) => {
        const blob = buildFdt([], { struct: [], slack: struct.length });
        blob.set(struct, 56);
        const view = new DataView(blob.buffer);
        view.setUint32(36, struct.length);
        view.setUint32(12, blob.length);
        full(blob);
      }),
      { numRuns: 700 },
    );
  });

  function parseOrError(bytes: Uint8Array): void {
    try {
      modelOf(parseFdt(bytes).root);
    } catch (error) {
      if (!(error instanceof KdumpError && error.kind === 'input')) throw error;
      expect(error.details.segment).toBe('fdt');
      expect(error.details.offset).toBeDefined();
    }
  }
});

describe('version 16, as /sys/firmware/fdt has it on pseries', () => {
  const OPTIONS: BlobOptions[] = [
    {},
    { order: ['strings', 'struct', 'reserve'] },
    { order: ['struct', 'reserve', 'strings'], gap: 5, slack: 12 },
  ];
  const TREE = [prop('model', 'test'), node('cpus', prop('reg', [1]), node('cpu@0'))];
  const asVersion16 = (options: BlobOptions): Uint8Array => buildFdt(TREE, { ...options, header: { 5: 16, 9: 0 } });

  test.each(OPTIONS)('is read where that is asked for: its structure block ends with FDT_END (%j)', (options) => {
    const [old, now] = [parseFdt(asVersion16(options), { oldest: 16 }), parseFdt(buildFdt(TREE, options))];
    expect(formatDts(old)).toBe(formatDts(now));
    expect(old.header).toEqual({ ...now.header, version: 16 });
    expect(old.blocks).toEqual(now.blocks);
    expect(inputError(() => parseFdt(asVersion16(options)))).toMatchObject({ details: { offset: 20, found: '16', expected: '17' } });
  });

  test('is not edited, and nothing older is read', () => {
    const tree = parseFdt(asVersion16({}), { oldest: 16 });
    expect(() => editFdt(tree, [], { capacity: 0x1000 })).toThrow('of a version that cannot be edited');
    const older = buildFdt(TREE, { header: { 5: 15, 6: 15 } });
    expect(inputError(() => parseFdt(older, { oldest: 16 })).details.expected).toBe('16 or 17');
  });

  test('whose structure block runs into another one, or has no end, is damage', () => {
    const whole = asVersion16({});
    for (const [field, value] of [
      [12, 60],
      [16, 64],
    ] as const) {
      const bytes = whole.slice();
      new DataView(bytes.buffer).setUint32(field, value);
      expect(inputError(() => parseFdt(bytes, { oldest: 16 })).details.segment).toBe('fdt');
    }
    const endless = buildFdt([], { struct: [node('', ...TREE)], order: ['reserve', 'strings', 'struct'], header: { 5: 16 } });
    expect(inputError(() => parseFdt(endless, { oldest: 16 })).problem).toBe('structure block ends without FDT_END');
  });
});
