import { expect, test } from 'vitest';
import { ppc64le } from '../../src/arch/ppc64.js';
import { riscv64 } from '../../src/arch/riscv64.js';
import { cpusOf } from '../../src/description/cpus.js';
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
