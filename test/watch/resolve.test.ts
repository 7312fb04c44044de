import { describe, expect, test } from 'vitest';
import { KdumpError } from '../../src/errors.js';
import type { ArchitectureName } from '../../src/arch/architecture.js';
import { architectureNamed } from '../../src/arch/registry.js';
import { encodeString } from '../../src/fdt/cells.js';
import { parseFdt } from '../../src/fdt/fdt.js';
import type { KdumpImage } from '../../src/image/image.js';
import type { DeviceTreeNode, LiveDeviceTree } from '../../src/machine/device-tree.js';
import type { DlparRequest } from '../../src/machine/events/dlpar.js';
import { rangeOfSize } from '../../src/memory/range.js';
import type { WatchEvent } from '../../src/watch/event.js';
import { needsImage, resolveEvent, type ResolveContext, type Resolved } from '../../src/watch/resolve.js';
import { buildFdt, cells, node, prop, type Item } from '../fdt/build.js';
import { thrown } from '../helpers/thrown.js';

const BLOCK = 256n << 20n;
const SERVERS = 'ibm,ppc-interrupt-server#s';

/** A core of two threads, with a connector. */
const core = (id: number): Item =>
  node(
    `PowerPC,POWER9@${id.toString(16)}`,
    prop('device_type', 'cpu'),
    prop('reg', cells(id)),
    prop(SERVERS, cells(id, id + 1)),
    prop('ibm,my-drc-index', cells(0x10000000 + id)),
  );

function imageWith(ids: readonly number[] | null, name: ArchitectureName = 'ppc64le'): KdumpImage {
  const tree = parseFdt(buildFdt([node('cpus', prop('#address-cells', cells(1)), ...(ids ?? []).map(core))]));
  return { architecture: architectureNamed(name), fdt: ids === null ? null : { tree } } as unknown as KdumpImage;
}

const context = (more: Partial<ResolveContext> = {}): ResolveContext => ({
  image: imageWith([0, 2]),
  blockSize: BLOCK,
  removedThreads: new Set(),
  ...more,
});

const udev = (action: string, subsystem: string, device: string, nodePath?: string, isSynthetic = false): WatchEvent => ({
  line: 1,
  text: 'event',
  source: 'udev',
  udev: { action, subsystem, devicePath: `/devices/system/${device}`, nodePath, isSynthetic },
});
const memory = (action: string, number: number | string): WatchEvent => udev(action, 'memory', `memory/memory${number}`);
const cpu = (action: string, number: number, nodePath?: string): WatchEvent => udev(action, 'cpu', `cpu/cpu${number}`, nodePath);
const dlpar = (resource: DlparRequest['resource'], action: DlparRequest['action'], index: number, count = 1): WatchEvent => ({
  line: 1,
  text: 'event',
  source: 'dlpar',
  dlpar: { resource, action, index, count },
});

/** A live tree with the cores of `ids`, and LMBs of 256 MiB from connector 0x80000000 on. */
function live(...ids: number[]): LiveDeviceTree {
  const liveNode = (name: string, properties: Record<string, Uint8Array>, children: DeviceTreeNode[] = []): DeviceTreeNode => ({
    name,
    properties: new Map(Object.entries(properties)),
    children,
  });
  const cores = ids.map((id) =>
    liveNode(`PowerPC,POWER9@${id.toString(16)}`, {
      device_type: encodeString('cpu'),
      reg: cells(id),
      [SERVERS]: cells(id, id + 1),
      'ibm,my-drc-index': cells(0x10000000 + id),
    }),
  );
  const lmbs = liveNode('ibm,dynamic-reconfiguration-memory', {
    'ibm,lmb-size': cells(Number(BLOCK)),
    'ibm,dynamic-memory-v2': cells(1, 16, 0, 0, 0x80000000, 0, 8),
  });
  return { root: liveNode('', {}, [liveNode('cpus', { '#address-cells': cells(1) }, cores), lmbs]), namesAreMadeUp: true };
}

const made = (resolved: Resolved): unknown => ('changes' in resolved ? resolved.changes : resolved.reason);

