import { describe, expect, test } from 'vitest';
import { parseDlpar } from '../../src/machine/events/dlpar.js';
import { cpuOfDrc, memoryOfDrc } from '../../src/machine/events/drc.js';
import { EventReader, type HotplugEvent } from '../../src/machine/events/event-reader.js';
import { LineSplitter, MAX_EVENT_LINE } from '../../src/machine/events/lines.js';
import type { DeviceTreeNode } from '../../src/machine/device-tree.js';
import { encodeU32 } from '../../src/fdt/cells.js';
import { thrown } from '../helpers/thrown.js';

const BLOCK = ['ACTION=online', 'DEVPATH=/devices/system/memory/memory32', 'SUBSYSTEM=memory', 'SEQNUM=7', ''].join('\n');
const KERNEL = 'KERNEL[12.5] online   /devices/system/memory/memory32 (memory)\n';
const UDEV = 'UDEV  [12.6] online   /devices/system/memory/memory32 (memory)\n';

/** What a whole stream gives, in lines such as `2 udev online memory32`. */
function read(text: string | Uint8Array): string[] {
  const reader = new EventReader();
  return [...reader.push(Buffer.from(text)), ...reader.end()].map(shown);
}

function shown(event: HotplugEvent): string {
  return `${event.line} ${event.source} ${event.source === 'unknown' ? event.error.problem : event.text}`;
}

describe('lines', () => {
  test('are the same in whatever pieces they arrive', () => {
    const text = Buffer.from('one\r\n\n\u00e4\u00f6\nlast');
    for (let size = 1; size <= text.length; size += 1) {
      const splitter = new LineSplitter();
      const lines = [];
      for (let at = 0; at < text.length; at += size) lines.push(...splitter.push(text.subarray(at, at + size)));
      expect(lines.map((line) => line.text)).toEqual(['one', '', '\u00e4\u00f6']);
      expect(splitter.end()).toEqual({ number: 4, text: 'last', state: 'cut' });
    }
  });

  test('that have no end take no memory', () => {
    const splitter = new LineSplitter();
    const piece = new Uint8Array(1 << 16).fill(0x61);
    for (let i = 0; i < 1000; i += 1) splitter.push(piece);
    expect(JSON.stringify(splitter).length).toBeLessThan(10_000);
    const [line] = splitter.push(Buffer.from('\nnext'));
    expect(line).toMatchObject({ number: 1, state: 'too long' });
    expect(splitter.end()).toEqual({ number: 2, text: 'next', state: 'cut' });
  });
});

describe('udev events', () => {
  test.each<[string, string, string[]]>([
    ['a block of properties', `${BLOCK}\n`, ['1 udev online memory32']],
    ['without the blank line behind it', BLOCK, ['1 udev online memory32']],
    ['reported by the kernel and by udev', `${KERNEL}${BLOCK}\n${UDEV}${BLOCK}\n`, ['1 udev online memory32']],
    ['reported by udev alone', `${UDEV}${BLOCK}\n`, ['1 udev online memory32']],
    ['twice by the kernel', `${KERNEL}${BLOCK}\n${KERNEL}${BLOCK}\n`, ['1 udev online memory32', '7 udev online memory32']],
    ['headers alone, as without --property', `${KERNEL}${UDEV}`, ['1 udev online memory32']],
    [
      'what udevadm says first',
      `monitor will print the received events for:\nUDEV - x\nKERNEL - the kernel uevent\n\n${BLOCK}`,
      ['5 udev online memory32'],
    ],
    ['with CRLF', `${KERNEL}${BLOCK}\n`.replaceAll('\n', '\r\n'), ['1 udev online memory32']],
    ['with /sys in front', BLOCK.replace('=/dev', '=/sys/dev'), ['1 udev online memory32']],
    ['one right behind another', BLOCK + BLOCK.replace('32', '33'), ['1 udev online memory32', '5 udev online memory33']],
    ['of another kind', 'ACTION=add\nSUBSYSTEM=net\nDEVPATH=/devices/virtual/net/lo\n\n', ['1 udev add net lo']],
    ['not whole', 'ACTION=online\nSUBSYSTEM=memory\n\n', ['1 unknown a udev event is not whole']],
    [
      'cut in its path: that could be another block',
      'ACTION=online\nSUBSYSTEM=memory\nDEVPATH=/devices/system/memory/memory3',
      ['1 unknown a udev event is not whole'],
    ],
    ['cut behind what matters', `${BLOCK}SEQ`, ['1 udev online memory32', '5 unknown the input ends in the middle of a line']],
    [
      'whose header says something else',
      `${KERNEL}${BLOCK.replace('online', 'offline')}\n`,
      ['1 unknown header and ACTION of a udev event differ'],
    ],
  ])('%s', (_, text, expected) => {
    expect(read(text)).toEqual(expected);
  });
});

