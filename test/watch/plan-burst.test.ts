import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { KdumpError } from '../../src/errors.js';
import { nodeFileSystem } from '../../src/file/node-file-system.js';
import type { PlanOptions } from '../../src/plan/plan.js';
import { closeImage, openImage } from '../../src/image/open.js';
import type { Change } from '../../src/machine/change.js';
import { EventReader } from '../../src/machine/events/event-reader.js';
import { reportToJson, type WatchEvent } from '../../src/watch/event.js';
import { planBurst, reportWithoutImage } from '../../src/watch/plan-burst.js';
import type { ResolveContext } from '../../src/watch/resolve.js';
import { rangeOfSize } from '../../src/memory/range.js';
import { cells, node, prop } from '../fdt/build.js';
import { build, packedFile, partsOf, type ArchitectureName } from '../helpers/build-image.js';
import { processorTime } from '../helpers/processor-time.js';
import { scratchFolder } from '../helpers/run.js';
import { thrown } from '../helpers/thrown.js';

const folder = scratchFolder();
const MIB = 1n << 20n;

/** Cores of four threads; connectors that are named after their ids. */
function smtImage(): string {
  const parts = partsOf('ppc64le', { cpus: 2 });
  parts.cpus = [0, 4].map((id) =>
    node(
      `PowerPC,POWER9@${id.toString(16)}`,
      prop('device_type', 'cpu'),
      prop('reg', cells(id)),
      prop('ibm,ppc-interrupt-server#s', cells(id, id + 1, id + 2, id + 3)),
    ),
  );
  return packedFile(join(folder, 'smt'), build(parts)).path;
}

function plain(architecture: ArchitectureName): string {
  return packedFile(join(folder, architecture), build(partsOf(architecture))).path;
}

const smt = smtImage();
const aarch64 = plain('aarch64');
const x86 = plain('x86_64');

const cpu = (action: string, number: number, more = ''): string =>
  `ACTION=${action}\nDEVPATH=/devices/system/cpu/cpu${number}\nSUBSYSTEM=cpu\n${more}\n`;
const block = (action: string, number: number): string =>
  `ACTION=${action}\nDEVPATH=/devices/system/memory/memory${number}\nSUBSYSTEM=memory\n\n`;

/** What becomes of `input`, in lines such as `applied add CPU 8`, and how many PT_LOADs are added. */
function planned(path: string, input: string, options: PlanOptions = {}, context: Partial<ResolveContext> = {}): string[] {
  const image = openImage(nodeFileSystem, path);
  try {
    const events = new EventReader().push(Buffer.from(input));
    const { pruneCpus } = options;
    const { reports } = planBurst(events, { image, blockSize: 128n * MIB, removedThreads: new Set(), pruneCpus, ...context }, options);
    return reports.map(({ outcome, changes }) =>
      `${outcome} ${changes.map((each) => ('cpu' in each ? `${each.action} CPU ${each.cpu.id}` : each.action)).join()}`.trim(),
    );
  } finally {
    closeImage(image);
  }
}

describe('cores of several threads', () => {
  test('are added once, by whichever thread comes first', () => {
    expect(planned(smt, [8, 9, 10, 11].map((number) => cpu('online', number)).join(''))).toEqual([
      'applied add CPU 8',
      'nothing to do add CPU 8',
      'nothing to do add CPU 8',
      'nothing to do add CPU 8',
    ]);
    expect(planned(smt, cpu('online', 10))).toEqual(['applied add CPU 8']);
  });

  test('stay when threads of theirs go offline or come back', () => {
    expect(planned(smt, [5, 6, 7].map((number) => cpu('offline', number)).join('') + cpu('online', 6), { pruneCpus: true })).toEqual(
      new Array(4).fill('nothing to do'),
    );
  });

  test('go with the last of their threads, and only with --prune-cpus', () => {
    const remove = [7, 5, 4, 6].map((number) => cpu('remove', number));
    expect(planned(smt, remove.join(''), { pruneCpus: true })).toEqual([
      ...new Array<string>(3).fill('nothing to do'),
      'applied remove CPU 4',
    ]);
    expect(planned(smt, remove.join(''))).toEqual(new Array(4).fill('nothing to do'));
    expect(planned(smt, remove.slice(0, 3).join(''), { pruneCpus: true })).toEqual(new Array(3).fill('nothing to do'));
    // In two bursts, and one thread came back in between.
    const removedThreads = new Set<number>();
    planned(smt, remove.slice(0, 2).join(''), { pruneCpus: true }, { removedThreads });
    expect(planned(smt, cpu('online', 5) + remove.slice(2).join(''), { pruneCpus: true }, { removedThreads })).toEqual(
      new Array(3).fill('nothing to do'),
    );
    expect(planned(smt, cpu('remove', 5), { pruneCpus: true }, { removedThreads })).toEqual(['applied remove CPU 4']);
  });
});

