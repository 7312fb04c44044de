import { describe, expect, test } from 'vitest';
import { kdumpFdtFacts, type KdumpFdtFacts } from '../../src/image/chosen.js';
import type { Range } from '../../src/memory/range.js';
import { parseFdt } from '../../src/fdt/fdt.js';
import { buildFdt, cells, node, prop, type Item } from '../fdt/build.js';

const factsOf = (chosen: Item[], nodes: Item[] = [], reservations: [bigint, bigint][] = []): KdumpFdtFacts =>
  kdumpFdtFacts(
    parseFdt(buildFdt([prop('#address-cells', [2]), prop('#size-cells', [2]), node('chosen', ...chosen), ...nodes], { reservations })),
  );

describe('where the elfcorehdr is', () => {
  const fromBootargs = (bootargs: string): KdumpFdtFacts['elfcorehdr'] => factsOf([prop('bootargs', bootargs)]).elfcorehdr;
  const source = 'elfcorehdr= in bootargs';

  test.each([
    ['elfcorehdr=0x1000', 0x1000n, null],
    ['quiet elfcorehdr=4K nr_cpus=1', 0x1000n, null],
    ['elfcorehdr=512K@0x22000000', 0x22000000n, 0x80000n],
    ['elfcorehdr=1M@1G', 0x40000000n, 0x100000n],
  ])('%s', (bootargs, address, size) => {
    expect(fromBootargs(bootargs)).toEqual({ address, size, source });
  });

  test.each(['', 'xelfcorehdr=1', 'elfcorehdr=', 'elfcorehdr=1@', 'elfcorehdr=0x', 'elfcorehdr=1,2', 'elfcorehdr=12T'])(
    'not in: %s',
    (bootargs) => {
      expect(fromBootargs(bootargs)).toBeNull();
    },
  );

  test('linux,elfcorehdr counts before bootargs, if it has the right length', () => {
    const bootargs = prop('bootargs', 'elfcorehdr=0x1000');
    expect(factsOf([bootargs, prop('linux,elfcorehdr', cells(0, 0x2000, 0, 0x400))]).elfcorehdr).toEqual({
      address: 0x2000n,
      size: 0x400n,
      source: 'linux,elfcorehdr',
    });
    expect(factsOf([bootargs, prop('linux,elfcorehdr', cells(0x2000, 0x400))]).elfcorehdr).toMatchObject({ source });
  });

  test('nowhere', () => {
    expect(kdumpFdtFacts(parseFdt(buildFdt([])))).toEqual({
      bootargs: null,
      elfcorehdr: null,
      initrd: null,
      crashKernel: null,
      crashKernelRanges: [],
      cmaRanges: [],
    });
  });
});

describe('where the initrd is', () => {
  const initrd = (start: Uint8Array, end: Uint8Array): KdumpFdtFacts['initrd'] =>
    factsOf([prop('linux,initrd-start', start), prop('linux,initrd-end', end)]).initrd;

  test('in one cell or two', () => {
    expect(initrd(cells(0x1000), cells(0, 0x3000))).toEqual({ start: 0x1000n, end: 0x3000n });
  });

  test('nowhere, where a number has another length or the end does not follow', () => {
    expect(initrd(cells(0x1000), cells(0, 0, 0x3000))).toBeNull();
    expect(initrd(cells(0x1000), cells(0x1000))).toBeNull();
    expect(factsOf([prop('linux,initrd-start', cells(1))]).initrd).toBeNull();
  });
});

