import { describe, expect, test } from 'vitest';
import { ppc64le } from '../../src/arch/ppc64.js';
import { riscv64 } from '../../src/arch/riscv64.js';
import { coreIds, cpusOf } from '../../src/description/cpus.js';
import { parseFdt, type Fdt } from '../../src/fdt/fdt.js';
import { buildFdt, cells, node, prop, type Item } from '../fdt/build.js';
import { thrown } from '../helpers/thrown.js';

const SERVERS = 'ibm,ppc-interrupt-server#s';
const withCpus = (...items: Item[]): Fdt => parseFdt(buildFdt([node('cpus', prop('#address-cells', cells(1)), ...items)]));
const cpu = (name: string, ...items: Item[]): Item => node(name, prop('device_type', 'cpu'), ...items);

test('the children of /cpus that are CPUs, in their order, with their threads', () => {
  const fdt = withCpus(
    cpu('PowerPC,POWER9@8', prop('reg', cells(8)), prop(SERVERS, cells(8, 9))),
    node('l2-cache@1', prop('device_type', 'cache'), prop('reg', cells(1))),
    node('cpu-map'),
    cpu('PowerPC,POWER9@0', prop('reg', cells(0))),
  );
  const found = cpusOf(fdt, ppc64le);
  expect(found.map(({ node: { name }, id, threads }) => ({ name, id, threads }))).toEqual([
    { name: 'PowerPC,POWER9@8', id: 8, threads: [8, 9] },
    { name: 'PowerPC,POWER9@0', id: 0, threads: [0] },
  ]);
  // Where the architecture lists no threads, the property is one like any other.
  expect(cpusOf(fdt, riscv64)[0]?.threads).toEqual([8]);
});

test.each([
  ['no /cpus', parseFdt(buildFdt([])), 'there is no /cpus node'],
  ['no id', withCpus(cpu('cpu@1')), 'CPU node cpu@1 has no id'],
  [
    'threads that are no cells',
    withCpus(cpu('cpu@1', prop('reg', cells(1)), prop(SERVERS, new Uint8Array(2)))),
    'the threads of CPU node cpu@1',
  ],
  ['ids of three cells', parseFdt(buildFdt([node('cpus', prop('#address-cells', cells(3)))])), '#address-cells of /cpus'],
])('%s is damage of the FDT', (_, fdt, problem) => {
  expect(thrown(() => cpusOf(fdt, ppc64le))).toMatchObject({
    kind: 'input',
    problem: expect.stringContaining(problem) as string,
    details: { segment: 'fdt' },
  });
});

describe('the core of an id', () => {
  const core = (...threads: number[]): { id: number; threads: number[] } => ({ id: threads[0] ?? 0, threads });

  test('is the one that has it, as its own or its thread’s: the first where damage gives it to two', () => {
    const coreOf = coreIds([core(8, 9), { id: 4, threads: [5] }, core(9, 10)], ppc64le);
    expect([8, 9, 4, 5, 10].map(coreOf)).toEqual([8, 8, 4, 4, 9]);
  });

  test('of none is that of a core to come, as wide as the last one, where ids go by cores', () => {
    // Not the last of the FDT: the one of the largest id.
    const cores = [core(8, 9, 10, 11), core(0, 1)];
    expect([13, 15, 16].map(coreIds(cores, ppc64le))).toEqual([12, 12, 16]);
    expect([13, 15].map(coreIds(cores.reverse(), ppc64le))).toEqual([12, 12]);
    expect(coreIds(cores, riscv64)(13)).toBe(13);
    expect(coreIds([], ppc64le)(13)).toBe(13);
    expect(coreIds([{ id: 0, threads: [] }], ppc64le)(13)).toBe(13);
  });
});