describe('CPUs of other architectures', () => {
  test.each([
    ['one that is known comes back', cpu('online', 1), 'nothing to do'],
    ['a new one says nothing but its number', cpu('online', 2), 'refused'],
    ['a new one says its node, and has no PT_NOTE', cpu('online', 2, 'OF_FULLNAME=/cpus/cpu@2\n'), 'refused add CPU 2'],
    ['one that goes', cpu('remove', 1), 'nothing to do'],
    ['a node that is none of a CPU', cpu('online', 2, 'OF_FULLNAME=/soc/uart\n'), 'refused'],
  ])('aarch64: %s', (_, input, expected) => {
    expect(planned(aarch64, input, {}, {})).toEqual([expected]);
  });

  test('aarch64: one that goes and is to lose its node has to be told', () => {
    expect(planned(aarch64, cpu('remove', 1), { pruneCpus: true })).toEqual(['refused']);
    expect(planned(aarch64, cpu('remove', 1, 'OF_FULLNAME=/cpus/cpu@1\n'), { pruneCpus: true })).toEqual(['applied remove CPU 1']);
  });

  test('x86_64 counts as Linux does', () => {
    expect(planned(x86, cpu('online', 1) + cpu('online', 5))).toEqual(['nothing to do add CPU 1', 'refused add CPU 5']);
  });
});

test('blocks that touch are one PT_LOAD where resources stay apart', () => {
  const image = openImage(nodeFileSystem, x86);
  try {
    const input = [33, 32, 40, 34].map((number) => block('online', number)).join('');
    const { plan } = planBurst(new EventReader().push(Buffer.from(input)), { image, blockSize: 128n * MIB, removedThreads: new Set() }, {});
    expect(plan.changes.map(({ change }) => change)).toEqual([
      { action: 'add', memory: { start: 0x1_0000_0000n, end: 0x1_1800_0000n } },
      { action: 'add', memory: { start: 0x1_4000_0000n, end: 0x1_4800_0000n } },
    ]);
  } finally {
    closeImage(image);
  }
});

test('of many events those that cannot be made are found in few attempts', () => {
  const bad = '{"action":"add","memory":{"start":"0x3000000","size":"0x2000000"}}\n';
  const good = Array.from(
    { length: 500 },
    (_, index) => `{"action":"add","memory":{"start":"0x${(0x1_0000_0000 + index * 0x1000_0000).toString(16)}","size":"0x1000"}}\n`,
  );
  const started = processorTime();
  const outcomes = planned(x86, [...good.slice(0, 250), bad, ...good.slice(250)].join(''));
  expect(outcomes.filter((each) => each.startsWith('applied'))).toHaveLength(500);
  expect(outcomes[250]).toBe('refused add');
  expect(processorTime() - started).toBeLessThan(10_000);
});