test('of events of which one report came, only the last few thousand wait for the other', () => {
  const reader = new EventReader();
  const header = (source: string, number: number): Buffer =>
    Buffer.from(`${source}[1.0] online /devices/system/memory/memory${number} (memory)\n\n`);
  const count = (source: string, number: number): number => reader.push(header(source, number)).length;
  for (let number = 0; number <= 4096; number += 1) expect(count('KERNEL', number)).toBe(1);
  // The first is forgotten, so the other report of it counts as an event; that of the last does not.
  expect(count('UDEV  ', 4096)).toBe(0);
  expect(count('UDEV  ', 0)).toBe(1);
});

describe('a stream of all kinds', () => {
  const TEXT = `{"action":"add","cpu":{"id":2}}\n${KERNEL}${BLOCK}memory add index 0x8000001f\n\n  cpu remove index 0x10000008 \n{"changes":[{"action":"online","memory":{"start":"0x80000000","size":"256M"}},{"action":"remove","cpu":{"id":1}}]}\n`;
  const EVENTS = [
    '1 change add CPU 2',
    '2 udev online memory32',
    '7 dlpar memory add index 0x8000001f',
    '9 dlpar cpu remove index 0x10000008',
    '10 change add memory 0x80000000-0x8fffffff (256 MiB)',
    '10 change remove CPU 1',
  ];

  test('is read line by line, in whatever pieces it arrives', () => {
    expect(read(TEXT)).toEqual(EVENTS);
    const bytes = Buffer.from(TEXT);
    for (const size of [1, 2, 3, 7, 64]) {
      const reader = new EventReader();
      const events = [];
      for (let at = 0; at < bytes.length; at += size) events.push(...reader.push(bytes.subarray(at, at + size)));
      expect([...events, ...reader.end()].map(shown)).toEqual(EVENTS);
    }
  });

  test.each([
    ['nonsense\n', '1 unknown not an event'],
    ['{"action":"add"\n', '1 unknown not JSON'],
    ['\n\n{"action":"ad","cpu":{"id":1}}\n', '3 unknown wrong value'],
    ['memory add index 0x8000001', '1 unknown the input ends in the middle of a line'],
    ['memory add index 0x8000001f', '1 dlpar memory add index 0x8000001f'],
    ['{"action":"add","cpu":{"id":2}}', '1 change add CPU 2'],
    [`${'x'.repeat(MAX_EVENT_LINE + 1)}\n`, '1 unknown line is too long'],
  ])('%#: a line that is wrong, or is cut', (text, expected) => {
    expect(read(text)).toEqual([expected]);
  });

  test('the line of an error in JSON is that of the stream', () => {
    const reader = new EventReader();
    const [event] = reader.push(Buffer.from('\n\n{"action":"add","cpu":{"id":true}}\n{"a" 1}\n')).slice(-1);
    expect(event?.source === 'unknown' && event.error.details.segment).toBe('line 4, column 6');
  });

  test('bytes of any kind', () => {
    const bytes = new Uint8Array(4096).map((_, index) => (index * 73 + (index >> 5)) & 0xff);
    expect(read(bytes).every((line) => line.includes(' unknown '))).toBe(true);
  });
});

describe('DLPAR strings', () => {
  test.each([
    ['memory add index 0x8000001f', { resource: 'memory', action: 'add', index: 0x8000001f, count: 1 }],
    ['memory remove indexed-count 4 0x8000001f', { resource: 'memory', action: 'remove', index: 0x8000001f, count: 4 }],
    ['cpu add index 268435464', { resource: 'cpu', action: 'add', index: 0x10000008, count: 1 }],
  ])('%s', (text, expected) => {
    expect(parseDlpar(text)).toEqual(expected);
  });

  test.each([
    ['memory add count 4', 'refused'],
    ['pmem add index 0x80000010', 'refused'],
    ['memory add index 010', 'usage'],
    ['memory add index 0x1ffffffff', 'usage'],
    ['memory add index -1', 'usage'],
    ['memory add index 1 2', 'usage'],
    ['memory add indexed-count 0 0x80000000', 'usage'],
    ['memory add indexed-count 4', 'usage'],
    ['cpu add indexed-count 2 0x10000000', 'usage'],
    ['memory grow index 1', 'usage'],
    ['memory add', 'usage'],
  ])('%s is not made', (text, kind) => {
    expect(thrown(() => parseDlpar(text))).toMatchObject({ kind });
  });
});

