import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FakeQemu } from '../helpers/fake-qemu.js';
import { copyOf, fixtureImage } from '../helpers/fixtures.js';
import { run, scratchFolder } from '../helpers/run.js';
import { start } from '../helpers/start.js';

const folder = scratchFolder();
const before = readFileSync(fixtureImage('ppc64le-64k'));
const ADD = ['--add-memory', '0x80000000+256M', '--add-cpu', '2'];
const SLOT = { type: 'power9_v2.0-spapr-cpu-core', 'vcpus-count': 1 };
const MTREE =
  'FlatView #0\r\n AS "memory", root: system\r\n Root memory region: system\r\n  0000000000000000-000000007fffffff (prio 0, ram): ram\r\n\r\n';

let qemu: FakeQemu;
let image: string;
beforeEach(async () => {
  qemu = await FakeQemu.start();
  image = copyOf('ppc64le-64k', folder);
});
afterEach(() => {
  qemu.end();
});

async function command(...args: string[]): ReturnType<typeof start>['ended'] {
  return start(args).ended;
}

/** What the same changes come to without a guest. */
const after = ((): Buffer => {
  const patched = copyOf('ppc64le-64k', folder);
  expect(run(['apply', patched, ...ADD]).status).toBe(0);
  return readFileSync(patched);
})();