describe.each(['ppc64le', 'x86_64'] as const)('a full elfcorehdr, %s', (name) => {
  const start = (index: number): number => 0x1_0000_0000 + index * 0x20000;
  const change = (action: string, at: number, size = '64K'): string =>
    `{"action":"${action}","memory":{"start":"0x${at.toString(16)}","size":"${size}"}}\n`;
  const adds = (count: number): string[] => Array.from({ length: count }, (_, index) => change('add', start(index)));
  const path = name === 'x86_64' ? x86 : plain(name);
  const fit = planned(path, adds(4096).join('')).filter((each) => each === 'applied add').length;

  test('refuses thousands of events as fast as one, each as if it came alone', () => {
    const started = processorTime();
    const outcomes = planned(path, adds(4096).join(''));
    expect(processorTime() - started).toBeLessThan(5000);
    expect(outcomes).toEqual(outcomes.map((_, index) => (index < fit ? 'applied add' : 'refused add')));
    expect(fit).toBeGreaterThan(100);
    expect(planned(path, adds(fit).join(''))).not.toContain('refused add');
    expect(planned(path, adds(fit + 1).join('')).filter((outcome) => outcome === 'refused add')).toHaveLength(1);
  });

  test('takes what joins others, and more again where a program header was freed', () => {
    const between = change('add', start(0) + 0x10000);
    const gone = change('remove', 0x3000000, '16M');
    const more = [2, 3, 4].map((index) => change('add', start(fit + index)));
    const outcomes = planned(path, [...adds(fit + 2), between, gone, ...more].join('')).slice(fit);
    expect(outcomes.slice(0, 2)).toEqual(['refused add', 'refused add']);
    expect(outcomes[3]).toBe('applied remove');
    // ppc64: `between` joins two ranges, so two are free then; x86_64: it takes what the removal frees.
    expect(outcomes.slice(4)).toEqual(name === 'x86_64' ? more.map(() => 'refused add') : ['applied add', 'applied add', 'refused add']);
    expect(outcomes[2]).toBe('applied add');
  });

  test('takes a range that touches one which touches a listed one', () => {
    const chain = [0, 1, 2].map((index) => change('add', 0x4000000 + index * 0x10000));
    const outcomes = planned(path, [...adds(fit + 1), ...chain].join('')).slice(fit);
    expect(outcomes).toEqual(['refused add', ...chain.map(() => (name === 'x86_64' ? 'refused add' : 'applied add'))]);
  });
});