describe('events that say all themselves', () => {
  test('a change is what it is', () => {
    const change = { action: 'add', memory: rangeOfSize(0n, BLOCK) } as const;
    expect(resolveEvent({ line: 1, text: '', source: 'change', change }, context())).toEqual({
      changes: [change],
      isBlock: false,
      note: '',
    });
    // What a guest came to is one unit: its ranges are not those of neighbouring blocks.
    expect(resolveEvent({ line: undefined, text: '', source: 'qmp', changes: [change, change] }, context())).toEqual({
      changes: [change, change],
      isBlock: false,
      note: '',
    });
  });

  test('what could not be read is the error that it was', () => {
    const error = new KdumpError('usage', 'unreadable');
    expect(thrown(() => resolveEvent({ line: 1, text: '', source: 'unknown', error }, context()))).toBe(error);
  });
});

describe('memory blocks', () => {
  test.each([
    ['online', 'add'],
    ['add', 'add'],
    ['offline', 'remove'],
    ['remove', 'remove'],
  ])('%s: the block with this number comes or goes', (action, change) => {
    expect(resolveEvent(memory(action, 8), context())).toEqual({
      changes: [{ action: change, memory: rangeOfSize(8n * BLOCK, BLOCK) }],
      isBlock: true,
      ...(action === 'add' ? { isPlugged: true, note: 'whether it is online is not known; --memory-blocks tells' } : { note: '' }),
    });
  });

  test('plugged in, whose state the machine tells, need no word about it', () => {
    expect(resolveEvent(memory('add', 8), context({ blockState: () => 'online' }))).toMatchObject({ isPlugged: true, note: '' });
  });

  test('that are new are looked up where the machine is at hand: offline, they are in no dump', () => {
    const offline = context({ blockState: (name) => (name === 'memory8' ? 'offline' : 'online') });
    expect(made(resolveEvent(memory('add', 8), offline))).toBe('the block is not online yet');
    expect(made(resolveEvent(memory('add', 9), offline))).toHaveLength(1);
    expect(made(resolveEvent(memory('online', 8), offline))).toHaveLength(1);
  });

  test('that are RAM in part come in those parts, and go whole; with none of it they come to nothing', () => {
    const [first, second] = [rangeOfSize(8n * BLOCK - 0x1000n, 0x2000n), rangeOfSize(9n * BLOCK - 0x1000n, 0x3000n)];
    const wanted = context({ memoryWanted: [rangeOfSize(0n, BLOCK), first, second] });
    expect(made(resolveEvent(memory('online', 8), wanted))).toEqual([
      { action: 'add', memory: rangeOfSize(8n * BLOCK, 0x1000n) },
      { action: 'add', memory: rangeOfSize(9n * BLOCK - 0x1000n, 0x1000n) },
    ]);
    expect(made(resolveEvent(memory('offline', 8), wanted))).toEqual([{ action: 'remove', memory: rangeOfSize(8n * BLOCK, BLOCK) }]);
    expect(resolveEvent(memory('online', 5), wanted)).toEqual({
      outcome: 'nothing to do',
      reason: 'no memory in it belongs into a dump',
    });
  });

  test('of unknown size are refused, with where the size is', () => {
    expect(thrown(() => resolveEvent(memory('online', 8), context({ blockSize: undefined })))).toMatchObject({
      kind: 'refused',
      problem: 'the size of memory blocks is not known',
      details: { remedy: expect.stringContaining('--memory-block-size') as string },
    });
  });

  test('beyond 2^64 do not exist', () => {
    const last = (1n << 64n) / BLOCK - 1n;
    expect(made(resolveEvent(memory('online', String(last)), context()))).toEqual([
      { action: 'add', memory: { start: (1n << 64n) - BLOCK, end: 1n << 64n } },
    ]);
    expect(thrown(() => resolveEvent(memory('online', String(last + 1n)), context()))).toMatchObject({
      kind: 'refused',
      problem: 'no such memory block',
      details: { found: `memory${last + 1n}` },
    });
  });
});