describe('apply --qmp', () => {
  test('pauses a guest that runs, and resumes it', async () => {
    const result = await command('apply', image, '--qmp', qemu.socket, '--json', ...ADD);
    expect(result).toMatchObject({ status: 0, stderr: '' });
    expect(qemu.runCommands).toEqual(['stop', 'cont']);
    expect(readFileSync(image).equals(after)).toBe(true);
    // By QEMU's clock.
    const document: unknown = JSON.parse(result.stdout);
    expect(document).toMatchObject({ applied: true, pausedMs: 2.5 });
    const schema = readFileSync(fileURLToPath(new URL('../../docs/schema/plan.schema.json', import.meta.url)), 'utf8');
    expect(new Ajv2020({ strict: false }).validate(JSON.parse(schema) as object, document)).toBe(true);
  });

  test('leaves a guest alone that does not run, or that nothing is written to', async () => {
    qemu.running = false;
    expect(await command('apply', image, '--qmp', qemu.socket, ...ADD)).toMatchObject({ status: 0 });
    expect(readFileSync(image).equals(after)).toBe(true);
    qemu.running = true;
    expect(await command('apply', image, '--qmp', qemu.socket, ...ADD)).toMatchObject({ status: 0 });
    expect(await command('apply', image, '-n', '--qmp', qemu.socket, '--add-cpu', '5')).toMatchObject({ status: 0 });
    expect(qemu.runCommands).toEqual([]);
  });

  test('does not resume a guest that somebody else paused since it was asked', async () => {
    qemu.hook = (name, socket) => {
      if (name !== 'stop') return false;
      // QEMU has no event for it.
      qemu.running = false;
      socket.write(`${JSON.stringify({ return: {}, id: qemu.lastId })}\r\n`);
      return true;
    };
    const result = await command('apply', image, '--qmp', qemu.socket, '--json', ...ADD);
    expect(result).toMatchObject({ status: 0 });
    expect(JSON.parse(result.stdout)).toMatchObject({ applied: true, pausedMs: 0 });
    expect(readFileSync(image).equals(after)).toBe(true);
    expect(qemu.runCommands).toEqual(['stop']);
    expect(qemu.running).toBe(false);
  });

  test('does not pause for a change that is refused', async () => {
    expect(await command('apply', image, '--qmp', qemu.socket, '--add-memory', '0x20000000+256M')).toMatchObject({ status: 4 });
    expect(qemu.runCommands).toEqual([]);
  });

  test('resumes the guest, and writes nothing, when it changed its image meanwhile', async () => {
    qemu.hook = (name) => {
      if (name !== 'stop') return false;
      // Its kernel rewrites the elfcorehdr.
      expect(run(['apply', copyTo, '--add-memory', '0xc0000000+256M']).status).toBe(0);
      other = readFileSync(copyTo);
      overwrite(image, other);
      return false;
    };
    const copyTo = copyOf('ppc64le-64k', folder);
    let other = Buffer.alloc(0);
    const result = await command('apply', image, '--qmp', qemu.socket, ...ADD);
    expect(result).toMatchObject({ status: 4 });
    expect(result.stderr).toContain('the guest changed the image while the change was planned');
    expect(qemu.runCommands).toEqual(['stop', 'cont']);
    expect(readFileSync(image).equals(other)).toBe(true);
    expect(run(['recover', image]).stdout).toContain('no patch was interrupted');
  });

  test('kill -9 in the pause: the guest runs again', async () => {
    qemu.hook = (name) => {
      if (name !== 'stop' || qemu.runCommands.length > 1) return false;
      qemu.running = false;
      program.process.kill('SIGKILL');
      return true;
    };
    const program = start(['apply', image, '--qmp', qemu.socket, ...ADD]);
    expect(await program.ended).toMatchObject({ signal: 'SIGKILL' });
    for (let tries = 0; !qemu.running && tries < 100; tries += 1) await sleep(50);
    expect(qemu.runCommands).toEqual(['stop', 'cont']);
    expect(qemu.running).toBe(true);
    // The next one rolls back what is left, and does it all.
    qemu.hook = () => false;
    expect(await command('apply', image, '--qmp', qemu.socket, ...ADD)).toMatchObject({ status: 0 });
    expect(readFileSync(image).equals(after)).toBe(true);
  });

  test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('%s in the pause waits until the guest runs again', async (signal) => {
    qemu.hook = (name) => {
      if (name === 'stop') program.process.kill(signal);
      return false;
    };
    const program = start(['apply', image, '--qmp', qemu.socket, ...ADD]);
    expect(await program.ended).toMatchObject({ signal });
    expect(qemu.runCommands).toEqual(['stop', 'cont']);
    expect(readFileSync(image).equals(after)).toBe(true);
  });

  test('a guest that migrates is left alone', async () => {
    qemu.answers = { ...qemu.answers, 'query-migrate': { status: 'active' } };
    const result = await command('apply', image, '--qmp', qemu.socket, ...ADD);
    expect(result).toMatchObject({ status: 4 });
    expect(result.stderr).toContain('the guest migrates');
    expect(readFileSync(image).equals(before)).toBe(true);
    expect(qemu.runCommands).toEqual([]);
  });

  test('-o makes no sense, and without --qmp an image has to be named', async () => {
    expect(await command('apply', image, '--qmp', qemu.socket, '-o', join(folder, 'copy'), ...ADD)).toMatchObject({ status: 2 });
    expect(await command('apply', ...ADD)).toMatchObject({ status: 2 });
    expect(await command('sync')).toMatchObject({ status: 2 });
    expect(await command('watch')).toMatchObject({ status: 2 });
  });

  test.each<[string, (name: string, socket: Parameters<FakeQemu['hook']>[1]) => boolean]>([
    ['no JSON', (_, socket) => socket.write('hello\n')],
    ['an array', (_, socket) => socket.write('[1]\n')],
    ['no objects', (_, socket) => socket.write('{"return": 7, "id": "k1"}\n{"event": 7}\n{"return": "x", "id": "k2"}\n{}\n7\n')],
    ['the end', (_, socket) => Boolean(socket.destroy())],
    ['very long lines', (_, socket) => socket.write('x'.repeat(10 << 20))],
    ['errors', (_, socket) => socket.write('{"error": {"class": "x", "desc": "no\\u001b[31m way"}, "id": "k1"}\n')],
  ])('a monitor that answers with %s', async (_, hook) => {
    qemu.hook = hook;
    const result = await command('apply', '--qmp', qemu.socket, ...ADD);
    expect(result.status).toBe(5);
    expect(result.stderr.trim().split('\n')).toHaveLength(1);
    // eslint-disable-next-line no-control-regex
    expect(result.stderr).not.toMatch(/\u001b|a bug/);
  });

  test('a refusal of QEMU has a code of its own', async () => {
    const reason = '{"error": {"class": "GenericError", "desc": "no way"}, "id": "k1"}\n';
    for (const [code, answer] of [
      ['qemu-refused', reason],
      ['monitor', '[1]\n'],
    ] as const) {
      qemu.hook = (_, socket) => socket.write(answer);
      const { stdout } = await command('apply', '--json', '--qmp', qemu.socket, ...ADD);
      expect(JSON.parse(stdout)).toMatchObject({ error: { kind: 'io', code } });
    }
  });

  test('a socket that is none', async () => {
    expect(await command('apply', '--qmp', join(folder, 'missing'), ...ADD)).toMatchObject({ status: 5 });
  });
});

