import { describe, expect, test } from 'vitest';
import { sizeOf, type Range } from '../../../src/memory/range.js';
import { density, hasGroups, isTiny, memoryMapOf, windowsOf, type Lane, type MapEntry } from '../../../src/report/map/memory-map.js';

const MIB = 1n << 20n;
const GIB = 1n << 30n;

const entry = (start: bigint, end: bigint, kind: MapEntry['kind'] = 'ram'): MapEntry => ({ range: { start, end }, kind, label: kind });
const lane = (...entries: MapEntry[]): Lane => ({ name: 'lane', entries });
const marksOf = (lanes: readonly Lane[], window?: Range): ReturnType<typeof memoryMapOf>['lanes'][number]['marks'] =>
  memoryMapOf(lanes, window).lanes.flatMap(({ marks }) => marks);

test('marks lie where their addresses do', () => {
  const [low, high] = marksOf([lane(entry(0n, GIB), entry(3n * GIB, 4n * GIB))]).map(({ from, to }) => [from, to]);
  // The hole of 2 GiB is longer than 40 % of the 2 GiB of memory, and gets 3 %.
  expect(low).toEqual([0, 48.5]);
  expect(high).toEqual([51.5, 100]);
});

test('all lanes have one scale', () => {
  const [whole, half] = marksOf([lane(entry(0n, 2n * GIB)), lane(entry(GIB, 2n * GIB))]);
  expect([whole?.from, whole?.to, half?.from, half?.to]).toEqual([0, 100, 50, 100]);
});

test('what is too small to see is known as that', () => {
  const [ram, backup] = marksOf([lane(entry(0x10000n, GIB), entry(0n, 0x10000n, 'backup'))]);
  expect([ram, backup].map((mark) => mark !== undefined && isTiny(mark))).toEqual([false, true]);
});

test('a window has only what is in it, cut to it', () => {
  const marks = marksOf([lane(entry(0n, GIB), entry(2n * GIB, 3n * GIB))], { start: GIB / 2n, end: GIB + GIB / 2n });
  expect(marks.map(({ from, to, range }) => ({ from, to, range }))).toEqual([{ from: 0, to: 50, range: { start: 0n, end: GIB } }]);
});

describe('thousands of ranges', () => {
  const many = Array.from({ length: 8192 }, (_, index) => entry(BigInt(index) * 4n * MIB, BigInt(index) * 4n * MIB + 3n * MIB));

  test('become hundreds of marks that stand for all of them', () => {
    const marks = marksOf([lane(...many)]);
    expect(marks.length).toBeGreaterThan(100);
    expect(marks.length).toBeLessThan(1000);
    expect(marks.reduce((sum, { count }) => sum + count, 0)).toBe(8192);
    expect(marks.reduce((sum, { covered }) => sum + covered, 0n)).toBe(8192n * 3n * MIB);
  });

  test('say how much of what they span is memory', () => {
    const [first] = marksOf([lane(...many)]);
    if (first === undefined) expect.fail('no marks');
    expect(first.covered < sizeOf(first.range)).toBe(true);
    expect(density(first)).toBeCloseTo(0.75, 1);
  });

  test('keep kinds apart: one that is missing is not lost among the others', () => {
    const marks = marksOf([lane(...many, entry(4096n * 4n * MIB + 3n * MIB, 4096n * 4n * MIB + 4n * MIB, 'missing'))]);
    expect(marks.filter(({ kind }) => kind === 'missing')).toHaveLength(1);
  });

  test('have no enlarged parts', () => {
    const map = memoryMapOf([lane(...many)]);
    expect(hasGroups(map)).toBe(true);
    expect(windowsOf(map)).toEqual([]);
  });
});

describe('enlarged parts', () => {
  test('show small ranges that lie together, with a margin', () => {
    const map = memoryMapOf([
      lane(entry(0n, 4n * GIB, 'crashkernel'), entry(GIB, GIB + MIB, 'segment'), entry(GIB + 2n * MIB, GIB + 8n * MIB, 'segment')),
    ]);
    expect(windowsOf(map)).toEqual([{ start: GIB - MIB, end: GIB + 9n * MIB }]);
  });

  test('do not show a range that is alone, however often it comes', () => {
    const map = memoryMapOf([lane(entry(0n, 4n * GIB), entry(GIB, GIB + MIB, 'firmware')), lane(entry(GIB, GIB + MIB, 'firmware'))]);
    expect(windowsOf(map)).toEqual([]);
  });

  test('leave out what has a map of its own', () => {
    const map = memoryMapOf([
      lane(entry(0n, 4n * GIB), entry(GIB, GIB + MIB, 'segment'), entry(GIB + 2n * MIB, GIB + 8n * MIB, 'segment')),
    ]);
    expect(windowsOf(map, { start: GIB, end: 2n * GIB })).toEqual([]);
  });

  test('are few, and have what matters before what does not', () => {
    const pair = (at: bigint, kind: MapEntry['kind']): MapEntry[] => [entry(at, at + MIB, kind), entry(at + 2n * MIB, at + 3n * MIB, kind)];
    const entries = [1n, 2n, 3n, 4n, 5n].flatMap((at) => pair(at * 16n * GIB, at === 5n ? 'missing' : 'segment'));
    const windows = windowsOf(memoryMapOf([lane(entry(0n, 128n * GIB), ...entries)]));
    expect(windows).toHaveLength(3);
    expect(windows.at(-1)?.start).toBe(80n * GIB - (3n * MIB) / 8n);
  });
});
