import { describe, expect, test } from 'vitest';
import { connectorsOf, type Connector } from '../../src/arch/drc-tables.js';
import { encodeU32 } from '../../src/fdt/cells.js';
import { thrown } from '../helpers/thrown.js';

const strings = (count: number, ...values: string[]): Uint8Array =>
  Buffer.concat([encodeU32(count), Buffer.from(values.map((each) => `${each}\0`).join(''))]);

const TABLES: Record<string, Uint8Array> = {
  'ibm,drc-indexes': encodeU32(2, 0x10000000, 0x80000008),
  'ibm,drc-names': strings(2, 'CPU 0', 'LMB 8'),
  'ibm,drc-types': strings(2, 'CPU', 'MEM'),
};

const connectors = (more: Record<string, Uint8Array | undefined> = {}): Connector[] =>
  connectorsOf((name) => ({ ...TABLES, ...more })[name]);

test('one entry of each table makes a connector', () => {
  expect(connectors()).toEqual([
    { index: 0x10000000, name: 'CPU 0', type: 'CPU' },
    { index: 0x80000008, name: 'LMB 8', type: 'MEM' },
  ]);
});

test.each(Object.keys(TABLES))('no connectors without %s', (name) => {
  expect(connectors({ [name]: undefined })).toEqual([]);
});

test('tables of no entries', () => {
  expect(connectors({ 'ibm,drc-indexes': encodeU32(0), 'ibm,drc-names': strings(0), 'ibm,drc-types': strings(0) })).toEqual([]);
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