describe('the crashkernel range', () => {
  const header = (address: number): Item => prop('linux,elfcorehdr', cells(0, address, 0, 0x400));

  test('is the usable memory that holds the elfcorehdr', () => {
    const usable = prop('linux,usable-memory-range', cells(0, 0x1000, 0, 0x1000, 0, 0x8000, 0, 0x2000));
    expect(factsOf([header(0x9000), usable]).crashKernel).toEqual({ start: 0x8000n, end: 0xa000n });
    expect(factsOf([header(0xa000), usable]).crashKernel).toBeNull();
    expect(factsOf([usable]).crashKernel).toBeNull();
  });

  const GIB = 0x40000000;
  const above = (...pairs: [number, number, number][]): Item =>
    prop('linux,usable-memory-range', cells(...pairs.flatMap(([high, low, size]) => [high, low, 0, size])));
  const rangesOf = (...pairs: [number, number, number][]): Pick<KdumpFdtFacts, 'crashKernelRanges' | 'cmaRanges'> => {
    const { crashKernelRanges, cmaRanges } = factsOf([prop('linux,elfcorehdr', cells(1, 0x1000, 0, 0x400)), above(...pairs)]);
    return { crashKernelRanges, cmaRanges };
  };
  const HIGH = { start: 0x100000000n, end: 0x140000000n };
  const LOW = { start: 0x40000000n, end: 0x50000000n };

  test.each<[string, [number, number, number][], Range[], Range[]]>([
    ['a low one beside a high one', [[0, GIB, 0x10000000]], [LOW, HIGH], []],
    [
      'of CMA behind both',
      [
        [0, GIB, 0x10000000],
        [0, 2 * GIB, GIB],
      ],
      [LOW, { start: 0x80000000n, end: 0xc0000000n }, HIGH],
      [{ start: 0x80000000n, end: 0xc0000000n }],
    ],
    [
      'of CMA without a low one',
      [[2, 0, GIB]],
      [HIGH, { start: 0x200000000n, end: 0x240000000n }],
      [{ start: 0x200000000n, end: 0x240000000n }],
    ],
  ])('more ranges: %s', (_, pairs, crashKernelRanges, cmaRanges) => {
    expect(rangesOf([1, 0, GIB], ...pairs)).toEqual({ crashKernelRanges, cmaRanges });
  });

  test('more ranges: of CMA below a range that is low itself', () => {
    const usable = prop('linux,usable-memory-range', cells(0, 0x8000, 0, 0x2000, 0, 0x1000, 0, 0x1000));
    expect(factsOf([header(0x9000), usable]).cmaRanges).toEqual([{ start: 0x1000n, end: 0x2000n }]);
  });

  const BELOW: [bigint, bigint] = [0x10000n, 0x30000n];
  const memory = (...values: number[]): Item => node('memory@0', prop('linux,usable-memory', cells(...values)));

  test('of ppc64 lies behind the memory that is reserved from 64 KiB on, up to the end of usable memory', () => {
    expect(factsOf([header(0x50000)], [memory(0, 0, 0, 0x80000)], [BELOW]).crashKernel).toEqual({ start: 0x40000n, end: 0x80000n });
    // Usable memory in two nodes that touch, and in the table of LMBs: one set of two ranges.
    const drconf = node(
      'ibm,dynamic-reconfiguration-memory',
      prop('linux,drconf-usable-memory', cells(0, 2, 0, 0x60000, 0, 0x20000, 0, 0x80000, 0, 0x10000)),
    );
    expect(factsOf([header(0x50000)], [memory(0, 0, 0, 0x60000), drconf], [BELOW]).crashKernel).toEqual({ start: 0x40000n, end: 0x90000n });
  });

  test.each<[string, Item[], [bigint, bigint][]]>([
    ['nothing is reserved from 64 KiB on', [memory(0, 0, 0, 0x80000)], [[0x20000n, 0x20000n]]],
    ['that reservation is empty', [memory(0, 0, 0, 0x80000)], [[0x10000n, 0n]]],
    ['no usable memory goes on there', [memory(0, 0, 0, 0x40000)], [BELOW]],
    ['there is none', [], [BELOW]],
    ['the elfcorehdr lies elsewhere', [memory(0, 0, 0, 0x48000)], [BELOW]],
    [
      'the table of LMBs is cut',
      [node('ibm,dynamic-reconfiguration-memory', prop('linux,drconf-usable-memory', cells(0, 3, 0, 0, 0, 0x80000)))],
      [BELOW],
    ],
  ])('is not told where %s', (_, nodes, reservations) => {
    expect(factsOf([header(0x50000)], nodes, reservations).crashKernel).toBeNull();
  });
});