describe('the image of a guest', () => {
  const ram = (): void => {
    qemu.properties = { '/machine.memory-backend': '/objects/ram', '/objects/ram.mem-path': image, '/objects/ram.share': true };
    qemu.answers = { ...qemu.answers, 'human-monitor-command': MTREE };
  };

  /** As libvirt starts a guest with memory slots: the machine names no backend. */
  const numa = (...nodes: string[]): void => {
    delete qemu.properties['/machine.memory-backend'];
    qemu.answers = {
      ...qemu.answers,
      'query-memdev': [...nodes, 'dimm0'].map((id) => ({ id })),
      'query-memory-devices': [{ type: 'dimm', data: { id: 'dimm0', addr: 0x8000_0000, size: 0x1000_0000, memdev: '/objects/dimm0' } }],
    };
  };

  test('is found as that of the one NUMA node', async () => {
    ram();
    numa('ram');
    // The image of these tests is no RAM file: what matters is that its file was found.
    expect((await command('apply', '--qmp', qemu.socket, ...ADD)).stderr).toContain(image);
  });

  test.each<[string, () => void, string]>([
    [
      'is not one backend',
      () => {
        numa('node0', 'node1');
      },
      'is not one memory backend',
    ],
    ['is in no file', () => delete qemu.properties['/objects/ram.mem-path'], 'is not in a file'],
    ['is not shared', () => (qemu.properties['/objects/ram.share'] = false), 'is not shared'],
    ['has a relative path', () => (qemu.properties['/objects/ram.mem-path'] = 'ram'), 'relative path'],
  ])('is not found where its RAM %s', async (_, change, problem) => {
    ram();
    change();
    const result = await command('apply', '--qmp', qemu.socket, ...ADD);
    expect(result).toMatchObject({ status: 4 });
    expect(result.stderr).toContain(problem);
  });
});

describe('sync --qmp', () => {
  test('brings an image to the devices of its guest', async () => {
    qemu.answers = {
      ...qemu.answers,
      'query-memory-devices': [
        { type: 'dimm', data: { id: 'dimm0', addr: 0x8000_0000, size: 0x1000_0000 } },
        { type: 'nvdimm', data: { id: 'disk', addr: 0xa000_0000, size: 0x1000_0000 } },
        { type: 'virtio-mem', data: { id: 'vm0', memaddr: 0x1_0000_0000, size: 0x2000_0000 } },
      ],
      'query-hotpluggable-cpus': [
        { ...SLOT, props: { 'core-id': 2 }, 'qom-path': '/x' },
        { ...SLOT, props: { 'core-id': 1 }, 'qom-path': '/y' },
        { ...SLOT, props: { 'core-id': 0 }, 'qom-path': '/z' },
        { ...SLOT, props: { 'core-id': 3 } },
      ],
    };
    const result = await command('sync', image, '--qmp', qemu.socket);
    expect(result).toMatchObject({ status: 0 });
    expect(result.stdout).toContain('the virtio-mem device vm0');
    expect(readFileSync(image).equals(after)).toBe(true);
    expect(await command('sync', image, '--qmp', qemu.socket, '-q')).toMatchObject({ status: 0, stderr: '' });
    expect(qemu.runCommands).toEqual(['stop', 'cont']);
  });

  test('CPUs that QEMU names by their place in a topology are not taken for ids', async () => {
    qemu.answers = {
      ...qemu.answers,
      'query-hotpluggable-cpus': [{ type: 'max-x86_64-cpu', 'vcpus-count': 1, props: { 'core-id': 7, 'socket-id': 0 }, 'qom-path': '/x' }],
    };
    expect(await command('sync', image, '--qmp', qemu.socket)).toMatchObject({ status: 0 });
    expect(readFileSync(image).equals(before)).toBe(true);
  });
});

describe('watch --qmp', () => {
  test('notices devices by itself, takes events too, and ends with the guest', async () => {
    const program = start(['watch', image, '--qmp', qemu.socket, '--interval', '50', '--json']);
    await program.says('watching');
    qemu.answers = {
      ...qemu.answers,
      'query-memory-devices': [{ type: 'dimm', data: { id: 'dimm0', addr: 0x8000_0000, size: 0x1000_0000 } }],
    };
    await program.says('DIMM dimm0');
    program.process.stdin.end('cpu add index 0x10000002\n');
    await program.says('cpu add');
    qemu.end();
    const { status, stdout } = await program.ended;
    expect(status).toBe(0);
    const reports = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as object);
    expect(reports).toMatchObject([
      { source: 'qmp', line: null, outcome: 'applied', write: 1, pausedMs: 2.5 },
      { source: 'dlpar', line: 1, outcome: 'applied', write: 2, pausedMs: 2.5 },
    ]);
    expect(qemu.runCommands).toEqual(['stop', 'cont', 'stop', 'cont']);
    expect(readFileSync(image).equals(after)).toBe(true);
  });
});

function overwrite(path: string, bytes: Buffer): void {
  const descriptor = openSync(path, 'r+');
  writeSync(descriptor, bytes, 0, bytes.length, 0);
  closeSync(descriptor);
}