const node = (name: string, properties: Record<string, Uint8Array>, children: DeviceTreeNode[] = []): DeviceTreeNode => ({
  name,
  properties: new Map(Object.entries(properties)),
  children,
});
const strings = (...values: string[]): Uint8Array =>
  Buffer.concat([encodeU32(values.length), Buffer.from(values.map((each) => `${each}\0`).join(''))]);
const CELLS = { '#address-cells': encodeU32(2), '#size-cells': encodeU32(2) };
const lmbs = (properties: Record<string, Uint8Array>): DeviceTreeNode =>
  node('', CELLS, [node('ibm,dynamic-reconfiguration-memory', { 'ibm,lmb-size': encodeU32(0, 0x1000_0000), ...properties })]);

describe('connectors of memory', () => {
  // Two sets: eight blocks at 0 that are reserved, three at 2 GiB, and two at 6 GiB.
  const v2 = lmbs({
    'ibm,dynamic-memory-v2': encodeU32(
      3,
      8,
      0,
      0,
      0xffffffff,
      0,
      0xa0,
      3,
      0,
      0x8000_0000,
      0x80000008,
      0,
      0,
      2,
      1,
      0x8000_0000,
      0x80000018,
      0,
      8,
    ),
  });
  const v1 = lmbs({ 'ibm,dynamic-memory': encodeU32(2, 0, 0x8000_0000, 0x80000008, 0, 0, 0, 1, 0x8000_0000, 0x80000018, 0, 0, 8) });
  const starts = (root: DeviceTreeNode, index: number, count: number): string[] =>
    memoryOfDrc(root, index, count).map(({ start }) => start.toString(16));

  test('are those of ibm,dynamic-memory-v2', () => {
    expect(memoryOfDrc(v2, 0x80000009, 1)).toEqual([{ start: 0x9000_0000n, end: 0xa000_0000n }]);
    expect(starts(v2, 0x80000009, 3)).toEqual(['90000000', 'a0000000', '180000000']);
  });

  test('have addresses of two cells and sizes of one where the root does not say otherwise', () => {
    const bare = node('', {}, [
      node('ibm,dynamic-reconfiguration-memory', {
        'ibm,lmb-size': encodeU32(0x1000_0000),
        'ibm,dynamic-memory': encodeU32(1, 1, 0, 8, 0, 0, 8),
      }),
    ]);
    expect(starts(bare, 8, 1)).toEqual(['100000000']);
  });

  test('or of ibm,dynamic-memory', () => {
    expect(starts(v1, 0x80000008, 2)).toEqual(['80000000', '180000000']);
  });

  test.each([
    ['of no block', v2, 0x80000007, 1],
    ['of the reserved ones', v2, 0xffffffff, 1],
    ['too few behind it', v2, 0x80000018, 3],
    ['no such node', node('', CELLS), 0x80000008, 1],
    ['a block that is reserved', lmbs({ 'ibm,dynamic-memory': encodeU32(1, 0, 0, 0x80000008, 0, 0, 0x80) }), 0x80000008, 1],
  ])('refused: %s', (_, root, index, count) => {
    expect(thrown(() => memoryOfDrc(root, index, count))).toMatchObject({ kind: 'refused' });
  });

  test.each([
    ['a table that is cut', lmbs({ 'ibm,dynamic-memory-v2': encodeU32(2, 8, 0, 0, 1, 0, 0) })],
    ['a size that is no power of two', lmbs({ 'ibm,lmb-size': encodeU32(0, 3), 'ibm,dynamic-memory': encodeU32(0) })],
    ['a table that is cut, of the first form', lmbs({ 'ibm,dynamic-memory': encodeU32(2, 0, 0, 8, 0, 0, 0) })],
    ['no table', lmbs({})],
    ['no size', node('', CELLS, [node('ibm,dynamic-reconfiguration-memory', { 'ibm,dynamic-memory': encodeU32(0) })])],
    ['a size of other cells', lmbs({ 'ibm,lmb-size': encodeU32(0x1000_0000), 'ibm,dynamic-memory': encodeU32(0) })],
    [
      'addresses of three cells',
      node('', { ...CELLS, '#address-cells': encodeU32(3) }, [...lmbs({ 'ibm,dynamic-memory': encodeU32(0) }).children]),
    ],
    ['an address beyond 2^64', lmbs({ 'ibm,dynamic-memory': encodeU32(1, 0xffffffff, 0xffffffff, 8, 0, 0, 0) })],
  ])('damaged: %s', (_, root) => {
    expect(thrown(() => memoryOfDrc(root, 8, 1))).toMatchObject({ kind: 'input' });
  });
});