describe('events of something else are ignored', () => {
  const other = 'neither a memory block nor a CPU';
  test.each<[string, WatchEvent, string]>([
    ['another subsystem', udev('add', 'net', 'net/eth0'), other],
    ['the folder of blocks', udev('add', 'memory', 'memory'), other],
    ['a device below a block', udev('add', 'memory', 'memory/memory8/power'), other],
    ['another device of the cpu subsystem', udev('add', 'cpu', 'cpu/cpufreq'), other],
    ['a device below a CPU', udev('add', 'cpu', 'cpu/cpu1/cache'), other],
    ['another action of a block', memory('change', 8), 'neither comes nor goes'],
    ['another action of a CPU', cpu('bind', 1), 'neither comes nor goes'],
  ])('%s', (_, event, reason) => {
    expect(resolveEvent(event, context())).toEqual({ outcome: 'ignored', reason });
  });

  test.each([
    ['memory', '/virtual/devices/system/memory/memory8'],
    ['cpu', '/virtual/devices/system/cpu/cpu1'],
  ])('a device of the %s subsystem that lies elsewhere', (subsystem, devicePath) => {
    const elsewhere: WatchEvent = {
      line: 1,
      text: 'event',
      source: 'udev',
      udev: { action: 'add', subsystem, devicePath, nodePath: undefined, isSynthetic: false },
    };
    expect(resolveEvent(elsewhere, context())).toEqual({ outcome: 'ignored', reason: other });
  });

  test.each<[string, WatchEvent, boolean]>([
    ['a block', memory('online', 8), true],
    ['a CPU that goes', cpu('remove', 8), true],
    ['another action', memory('change', 8), false],
    ['another subsystem', udev('add', 'net', 'net/eth0'), false],
    ['a DLPAR string', dlpar('cpu', 'add', 1), true],
    ['what could not be read', { line: 1, text: '', source: 'unknown', error: new KdumpError('usage', '') }, false],
  ])('the image is needed for %s: %s', (_, event, needed) => {
    expect(needsImage(event)).toBe(needed);
  });
});

