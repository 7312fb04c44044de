import { expect, test } from 'vitest';
import type { MachineState } from '../../src/machine/machine-state.js';
import type { DeviceTreeNode } from '../../src/machine/device-tree.js';
import { runsOf, topologyOf, type Core } from '../../src/report/cpu-topology.js';
import { renderReport } from '../../src/report/page.js';
import { cells, node, prop, type Item } from '../fdt/build.js';
import { build, partsOf } from '../helpers/build-image.js';
import { scratchFolder } from '../helpers/run.js';
import { pack, withSubject } from './samples.js';

const folder = scratchFolder();

function core(id: number, threads: readonly number[]): Item {
  return node(
    `PowerPC,POWER9@${id.toString(16)}`,
    prop('device_type', 'cpu'),
    prop('reg', cells(id)),
    prop('ibm,ppc-interrupt-server#s', cells(...threads)),
  );
}

function imageWith(name: string, cpus: readonly Item[]): string {
  const parts = partsOf('ppc64le');
  parts.cpus = [...cpus];
  return pack(folder, name, build(parts));
}

function machineWith(cores: readonly (readonly [number, readonly number[]])[]): MachineState {
  const text = (value: string): Uint8Array => Buffer.from(`${value}\0`);
  const cpus = cores.map(([id, threads]): DeviceTreeNode => ({
    name: `PowerPC,POWER9@${id.toString(16)}`,
    properties: new Map([
      ['device_type', text('cpu')],
      ['reg', cells(id)],
      ['ibm,ppc-interrupt-server#s', cells(...threads)],
    ]),
    children: [],
  }));
  const parent: DeviceTreeNode = { name: 'cpus', properties: new Map([['#address-cells', cells(1)]]), children: cpus };
  return { deviceTree: { root: { name: '', properties: new Map(), children: [parent] }, namesAreMadeUp: false } };
}

const told = (cores: readonly Core[]): string[] =>
  cores.map(
    ({ id, threads, states }) =>
      `${id}: ${threads.map((thread) => `${thread.id}${thread.state === undefined ? '' : ` ${thread.state}`}`).join(', ')} [${states.join()}]`,
  );

test('cores of the machine that the image lacks, whole or in part, and those that are gone', () => {
  const path = imageWith('cores.kdump', [core(0, [0, 1]), core(8, [8, 9]), core(16, [16, 17])]);
  const state = machineWith([
    [0, [0, 1]],
    [8, [8, 9, 10, 11]],
    [24, [24, 25]],
  ]);
  withSubject(
    path,
    (subject) => {
      expect(told(topologyOf(subject))).toEqual([
        '0: 0, 1 []',
        '8: 8, 9, 10 missing, 11 missing [differs,missing]',
        '16: 16 gone, 17 gone [gone]',
        '24: 24 missing, 25 missing [missing]',
      ]);
      const page = renderReport(subject);
      expect(page).toContain('CPUs 10-11, 24-25 of the machine are missing');
      expect(page).toContain('missing: a crash on it gives no dump (threads 10-11)');
    },
    { state },
  );
});

test('cores that were added, removed and changed since an earlier image', () => {
  const before = imageWith('cores-before.kdump', [core(0, [0]), core(1, [1]), core(2, [2])]);
  const after = imageWith('cores-after.kdump', [core(0, [0]), core(2, [2, 3]), core(4, [4])]);
  withSubject(
    after,
    (subject) => {
      expect(told(topologyOf(subject))).toEqual(['0: 0 []', '1: 1 removed [removed]', '2: 2, 3 [altered]', '4: 4 [added]']);
    },
    { before },
  );
});

test('neighbours that look the same are one run', () => {
  const of = (id: number, states: Core['states'] = [], threads = 1): Core => ({
    id,
    name: `cpu@${id}`,
    threads: Array.from({ length: threads }, (_, index) => ({ id: id + index })),
    states,
  });
  const runs = runsOf([of(0), of(1), of(2, ['missing']), of(3), of(4), of(5, [], 2)]);
  expect(runs.map(({ cores }) => cores.map(({ id }) => id))).toEqual([[0, 1], [2], [3, 4], [5]]);
});