describe('connectors of CPUs', () => {
  const cpu = (id: number, index: number): DeviceTreeNode =>
    node(`PowerPC,POWER9@${id.toString(16)}`, { reg: encodeU32(id), 'ibm,my-drc-index': encodeU32(index) });
  const tables = {
    '#address-cells': encodeU32(1),
    'ibm,drc-indexes': encodeU32(3, 0x10000000, 0x10000008, 0x10000010),
    'ibm,drc-names': strings('CPU 0', 'CPU 8', 'CPU 16'),
    'ibm,drc-types': strings('CPU', 'CPU', 'CPU'),
  };
  const tree = (children: DeviceTreeNode[], properties: Record<string, Uint8Array> = tables): DeviceTreeNode =>
    node('', {}, [node('cpus', properties, children)]);

  test('are those of their nodes, or of the tables', () => {
    expect(cpuOfDrc(tree([cpu(0, 0x10000000)]), 0x10000000)).toBe(0);
    expect(cpuOfDrc(tree([cpu(0, 0x10000000)]), 0x10000010)).toBe(16);
    // The node counts, whatever the tables say.
    expect(cpuOfDrc(tree([cpu(5, 0x10000010)]), 0x10000010)).toBe(5);
  });

  test('of which names count in another way are as far from ids as all others', () => {
    const powervm = { ...tables, 'ibm,drc-names': strings('CPU 1', 'CPU 9', 'CPU 17') };
    expect(cpuOfDrc(tree([cpu(0, 0x10000000), cpu(8, 0x10000008)], powervm), 0x10000010)).toBe(16);
  });

  test.each([
    ['no such connector', tree([cpu(0, 0x10000000)]), 0x10000018],
    ['names that do not go by the id', tree([cpu(1, 0x10000000)]), 0x10000008],
    ['no node to tell what names go by', tree([]), 0x10000008],
    ['of another type', tree([cpu(0, 0x10000000)], { ...tables, 'ibm,drc-types': strings('CPU', 'MEM', 'CPU') }), 0x10000008],
    ['no tables', tree([cpu(0, 0x10000000)], { '#address-cells': encodeU32(1) }), 0x10000008],
    ['an ibm,drc-info without it', tree([cpu(0, 0x10000000)], { ...tables, 'ibm,drc-info': encodeU32(0) }), 0x10000008],
    ['no connector of the CPU that is there', tree([node('PowerPC,POWER9@0', { reg: encodeU32(0) })]), 0x10000008],
    ['no /cpus', node('', {}), 0x10000008],
  ])('refused: %s', (_, root, index) => {
    expect(thrown(() => cpuOfDrc(root, index))).toMatchObject({ kind: 'refused' });
  });

  test('tables that do not agree, and a connected CPU without an id, are damage', () => {
    const short = { ...tables, 'ibm,drc-names': strings('CPU 0') };
    expect(thrown(() => cpuOfDrc(tree([cpu(0, 0x10000000)], short), 8))).toMatchObject({
      kind: 'input',
      details: { segment: 'device tree' },
    });
    const nameless = node('PowerPC,POWER9@0', { 'ibm,my-drc-index': encodeU32(8) });
    expect(thrown(() => cpuOfDrc(tree([nameless]), 8))).toMatchObject({ kind: 'input', details: { found: 'no reg property' } });
  });

  test('ids have two cells where /cpus does not say otherwise', () => {
    const without = Object.fromEntries(Object.entries(tables).filter(([name]) => name !== '#address-cells'));
    const wide = node('PowerPC,POWER9@5', { reg: encodeU32(0, 5), 'ibm,my-drc-index': encodeU32(0x10000010) });
    expect(cpuOfDrc(tree([wide], without), 0x10000010)).toBe(5);
    expect(thrown(() => cpuOfDrc(tree([cpu(5, 0x10000010)], without), 0x10000010))).toMatchObject({
      kind: 'input',
      details: { found: 'reg of 4 bytes', expected: 'reg of 8 bytes' },
    });
  });
});
