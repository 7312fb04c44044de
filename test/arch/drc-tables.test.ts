import { describe, expect, test } from 'vitest';
import { cpuConnectorsOf, cpuNumbering, type CpuConnectors } from '../../src/arch/drc-tables.js';
import { encodeU32 } from '../../src/fdt/cells.js';
import { thrown } from '../helpers/thrown.js';

const strings = (count: number, ...values: string[]): Uint8Array =>
  Buffer.concat([encodeU32(count), Buffer.from(values.map((each) => `${each}\0`).join(''))]);

const TABLES: Record<string, Uint8Array> = {
  'ibm,drc-indexes': encodeU32(2, 0x10000000, 0x80000008),
  'ibm,drc-names': strings(2, 'CPU 0', 'LMB 8'),
  'ibm,drc-types': strings(2, 'CPU', 'MEM'),
};

const connectors = (more: Record<string, Uint8Array | undefined> = {}): CpuConnectors =>
  cpuConnectorsOf((name) => ({ ...TABLES, ...more })[name]);

test('one entry of each table makes a connector; those of CPUs are found by index and by name', () => {
  const { nameOf, indexOf } = connectors();
  expect([nameOf(0x10000000), nameOf(0x80000008), indexOf('CPU 0'), indexOf('LMB 8')]).toEqual(['CPU 0', undefined, 0x10000000, undefined]);
});

test.each(Object.keys(TABLES))('no connectors without %s', (name) => {
  expect(connectors({ [name]: undefined }).indexOf('CPU 0')).toBeUndefined();
});

test('tables of no entries', () => {
  const none = connectors({ 'ibm,drc-indexes': encodeU32(0), 'ibm,drc-names': strings(0), 'ibm,drc-types': strings(0) });
  expect(none.indexOf('CPU 0')).toBeUndefined();
});

