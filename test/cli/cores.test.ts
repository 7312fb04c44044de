import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { buildFdt, cells, node, prop, type Item } from '../fdt/build.js';
import { build, packedFile, partsOf } from '../helpers/build-image.js';
import { runHere } from '../helpers/run-here.js';
import { scratchFolder } from '../helpers/run.js';

/*
 * Cores of several threads, by all ways in which CPUs are told. The numbering is that of an LPAR with 13 cores of eight threads of which one was
 * taken out: ids are no longer without a gap (powerpc-utils, pull request 104). The nodes are made up.
 */

const folder = scratchFolder();
const SERVERS = 'ibm,ppc-interrupt-server#s';
const FULL = Array.from({ length: 13 }, (_, index) => 8 * index);
const without = (...gone: number[]): number[] => FULL.filter((id) => !gone.includes(id));

function core(id: number, width = 8): Item {
  const threads = Array.from({ length: width }, (_, index) => id + index);
  return node(`PowerPC,POWER11@${id.toString(16)}`, prop('device_type', 'cpu'), prop('reg', cells(id)), prop(SERVERS, cells(...threads)));
}

let files = 0;
const next = (name: string): string => join(folder, `${(files += 1)}-${name}`);

function imageWith(ids: readonly number[], width = 8): string {
  const parts = partsOf('ppc64le', { cpus: 2, hotplug: true });
  parts.cpus = ids.map((id) => core(id, width));
  parts.fdtSlack = 0x1000;
  return packedFile(next('image.kdump'), build(parts)).path;
}

/** A live tree as a dtb. */
function treeWith(ids: readonly number[], width = 8): string {
  const path = next('live.dtb');
  writeFileSync(path, buildFdt([node('cpus', prop('#address-cells', cells(1)), ...ids.map((id) => core(id, width)))]));
  return path;
}

const idsIn = (image: string): number[] => {
  const { fdt } = JSON.parse(runHere(['inspect', image, '--json']).stdout) as { fdt: { cpus: { id: number }[] } };
  return fdt.cpus.map(({ id }) => id).sort((a, b) => a - b);
};
interface Planned {
  changes: { action: string; made: boolean; reason?: string; refused?: true }[];
  findings: { severity: string; code: string; message: string }[];
}
function run(args: readonly string[], status = 0): Planned {
  const result = runHere([...args, '--json']);
  expect(result).toMatchObject({ status, stderr: '' });
  return JSON.parse(result.stdout) as Planned;
}

describe('a core goes once, whoever tells it', () => {
  const ndjson = (...ids: number[]): string => ids.map((id) => JSON.stringify({ changes: [{ action: 'remove', cpu: { id } }] })).join('\n');

  test.each<[string, string[]]>([
    ['by all of its threads', ['--remove-cpu', '40-47']],
    ['by some of them', ['--remove-cpu', '41,47']],
    ['by one option for each', ['--remove-cpu', '40', '--remove-cpu', '41']],
    ['twice', ['--remove-cpu', '40,40']],
  ])('%s', (_, changes) => {
    const image = imageWith(FULL);
    const { changes: made } = run(['apply', image, ...changes, '--prune-cpus']);
    expect(made.every((change) => change.made)).toBe(true);
    expect(idsIn(image)).toEqual(without(40));
  });

  test('by a change file', () => {
    const file = next('changes.json');
    writeFileSync(file, ndjson(40, 41, 42));
    const image = imageWith(FULL);
    run(['apply', image, '--changes', file, '--prune-cpus']);
    expect(idsIn(image)).toEqual(without(40));
  });

  test('by the state of the machine: cpu-gone is told once, and sync takes it out', () => {
    const image = imageWith(FULL);
    const live = treeWith(without(40));
    const gone = JSON.parse(runHere(['check', image, '--device-tree', live, '--json']).stdout) as Planned & { extraCpus: number[] };
    expect(gone.extraCpus).toEqual([40, 41, 42, 43, 44, 45, 46, 47]);
    expect(gone.findings.filter(({ code }) => code === 'cpu-gone').map(({ message }) => message)).toEqual([
      'CPU 40 (threads 40-47) is in the FDT and not in the device tree of the machine',
    ]);
    expect(run(['sync', image, '--device-tree', live]).changes).toEqual([{ action: 'remove', cpu: { id: 40 }, made: true }]);
    expect(idsIn(image)).toEqual(without(40));
  });

  test('without --prune-cpus its node stays, in one line', () => {
    const { stdout } = runHere(['plan', imageWith(FULL), '--remove-cpu', '40-47']);
    expect(stdout.split('\n').filter((line) => line.startsWith('='))).toEqual([
      '= remove CPU 40-47: the node PowerPC,POWER11@28 stays, as the kernel leaves it; --prune-cpus deletes it',
    ]);
  });

  test('all cores cannot go, whichever was named last', () => {
    const { status, stderr } = runHere(['plan', imageWith([0, 8]), '--remove-cpu', '0-15', '--prune-cpus']);
    expect(status).toBe(4);
    expect(stderr).toContain('the last CPU of the FDT');
  });
});

