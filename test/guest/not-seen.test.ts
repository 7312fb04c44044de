import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { build, packedFile, partsOf } from '../helpers/build-image.js';
import { FakeQemu } from '../helpers/fake-qemu.js';
import { copyOf } from '../helpers/fixtures.js';
import { runHere } from '../helpers/run-here.js';
import { scratchFolder } from '../helpers/run.js';
import { start } from '../helpers/start.js';

const folder = scratchFolder();
const GIB = 2 ** 30;
const MIB = 2 ** 20;
/** Of the image of these tests, which lists RAM up to 2 GiB. */
const BOOT = '  0000000000000000-000000007fffffff (prio 0, ram): ram';
const CORE = { type: 'power9_v2.0-spapr-cpu-core', 'vcpus-count': 1 };

let qemu: FakeQemu;
let image: string;
beforeEach(async () => {
  qemu = await FakeQemu.start();
  image = copyOf('ppc64le-64k', folder);
});
afterEach(() => {
  qemu.end();
});

function view(...lines: string[]): void {
  const text = [
    'FlatView #0',
    ' AS "memory", root: system',
    ' AS "cpu-memory-0", root: system',
    ' Root memory region: system',
    ...lines,
    '',
  ];
  qemu.answers = { ...qemu.answers, 'human-monitor-command': [...text, ''].join('\r\n') };
}

function devices(...list: { type: string; data: Record<string, number | string> }[]): void {
  qemu.answers = { ...qemu.answers, 'query-memory-devices': list };
}

/** The image lists this, too: the guest had it, or its kernel added it. */
function list(range: string): void {
  expect(runHere(['apply', image, '--add-memory', range]).status).toBe(0);
}

function listed(path = image): string[] {
  const { stdout } = runHere(['inspect', path, '--json']);
  const { elfcorehdr } = JSON.parse(stdout) as { elfcorehdr: { memory: { start: string; size: number }[] } };
  return elfcorehdr.memory.map(({ start: at, size }) => `${at}+${size / MIB}M`);
}

interface Synced {
  applied: boolean;
  compared: { memory: boolean; cpus: boolean };
  changes: { action: string; memory?: { start: string }; cpu?: { id: number } }[];
  findings: { code: string; severity: string; message: string }[];
}

async function sync(...args: string[]): Promise<Synced & { status: number | null }> {
  const { status, stdout, stderr } = await start(['sync', image, '--qmp', qemu.socket, '--json', ...args]).ended;
  if (stdout === '') throw new Error(stderr);
  return { ...(JSON.parse(stdout) as Synced), status };
}

const VIRTIO_MEM = { id: 'vm0', memaddr: 4 * GIB, 'max-size': 2 * GIB };