describe('ibm,drc-info', () => {
  /** One entry: type, prefix of the names, first index, first number, how many, step, power domain. */
  const entry = (type: string, prefix: string, ...words: number[]): Buffer =>
    Buffer.concat([Buffer.from(`${type}\0${prefix}\0`), encodeU32(...words, 0xffffffff)]);
  const info = (...entries: Buffer[]): Buffer => Buffer.concat([encodeU32(entries.length), ...entries]);
  const of = (bytes: Uint8Array): CpuConnectors => connectors({ 'ibm,drc-info': bytes });

  test('names are prefix and number, which go up in the same steps as the indexes; it comes before the old tables', () => {
    const { nameOf, indexOf } = of(info(entry('MEM', 'LMB ', 0x80000000, 0, 8, 1), entry('CPU', 'CPU ', 0x10000000, 1, 4, 8)));
    expect([0x10000000, 0x10000008, 0x10000018, 0x10000020, 0x10000001, 0x0fffffff, 0x80000000].map(nameOf)).toEqual([
      'CPU 1',
      'CPU 9',
      'CPU 25',
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
    expect(['CPU 1', 'CPU 9', 'CPU 25', 'CPU 33', 'CPU 2', 'CPU 09', 'CPU ', 'CPU 0', 'LMB 0'].map(indexOf)).toEqual([
      0x10000000,
      0x10000008,
      0x10000018,
      ...Array<undefined>(6).fill(undefined),
    ]);
  });

  test('several entries for CPUs, a step of 0, and billions in one', () => {
    const { nameOf, indexOf } = of(info(entry('CPU', 'CPU ', 0x1000, 0, 9, 0), entry('CPU', 'CPU ', 0x2000, 5, 0xffffffff, 1)));
    expect([nameOf(0x1000), nameOf(0x1001), nameOf(0x2003), indexOf('CPU 1')]).toEqual(['CPU 0', undefined, 'CPU 8', undefined]);
  });

  test('that is cut short, or has entries beyond all measure, is damage', () => {
    const whole = info(entry('CPU', 'CPU ', 0x1000, 0, 9, 1));
    for (let length = 0; length < whole.length; length += 1) {
      expect(thrown(() => of(whole.subarray(0, length)))).toMatchObject({ kind: 'input', problem: 'ibm,drc-info is cut short' });
    }
    expect(thrown(() => of(encodeU32(0x10000)))).toMatchObject({ kind: 'input', problem: 'ibm,drc-info has too many entries' });
  });
});

describe('the connector of a CPU that is not there', () => {
  const named = (...pairs: [number, string][]): CpuConnectors => {
    const byName = new Map(pairs.map(([index, name]) => [name, index]));
    return { nameOf: (index) => new Map(pairs).get(index), indexOf: (name) => byName.get(name) };
  };
  // As recorded on a POWER7 LPAR: names count from 1.
  const powervm = named([0x10000000, 'CPU 1'], [0x10000004, 'CPU 5'], [0x10000008, 'CPU 9']);
  const there = [
    { id: 0, index: 0x10000000 },
    { id: 4, index: 0x10000004 },
  ];

  test('is the one that is named after its id, where all are', () => {
    const qemu = cpuNumbering(named([0x20, 'CPU 0'], [0x50, 'CPU 4'], [0x99, 'CPU 8']), [
      { id: 0, index: 0x20 },
      { id: 4, index: 0x50 },
    ]);
    expect(qemu.connectorOf(8)).toEqual({ index: 0x99, how: 'the connector of this CPU in the DRC tables of /cpus' });
    expect([qemu.idOf(0x99), qemu.connectorOf(12), qemu.idOf(0x98)]).toEqual([8, undefined, undefined]);
  });

  test('is else as far from the id as all others, where a table lists it', () => {
    const numbering = cpuNumbering(powervm, there);
    expect(numbering.connectorOf(8)).toEqual({
      index: 0x10000008,
      how: 'as far from the id as those of all other CPUs, and in the DRC tables of /cpus',
    });
    expect([numbering.idOf(0x10000008), numbering.connectorOf(12), numbering.idOf(0x1000000c)]).toEqual([8, undefined, undefined]);
  });

  test('is not known where the CPUs that are there do not agree, are fewer than two, or are not listed', () => {
    for (const cpus of [[], there.slice(1), [...there, { id: 8, index: 0x10000004 }], [...there, { id: 0x40, index: 0x10000040 }]]) {
      const { connectorOf, idOf } = cpuNumbering(powervm, cpus);
      expect([connectorOf(8), idOf(0x10000008)]).toEqual([undefined, undefined]);
    }
  });
});

describe('tables that do not agree are damage', () => {
  test.each([
    ['an index less', { 'ibm,drc-indexes': encodeU32(2, 0x10000000) }, '1 indexes, 2 names, 2 types'],
    ['an index more', { 'ibm,drc-indexes': encodeU32(2, 1, 2, 3) }, '3 indexes, 2 names, 2 types'],
    ['a name less', { 'ibm,drc-names': strings(2, 'CPU 0') }, '2 indexes, 1 names, 2 types'],
    ['a type more', { 'ibm,drc-types': strings(2, 'CPU', 'MEM', 'CPU') }, '2 indexes, 2 names, 3 types'],
    ['another count of names', { 'ibm,drc-names': strings(3, 'CPU 0', 'LMB 8') }, '2 indexes, 2 names, 2 types'],
    ['another count of types', { 'ibm,drc-types': strings(1, 'CPU', 'MEM') }, '2 indexes, 2 names, 2 types'],
  ])('%s', (_, more, found) => {
    expect(thrown(() => connectors(more))).toMatchObject({
      kind: 'input',
      problem: 'the tables of connectors do not agree',
      details: { found, expected: '2 of each' },
    });
  });

  test('a table without its count', () => {
    expect(thrown(() => connectors({ 'ibm,drc-indexes': new Uint8Array(3) }))).toMatchObject({ kind: 'input' });
    expect(thrown(() => connectors({ 'ibm,drc-names': new Uint8Array(0) }))).toMatchObject({ kind: 'input' });
  });
});