describe('reports', () => {
  const memory = (action: 'add' | 'remove', start: bigint, size = 0x1000_0000n): Change => ({ action, memory: rangeOfSize(start, size) });
  const qmp = (text: string, ...changes: Change[]): WatchEvent => ({ line: undefined, text, source: 'qmp', changes });
  const told = (error: KdumpError): WatchEvent => ({ line: 3, text: 'text', source: 'unknown', error });

  /** Outcome and reason of each event, for the x86_64 image. */
  function reported(events: readonly WatchEvent[], more: Partial<ResolveContext> = {}): string[] {
    const image = openImage(nodeFileSystem, x86);
    try {
      const { reports } = planBurst(events, { image, blockSize: 128n * MIB, removedThreads: new Set(), ...more }, {});
      return reports.map(({ outcome, reason }) => `${outcome}: ${reason}`);
    } finally {
      closeImage(image);
    }
  }

  test('name the event that overtakes another, or says the same: by its line, or by its text', () => {
    const change = memory('add', 0x1_0000_0000n);
    expect(reported([qmp('DIMM dimm1', change), qmp('again', change)])).toEqual(['applied: ', 'nothing to do: DIMM dimm1 says the same']);
    const events = new EventReader().push(
      Buffer.from(['add', 'remove'].map((action) => `{"action":"${action}","memory":{"start":"0x100000000","size":"16M"}}\n`).join('')),
    );
    expect(reported(events)).toEqual(['nothing to do: overtaken by line 2', 'nothing to do: it is not listed']);
  });

  test('say why nothing is to be done', () => {
    expect(reported([qmp('none'), qmp('listed', memory('add', 0x200000n, 0x1000n))])).toEqual([
      'nothing to do: ',
      'nothing to do: it is listed already',
    ]);
  });

  test('of an event of several changes: all are made, or none', () => {
    const bad = memory('add', 0x3000000n, 0x2000000n);
    const [whole, half] = reported([
      qmp('good', memory('add', 0x1_0000_0000n), memory('add', 0x2_0000_0000n)),
      qmp('bad', memory('add', 0x3_0000_0000n), bad),
    ]);
    expect(whole).toBe('applied: ');
    expect(half).toMatch(/^refused: .*cannot add memory 0x3000000-0x4ffffff/);
  });

  test('of blocks that were joined: those that can be made are', () => {
    // Block 0, up to 128 MiB, is listed up to 64 MiB.
    const blocks = new EventReader().push(Buffer.from([2, 0, 1].map((number) => block('online', number)).join('')));
    const [last, first, middle] = reported(blocks);
    expect([last, middle]).toEqual(['applied: ', 'applied: ']);
    expect(first).toMatch(/^refused: .*cannot add memory 0x0-0x7ffffff/);
  });

  test('of a block that was plugged in say that nobody knows whether it is online, unless an event does', () => {
    const unknown = 'applied: whether it is online is not known; --memory-blocks tells';
    const blocks = (...actions: string[]): WatchEvent[] =>
      new EventReader().push(Buffer.from(actions.map((action) => block(action, 33)).join('')));
    expect(reported(blocks('add'))).toEqual([unknown]);
    expect(reported(blocks('add', 'add'))).toEqual([unknown, 'nothing to do: line 1 says the same']);
    expect(reported(blocks('add', 'online'))).toEqual(['applied: ', 'nothing to do: line 1 says the same']);
  });

  test('of events for which the image need not be looked at', () => {
    const [synthetic, other] = [
      { action: 'add', subsystem: 'memory', devicePath: '/devices/system/memory/memory33', nodePath: undefined, isSynthetic: true },
      { action: 'add', subsystem: 'net', devicePath: '/devices/virtual/net/eth0', nodePath: undefined, isSynthetic: false },
    ].map((udev): WatchEvent => ({ line: 1, text: 'text', source: 'udev', udev }));
    const [first, second] = [reportWithoutImage(synthetic ?? expect.fail()), reportWithoutImage(other ?? expect.fail())];
    expect(first).toMatchObject({ outcome: 'nothing to do', changes: [], reason: expect.stringMatching(/^a synthetic event, /) as string });
    expect(second).toMatchObject({ outcome: 'ignored', changes: [], reason: 'neither a memory block nor a CPU comes or goes' });
    expect([first, second].map((report) => reportToJson(report, undefined).synthetic)).toEqual([true, false]);
    expect(reportToJson({ ...first, event: qmp('DIMM') }, undefined).synthetic).toBe(false);
  });

  test('of what could not be read or meant go by whose fault it was', () => {
    expect(reported([told(new KdumpError('usage', 'unreadable')), told(new KdumpError('refused', 'not meant'))])).toEqual([
      'malformed: unreadable',
      'refused: not meant',
    ]);
    for (const [kind, outcome] of [
      ['usage', 'malformed'],
      ['io', 'failed'],
      ['refused', 'refused'],
    ] as const) {
      expect(reportWithoutImage(told(new KdumpError(kind, 'why')))).toMatchObject({ outcome, changes: [], reason: 'why' });
    }
    expect(reportWithoutImage(qmp('other'))).toMatchObject({ outcome: 'ignored' });
  });

  test('more than 2^18 changes at once are refused from there on', () => {
    const many = Array.from({ length: 1 << 18 }, () => memory('add', 0x200000n, 0x1000n));
    const reports = reported([{ ...qmp('all'), changes: many } as WatchEvent, qmp('one more', memory('add', 0x1_0000_0000n))]);
    expect(reports[0]).toBe('nothing to do: it is listed already');
    expect(reports[1]).toBe('refused: too many changes at once: expected at most 262144; send them in pieces');
  });

  test('a failing disk is no refusal', () => {
    const broken = { ...openImage(nodeFileSystem, x86) };
    closeImage(broken);
    expect(
      thrown(() =>
        planBurst([qmp('any', memory('add', 0x1_0000_0000n))], { image: broken, blockSize: undefined, removedThreads: new Set() }, {}),
      ).kind,
    ).toBe('io');
  });

  test('as JSON have the number of the write, and the pause where there was one, only if something was applied', () => {
    const [event] = new EventReader().push(Buffer.from('{"action":"add","memory":{"start":"0x100000000","size":"16M"}}\n'));
    const report = { event: event ?? expect.fail('no event'), changes: [], reason: '' };
    expect(reportToJson({ ...report, outcome: 'applied' }, { number: 2, pausedMs: 1.5 })).toMatchObject({
      line: 1,
      reason: null,
      write: 2,
      pausedMs: 1.5,
    });
    expect(reportToJson({ ...report, outcome: 'applied' }, { number: 2, pausedMs: undefined })).not.toHaveProperty('pausedMs');
    expect(reportToJson({ ...report, outcome: 'ignored', reason: 'why' }, { number: 2, pausedMs: 1.5 })).toMatchObject({
      write: null,
      reason: 'why',
    });
    expect(reportToJson({ ...report, event: qmp('DIMM'), outcome: 'planned' }, undefined)).toMatchObject({
      line: null,
      event: 'DIMM',
      write: null,
    });
  });
});