describe('CPUs by the number of Linux', () => {
  test('that are new are cores, taken for the next ones in order', () => {
    expect(resolveEvent(cpu('online', 5), context())).toMatchObject({
      changes: [{ action: 'add', cpu: { id: 4 } }],
      note: expect.stringContaining('taken for thread 5') as string,
    });
    expect(made(resolveEvent(cpu('online', 3), context()))).toBe('it is in the FDT already');
  });

  test('that are offline or go keep their nodes', () => {
    expect(made(resolveEvent(cpu('offline', 1), context({ pruneCpus: true })))).toContain('keeps its node');
    expect(made(resolveEvent(cpu('remove', 2), context()))).toContain('--prune-cpus deletes it');
  });

  test('whose node is to go do so with the last thread', () => {
    const pruning = context({ pruneCpus: true });
    expect(made(resolveEvent(cpu('remove', 3), pruning))).toBe('its core stays as long as other threads do: 2');
    expect(made(resolveEvent(cpu('remove', 2), pruning))).toEqual([{ action: 'remove', cpu: { id: 2 } }]);
    expect(pruning.removedThreads.size).toBe(0);
    resolveEvent(cpu('remove', 3), pruning);
    resolveEvent(cpu('add', 3), pruning);
    expect(made(resolveEvent(cpu('remove', 2), pruning))).toBe('its core stays as long as other threads do: 3');
  });

  test('are the number itself where there is no FDT, whatever a device tree says', () => {
    for (const deviceTree of [undefined, live(0, 2)]) {
      const x86 = context({ image: imageWith(null, 'x86_64'), deviceTree });
      expect(resolveEvent(cpu('online', 5), x86)).toEqual({ changes: [{ action: 'add', cpu: { id: 5 } }], isBlock: false, note: '' });
      expect(made(resolveEvent(cpu('remove', 5), x86))).toEqual([{ action: 'remove', cpu: { id: 5 } }]);
    }
  });

  test('are those of threads in whatever order the FDT has them', () => {
    expect(made(resolveEvent(cpu('online', 4), context({ image: imageWith([2, 0]) })))).toEqual([{ action: 'add', cpu: { id: 4 } }]);
  });

  test('wait for all threads of their core, which are told', () => {
    const tree = parseFdt(
      buildFdt([
        node(
          'cpus',
          prop('#address-cells', cells(1)),
          node('PowerPC,POWER9@0', prop('device_type', 'cpu'), prop('reg', cells(0)), prop(SERVERS, cells(0, 1, 2, 3))),
        ),
      ]),
    );
    const image = { ...imageWith([]), fdt: { tree } } as unknown as KdumpImage;
    const pruning = context({ image, pruneCpus: true });
    expect(made(resolveEvent(cpu('remove', 1), pruning))).toBe('its core stays as long as other threads do: 0, 2, 3');
    // One that is not in the FDT is a core of as many.
    expect(made(resolveEvent(cpu('remove', 6), pruning))).toBe('its core stays as long as other threads do: 4, 5, 7');
  });

  test('that name their node are what it says', () => {
    expect(resolveEvent(cpu('online', 99, '/cpus/PowerPC,POWER9@1f'), context())).toEqual({
      changes: [{ action: 'add', cpu: { id: 31 } }],
      isBlock: false,
      note: '',
    });
    expect(made(resolveEvent(cpu('online', 99, '/cpus/PowerPC,POWER9@2'), context()))).toBe('it is in the FDT already');
    expect(made(resolveEvent(cpu('remove', 99, '/cpus/PowerPC,POWER9@1f'), context({ pruneCpus: true })))).toEqual([
      { action: 'remove', cpu: { id: 31 } },
    ]);
  });

  test.each(['/soc/uart', '/cpus/cpu@123456789', '/cpus/cpu@1g', '/cpus/a@b@1'])('a node that is none of a CPU is refused: %s', (path) => {
    expect(thrown(() => resolveEvent(cpu('online', 99, path), context()))).toMatchObject({
      kind: 'refused',
      problem: 'the device tree node of the event is not that of a CPU',
      details: { found: `"${path}"`, expected: '/cpus/<name>@<id>' },
    });
  });

  test('on other architectures are in the FDT as long as it has as many', () => {
    expect(made(resolveEvent(cpu('online', 1), context({ image: imageWith([0, 2], 'riscv64') })))).toBe('it is in the FDT already');
  });

  test.each<[string, KdumpImage, WatchEvent, string]>([
    ['threads with a gap', imageWith([0, 8]), cpu('online', 5), 'threads in the FDT that are not numbered without a gap'],
    [
      'another architecture',
      imageWith([0, 2], 'riscv64'),
      cpu('online', 2),
      '2 CPUs in the FDT, which Linux numbers in an order of its own',
    ],
    ['another architecture, one that goes', imageWith([0, 2], 'riscv64'), cpu('remove', 1), '2 CPUs in the FDT'],
  ])('that do not tell which CPU they are, are refused: %s', (_, image, event, found) => {
    expect(thrown(() => resolveEvent(event, context({ image, pruneCpus: true })))).toMatchObject({
      kind: 'refused',
      problem: expect.stringMatching(/^Linux's number [0-9]+ does not tell which CPU it is$/) as string,
      details: {
        segment: 'fdt',
        found: expect.stringContaining(found) as string,
        remedy: expect.stringContaining('--device-tree') as string,
      },
    });
  });

  test('cores of different widths are refused', () => {
    const tree = parseFdt(
      buildFdt([
        node(
          'cpus',
          prop('#address-cells', cells(1)),
          core(0),
          node('PowerPC,POWER9@2', prop('device_type', 'cpu'), prop('reg', cells(2)), prop(SERVERS, cells(2))),
        ),
      ]),
    );
    const image = { ...imageWith([]), fdt: { tree } } as unknown as KdumpImage;
    expect(thrown(() => resolveEvent(cpu('online', 3), context({ image }))).details.found).toBe('cores with different numbers of threads');
    // Without any core, each is one thread wide.
    expect(made(resolveEvent(cpu('online', 3), context({ image: imageWith([]) })))).toEqual([{ action: 'add', cpu: { id: 3 } }]);
  });
});

describe('with the live tree', () => {
  test('an added CPU is whatever the FDT has not', () => {
    expect(resolveEvent(cpu('online', 99), context({ deviceTree: live(0, 2, 4, 6) }))).toEqual({
      changes: [
        { action: 'add', cpu: { id: 4 } },
        { action: 'add', cpu: { id: 6 } },
      ],
      isBlock: false,
      note: '',
    });
    expect(resolveEvent(cpu('online', 99), context({ deviceTree: live(0, 2) }))).toEqual({
      outcome: 'nothing to do',
      reason: 'all CPUs of the device tree are in the FDT already',
    });
    // Of threads 3 and 4 of a core, the FDT knows one.
    expect(made(resolveEvent(cpu('online', 99), context({ deviceTree: live(0, 3) })))).toEqual([{ action: 'add', cpu: { id: 3 } }]);
  });

  test('a removed one is whatever the tree has no more', () => {
    const of = (...ids: number[]): ResolveContext => context({ deviceTree: live(...ids), pruneCpus: true });
    expect(resolveEvent(cpu('remove', 99), of(2))).toEqual({ changes: [{ action: 'remove', cpu: { id: 0 } }], isBlock: false, note: '' });
    expect(resolveEvent(cpu('remove', 99), of(0, 2))).toEqual({
      outcome: 'nothing to do',
      reason: 'all CPUs of the FDT are in the device tree',
    });
    // Of core 2, thread 3 is still there.
    expect(made(resolveEvent(cpu('remove', 99), of(0, 3)))).toBe('all CPUs of the FDT are in the device tree');
  });
});

describe('DLPAR strings', () => {
  test('of memory are the blocks of their connectors in the live tree', () => {
    expect(resolveEvent(dlpar('memory', 'remove', 0x80000002, 2), context({ deviceTree: live(0) }))).toEqual({
      changes: [
        { action: 'remove', memory: rangeOfSize(2n * BLOCK, BLOCK) },
        { action: 'remove', memory: rangeOfSize(3n * BLOCK, BLOCK) },
      ],
      isBlock: false,
      note: '',
    });
  });

  test('of a CPU that neither tree has are refused', () => {
    for (const deviceTree of [undefined, live(0)])
      expect(thrown(() => resolveEvent(dlpar('cpu', 'remove', 0x10000099), context({ deviceTree }))).kind).toBe('refused');
    const withoutFdt = context({ image: imageWith(null, 'x86_64'), deviceTree: live(0) });
    expect(thrown(() => resolveEvent(dlpar('cpu', 'remove', 0x10000002), withoutFdt)).kind).toBe('refused');
  });

  test('of CPUs are found in the live tree, or in the FDT for one that went', () => {
    const tree = context({ deviceTree: live(0, 4) });
    expect(made(resolveEvent(dlpar('cpu', 'add', 0x10000004), tree))).toEqual([{ action: 'add', cpu: { id: 4 } }]);
    expect(made(resolveEvent(dlpar('cpu', 'remove', 0x10000002), tree))).toEqual([{ action: 'remove', cpu: { id: 2 } }]);
    expect(made(resolveEvent(dlpar('cpu', 'remove', 0x10000002), context()))).toEqual([{ action: 'remove', cpu: { id: 2 } }]);
    // One that comes has to be in the live tree.
    expect(thrown(() => resolveEvent(dlpar('cpu', 'add', 0x10000002), tree)).kind).toBe('refused');
  });

  test('mean nothing without a device tree', () => {
    expect(thrown(() => resolveEvent(dlpar('cpu', 'add', 1), context({ image: imageWith(null, 'x86_64') })))).toMatchObject({
      kind: 'refused',
      problem: 'no device tree says what a DLPAR string means',
      details: { found: 'an image of x86_64 without FDT', expected: 'one of a PowerPC machine' },
    });
  });
});