describe('what the monitor does not show is not gone: sync --qmp', () => {
  test('memory with nothing behind it goes', async () => {
    list('0x80000000+256M');
    view(BOOT);
    expect(await sync()).toMatchObject({ applied: true, changes: [{ action: 'remove', memory: { start: '0x80000000' } }] });
    expect(listed()).toContain('0x40000000+1024M');
  });

  test.each<[string, () => void]>([
    [
      'in the range of a virtio-mem device',
      () => {
        view(BOOT);
        devices({ type: 'virtio-mem', data: { ...VIRTIO_MEM, size: 512 * MIB } });
      },
    ],
    [
      'in the range of a virtio-mem device that says it has none',
      () => {
        view(BOOT);
        devices({ type: 'virtio-mem', data: { ...VIRTIO_MEM, size: 0 } });
      },
    ],
    [
      'anywhere, where a device of an unknown kind may have it',
      () => {
        view(BOOT);
        devices({ type: 'memory-of-next-year', data: { id: 'x', size: 512 * MIB } });
      },
    ],
    [
      'in an NVDIMM, which the guest may use as RAM',
      () => {
        view(BOOT);
        devices({ type: 'nvdimm', data: { id: 'n', addr: 4 * GIB, size: GIB } });
      },
    ],
    [
      'in RAM that is in no list, as of a second NUMA node',
      () => {
        view(BOOT, '  0000000100000000-000000013fffffff (prio 0, ram): node1');
      },
    ],
    [
      'behind a device, as a CXL window is',
      () => {
        view(BOOT, '  0000000100000000-000000013fffffff (prio 0, i/o): cxl-fixed-memory-region');
      },
    ],
    [
      'in a DIMM that is being unplugged',
      () => {
        view(BOOT);
        devices({ type: 'dimm', data: { id: 'd', addr: 4 * GIB, size: 512 * MIB } });
      },
    ],
    [
      'where the view has a line that nobody understands',
      () => {
        view(BOOT, '  something new');
      },
    ],
    [
      'where the view has no RAM',
      () => {
        view('  0006010000000000-000601003fffffff (prio 0, i/o): xive.esb-emulated');
      },
    ],
    ['where QEMU refuses the view', () => (qemu.answers = { ...qemu.answers, 'human-monitor-command': null })],
  ])('memory stays %s', async (_, prepare) => {
    list('0x100000000+512M');
    prepare();
    expect(await sync()).toMatchObject({ status: 0, applied: false, changes: [] });
    expect(listed()).toContain('0x100000000+512M');
  });

  test.each<[string, unknown]>([
    ['no list', {}],
    ['a list of other things', [7]],
    ['a device without kind', [{ data: { id: 'd', addr: 0, size: 4096 } }]],
    ['a DIMM without place', [{ type: 'dimm', data: { id: 'd', size: 4096 } }]],
  ])('a monitor that answers with %s: nothing is done', async (_, answer) => {
    list('0x80000000+256M');
    view(BOOT);
    qemu.answers = { ...qemu.answers, 'query-memory-devices': answer as never };
    const result = await start(['sync', image, '--qmp', qemu.socket]).ended;
    expect(result).toMatchObject({ status: 5, stdout: '' });
    expect(result.stderr).toContain('QEMU answers query-memory-devices in a way that this program does not know');
    expect(listed()).toContain('0x40000000+1280M');
  });

  test('a core goes only where its slot is empty', async () => {
    view(BOOT);
    const slots = [{ ...CORE, props: { 'core-id': 0 }, 'qom-path': '/x' }];
    qemu.answers = { ...qemu.answers, 'query-hotpluggable-cpus': slots };
    const unknown = await sync();
    expect(unknown).toMatchObject({ applied: false, compared: { memory: true, cpus: false } });
    expect(unknown.findings).toMatchObject([{ code: 'cpus-not-compared', severity: 'warning' }]);
    qemu.answers = { ...qemu.answers, 'query-hotpluggable-cpus': [...slots, { ...CORE, props: { 'core-id': 1 } }] };
    expect(await sync('--dry-run')).toMatchObject({
      compared: { memory: true, cpus: true },
      changes: [{ action: 'remove', cpu: { id: 1 } }],
      findings: [],
    });
  });

  test("a core's id leaves room for the machine's vsmt", async () => {
    qemu.properties = { '/machine.vsmt': 4 };
    qemu.answers = {
      ...qemu.answers,
      'query-hotpluggable-cpus': [0, 1].map((id) => ({ ...CORE, props: { 'core-id': id }, 'qom-path': `/${id}` })),
    };
    expect((await sync('--dry-run')).changes).toMatchObject([{ action: 'add', cpu: { id: 4 } }]);
  });

  test('what only the guest knows is said, and --strict makes it exit code 1; --iomem settles it', async () => {
    view(BOOT);
    devices({ type: 'virtio-mem', data: { ...VIRTIO_MEM, size: 512 * MIB } });
    qemu.answers = {
      ...qemu.answers,
      'query-hotpluggable-cpus': [0, 1].map((id) => ({ ...CORE, props: { 'core-id': id }, 'qom-path': '/' })),
    };
    const unknown = await sync();
    expect(unknown).toMatchObject({ status: 0, applied: false, compared: { memory: false, cpus: true } });
    expect(unknown.findings).toMatchObject([{ code: 'memory-not-compared', severity: 'warning' }]);
    expect(unknown.findings[0]?.message).toContain('512 MiB plugged in, and the image lists 0 bytes there');
    expect(await sync('--strict')).toMatchObject({ status: 1 });

    const iomem = join(folder, 'iomem');
    writeFileSync(
      iomem,
      '00000000-7fffffff : System RAM\n  20000000-3fffffff : Crash kernel\n100000000-11fffffff : System RAM (virtio_mem)\n',
    );
    const settled = await sync('--strict', '--iomem', iomem);
    expect(settled).toMatchObject({ status: 0, applied: true, compared: { memory: true, cpus: true } });
    expect(settled.findings.map(({ code }) => code)).not.toContain('memory-not-compared');
    expect(listed()).toContain('0x100000000+512M');
  });
});

test('an image without FDT: its CPUs are those of --cpus', async () => {
  image = packedFile(join(folder, 'x86_64'), build(partsOf('x86_64'))).path;
  view(BOOT);
  const unknown = await sync('--dry-run');
  expect(unknown).toMatchObject({ compared: { cpus: false } });
  expect(unknown.findings.find(({ code }) => code === 'cpus-not-compared')?.message).toContain('--cpus');
  const cpus = join(folder, 'cpu');
  mkdirSync(join(cpus, 'cpu0'), { recursive: true });
  for (const name of ['possible', 'present', 'online']) writeFileSync(join(cpus, name), '0\n');
  writeFileSync(join(cpus, 'cpu0', 'crash_notes'), '1000000\n');
  writeFileSync(join(cpus, 'cpu0', 'crash_notes_size'), '368\n');
  expect(await sync('--dry-run', '--cpus', cpus)).toMatchObject({ compared: { cpus: true } });
});