describe('cores that come', () => {
  test('by all of their threads are one node each', () => {
    const image = imageWith(FULL);
    const { changes } = run(['apply', image, '--add-cpu', '104-119']);
    expect(changes.every(({ made }) => made)).toBe(true);
    expect(idsIn(image)).toEqual([...FULL, 104, 112]);
  });

  test('while another one goes: with the new tree the FDT has just its CPUs, in whatever order they are told', () => {
    const live = treeWith([...without(40), 104]);
    for (const changes of [
      ['--remove-cpu', '40-47', '--add-cpu', '104'],
      ['--add-cpu', '104-111', '--remove-cpu', '40'],
    ]) {
      for (const more of [[], ['--prune-cpus']]) {
        const image = imageWith(FULL);
        expect(run(['apply', image, ...changes, ...more, '--device-tree', live]).changes.every(({ made }) => made)).toBe(true);
        expect(idsIn(image)).toEqual([...without(40), 104]);
      }
    }
  });

  test('with a tree that still has the removed one: it stays, and that is said', () => {
    const image = imageWith(FULL);
    const args = ['apply', image, '--remove-cpu', '41', '--add-cpu', '104', '--prune-cpus', '--device-tree', treeWith([...FULL, 104])];
    expect(run(args).changes).toMatchObject([
      { action: 'remove', made: false, reason: expect.stringContaining('the live device tree has it (PowerPC,POWER11@28)') as string },
      { action: 'add', made: true },
    ]);
    expect(idsIn(image)).toEqual([...FULL, 104]);
  });
});

describe('connectors of PowerVM', () => {
  const strings = (...values: string[]): Uint8Array =>
    Buffer.concat([cells(values.length), Buffer.from(values.map((each) => `${each}\0`).join(''))]);
  const connected = (id: number): Item =>
    node(
      `PowerPC,POWER7@${id.toString(16)}`,
      prop('device_type', 'cpu'),
      prop('reg', cells(id)),
      prop(SERVERS, cells(id, id + 1, id + 2, id + 3)),
      prop('ibm,my-drc-index', cells(0x10000000 + id)),
      prop('l2-cache', cells(0x2000 + id)),
    );
  const IDS = Array.from({ length: 64 }, (_, index) => 4 * index);
  // As in /cpus of a POWER7 LPAR: names count from 1.
  const OLD = [
    prop('ibm,drc-names', strings(...IDS.map((id) => `CPU ${id + 1}`))),
    prop('ibm,drc-indexes', cells(64, ...IDS.map((id) => 0x10000000 + id))),
    prop('ibm,drc-types', strings(...IDS.map(() => 'CPU'))),
  ];
  const NEW = prop('ibm,drc-info', Buffer.concat([cells(1), Buffer.from('CPU\0CPU \0'), cells(0x10000000, 0, 64, 4, 0xffffffff)]));

  test.each<[string, Item[]]>([
    ['names that do not go by the id', OLD],
    ['ibm,drc-info', [NEW]],
  ])('a core that comes has its connector, and what is copied is named: %s', (_, tables) => {
    const parts = partsOf('ppc64le', { cpus: 2, hotplug: true });
    parts.cpus = [...tables, ...IDS.slice(0, 63).map(connected)];
    parts.fdtSlack = 0x1000;
    const image = packedFile(next('image.kdump'), build(parts)).path;
    const { stdout } = runHere(['plan', image, '--add-cpu', '252']);
    expect(stdout).toMatch(/ {2}l2-cache +copied from PowerPC,POWER7@f8, and may have to differ\n/);
    // More threads than notes, as with nr_cpus=: no note is asked for, and the plan says what that means.
    expect(stdout).toContain('warning: the FDT then describes 256 CPUs, and the elfcorehdr has notes for 2');
    run(['apply', image, '--add-cpu', '252-255']);
    expect(runHere(['inspect', image, '--fdt']).stdout).toContain('ibm,my-drc-index = <0x100000fc>');
    // A connector that no table lists is not made up.
    expect(runHere(['plan', image, '--add-cpu', '256'])).toMatchObject({
      status: 4,
      stderr: expect.stringContaining('cannot derive ibm,my-drc-index of CPU 256') as string,
    });
  });
});