test('watch says what of such an image is not compared, as sync does', async () => {
  image = packedFile(join(folder, 'x86_64-watched'), build(partsOf('x86_64'))).path;
  view(BOOT);
  devices({ type: 'virtio-mem', data: { ...VIRTIO_MEM, size: 512 * MIB } });
  const program = start(['watch', image, '--qmp', qemu.socket, '--interval', '50']);
  await program.says('[cpus-not-compared]');
  devices({ type: 'virtio-mem', data: { ...VIRTIO_MEM, size: 768 * MIB } });
  await program.says('has 768 MiB plugged in');
  program.process.kill('SIGTERM');
  const { status, stderr } = await program.ended;
  expect(status).toBe(0);
  expect(stderr.match(/^warning: CPUs were not compared.*--cpus.*\[cpus-not-compared\]$/gm)).toHaveLength(1);
  expect(stderr.match(/512 MiB plugged in.*\[memory-not-compared\]$/gm)).toHaveLength(1);
});

test('sync tells in JSON what was compared, with a guest or without', () => {
  const iomem = join(folder, 'iomem-compared');
  writeFileSync(iomem, '00000000-7fffffff : System RAM\n  20000000-3fffffff : Crash kernel\n');
  const { stdout } = runHere(['sync', image, '-n', '--iomem', iomem, '--json']);
  expect(JSON.parse(stdout)).toMatchObject({ compared: { memory: true, cpus: false } });
});

test('--strict without a guest: exit code 1 where not all was compared', () => {
  const iomem = join(folder, 'iomem-alone');
  writeFileSync(iomem, '00000000-7fffffff : System RAM\n  20000000-3fffffff : Crash kernel\n');
  expect(runHere(['sync', image, '-n', '--iomem', iomem]).status).toBe(0);
  expect(runHere(['sync', image, '-n', '--iomem', iomem, '--strict']).status).toBe(1);
});

describe('what the monitor does not show is not gone: watch --qmp', () => {
  const dimm = (id: string, addr: number): { type: string; data: Record<string, number | string> } => {
    return { type: 'dimm', data: { id, addr, size: 256 * MIB } };
  };

  test('a guest whose kernel grows its image itself is left alone, and the watcher says so once', async () => {
    list('0x100000000+256M');
    view(BOOT);
    devices({ type: 'virtio-mem', data: { ...VIRTIO_MEM, size: 256 * MIB } });
    const program = start(['watch', image, '--qmp', qemu.socket, '--interval', '50']);
    await program.says('watching');
    await sleep(300);
    // Its kernel grows the image; QEMU's own sizes change with it.
    devices({ type: 'virtio-mem', data: { ...VIRTIO_MEM, size: 512 * MIB } });
    list('0x110000000+256M');
    await program.says('keeps its image current by itself');
    const before = readFileSync(image);
    devices({ type: 'virtio-mem', data: { ...VIRTIO_MEM, size: 512 * MIB } }, dimm('d', 0x8000_0000));
    await sleep(500);
    program.process.kill('SIGTERM');
    const { status, stdout, stderr } = await program.ended;
    expect({ status, stdout }).toEqual({ status: 0, stdout: '' });
    expect(stderr.match(/keeps its image current/g)).toHaveLength(1);
    expect(stderr.match(/only the guest knows/g)).toHaveLength(1);
    expect(readFileSync(image).equals(before)).toBe(true);
  });

  test('a change of the image that is no growth by what was plugged in is no such evidence', async () => {
    view(BOOT);
    const program = start(['watch', image, '--qmp', qemu.socket, '--interval', '50']);
    await program.says('watching');
    await sleep(300);
    list('0x200000000+256M');
    await program.says('memory 0x200000000-0x20fffffff is gone');
    devices(dimm('d', 0x8000_0000));
    await program.says('DIMM d: add memory');
    program.process.kill('SIGTERM');
    expect((await program.ended).stderr).not.toContain('by itself');
  });

  test('a DIMM that the guest took offline is not added again', async () => {
    view(BOOT, '  0000000080000000-000000008fffffff (prio 0, ram): d', '  00000000a0000000-00000000afffffff (prio 0, ram): e');
    devices(dimm('d', 0x8000_0000));
    const program = start(['watch', image, '--qmp', qemu.socket, '--interval', '50', '--memory-block-size', '256M']);
    await program.says('DIMM d: add memory');
    program.process.stdin.write('ACTION=offline\nSUBSYSTEM=memory\nDEVPATH=/devices/system/memory/memory8\n\n');
    await program.says('offline memory8: remove memory');
    devices(dimm('d', 0x8000_0000), dimm('e', 0xa000_0000));
    await program.says('DIMM e: add memory');
    program.process.kill('SIGTERM');
    await program.ended;
    expect(listed()).toEqual(expect.arrayContaining(['0x40000000+1024M', '0xa0000000+256M']));
  });
});