describe('sync', () => {
  test.each<[string, number[], number[]]>([
    ['one core for another', FULL, [...without(40), 104]],
    ['all cores for others', [0, 8], [16, 24]],
    ['a gap that is filled', without(40), FULL],
  ])('brings the FDT to the live tree: %s', (_, before, after) => {
    const image = imageWith(before);
    const live = treeWith(after);
    run(['sync', image, '--device-tree', live]);
    expect(idsIn(image)).toEqual(after);
    const checked = JSON.parse(runHere(['check', image, '--device-tree', live, '--json']).stdout) as Planned;
    expect(checked).toMatchObject({ missingCpus: [], extraCpus: [], changedCpus: [] });
  });

  test('cores that became narrower or wider keep their nodes, with the threads that they have now', () => {
    for (const [before, after] of [
      [8, 4],
      [4, 8],
    ] as const) {
      const image = imageWith([0, 8], before);
      const live = treeWith([0, 8], after);
      const { stdout } = runHere(['check', image, '--device-tree', live]);
      expect(stdout).toContain(
        before > after ? 'threads 12-15 of CPU 8 are in the FDT and not in' : 'threads 12-15 of CPU 8 are not in the FDT',
      );
      run(['sync', image, '--device-tree', live]);
      const { fdt } = JSON.parse(runHere(['inspect', image, '--json']).stdout) as { fdt: { cpus: { threads: number[] }[] } };
      expect(fdt.cpus.map(({ threads }) => threads.length)).toEqual([after, after]);
    }
  });

  test('from a tree of version 16, as in /sys/firmware/fdt on pseries', () => {
    const image = imageWith([0, 8]);
    const live = next('fdt');
    writeFileSync(live, buildFdt([node('cpus', prop('#address-cells', cells(1)), core(0), core(16))], { header: { 5: 16, 9: 0 } }));
    run(['sync', image, '--device-tree', live]);
    expect(idsIn(image)).toEqual([0, 16]);
  });

  test('a node that got another name is replaced', () => {
    const image = imageWith([0, 8]);
    const live = next('live.dtb');
    const renamed = node(
      'PowerPC,POWER12@8',
      prop('device_type', 'cpu'),
      prop('reg', cells(8)),
      prop(SERVERS, cells(8, 9, 10, 11, 12, 13, 14, 15)),
    );
    writeFileSync(live, buildFdt([node('cpus', prop('#address-cells', cells(1)), core(0), renamed)]));
    expect(run(['sync', image, '--device-tree', live]).changes).toMatchObject([{ action: 'add', made: true }]);
    expect(runHere(['inspect', image, '--fdt']).stdout).toContain('PowerPC,POWER12@8');
    expect(run(['sync', image, '--device-tree', live]).changes).toEqual([]);
  });

  const RAM = '00000000-03ffffff : System RAM\n  02000000-02ffffff : Crash kernel\n';
  const iomem = (...more: string[]): string => {
    const path = next('iomem');
    writeFileSync(path, RAM + more.map((line) => `${line} : System RAM\n`).join(''));
    return path;
  };

  test('what cannot be made keeps nothing else from being made: it is named, and the exit code is 1', () => {
    const image = imageWith(FULL);
    // Half a page at 2 GiB is refused; the other range and the core are made.
    const args = ['sync', image, '--iomem', iomem('80000000-800007ff', '90000000-9fffffff'), '--device-tree', treeWith(without(40))];
    const { changes, findings } = run(args, 1);
    expect(changes).toMatchObject([
      { memory: { start: '0x90000000' }, made: true },
      { cpu: { id: 40 }, made: true },
      { memory: { start: '0x80000000' }, made: false, refused: true, reason: expect.stringContaining('not whole pages') as string },
    ]);
    expect(findings.map(({ severity, code, message }) => [severity, code, message.split(':')[1]])).toEqual([
      ['error', 'change-refused', ' add memory 0x80000000-0x800007ff (2 KiB)'],
    ]);
    expect(idsIn(image)).toEqual(without(40));
    // Nothing but the refused part is left: it is an error, as before, and nothing is written.
    const before = readFileSync(image);
    expect(runHere(args)).toMatchObject({ status: 4, stdout: '', stderr: expect.stringContaining('not whole pages') as string });
    expect(readFileSync(image).equals(before)).toBe(true);
    expect(runHere([...args, '--force']).status).toBe(0);
  });

  test('CPUs that cannot be made keep no memory from it', () => {
    const parts = partsOf('riscv64', { hotplug: true });
    const image = packedFile(next('image.kdump'), build(parts)).path;
    const live = next('live.dtb');
    const cpus = [0, 1, 2].map((id) =>
      node(`cpu@${id}`, prop('device_type', 'cpu'), prop('reg', cells(id)), prop('compatible', 'vendor,riscv64')),
    );
    writeFileSync(live, buildFdt([node('cpus', prop('#address-cells', cells(1)), ...cpus)]));
    const memory = next('iomem');
    writeFileSync(memory, '80000000-83ffffff : System RAM\n  82000000-82ffffff : Crash kernel\n90000000-9fffffff : System RAM\n');
    const { stdout, status } = runHere(['sync', '-n', image, '--iomem', memory, '--device-tree', live]);
    expect(status).toBe(1);
    expect(stdout).toContain('+ memory 0x90000000-0x9fffffff');
    expect(stdout).toContain('error: not made: add CPU 2: ');
    expect(stdout).toContain('lists no crash notes for it');
  });
});
