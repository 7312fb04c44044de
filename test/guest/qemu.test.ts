import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Capture, RAM_SIZE } from '../helpers/capture-image.js';
import { FakeQemu } from '../helpers/fake-qemu.js';
import { has, PROGRAM, run, scratchFolder } from '../helpers/run.js';
import { SecondMonitor } from '../helpers/second-monitor.js';
import { start } from '../helpers/start.js';

const folder = scratchFolder();
/** Where to look for the image, so that not all of the memory is searched each time. */
const AT = ['--crash-kernel', '0x20000000+512M'];

/** Firmware runs in it, and no kernel: the kdump image in its memory is that of a captured guest. */
describe.skipIf(!has('qemu-system-ppc64'))('a guest of QEMU', () => {
  const sockets = mkdtempSync(join(tmpdir(), 'kdump-qemu-'));
  const socket = join(sockets, 'program');
  let qemu: ChildProcess;
  let monitor: SecondMonitor;
  let ram: string;

  beforeAll(async () => {
    ram = new Capture('ppc64le-6.12-64k').ramFile(folder).path;
    const args = [
      ...[
        '-M',
        'pseries,memory-backend=ram,cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,cap-ccf-assist=off',
        '-cpu',
        'power9',
        '-accel',
        'tcg',
      ],
      ...['-m', '2G,slots=8,maxmem=8G', '-object', `memory-backend-file,id=ram,size=${RAM_SIZE},mem-path=${ram},share=on`],
      ...['-smp', '2,sockets=1,cores=8,threads=1,maxcpus=8', '-nodefaults', '-display', 'none'],
      ...['-qmp', `unix:${socket},server,nowait`, '-qmp', `unix:${join(sockets, 'test')},server,nowait`],
    ];
    qemu = spawn('qemu-system-ppc64', args, { stdio: 'ignore' });
    monitor = await SecondMonitor.connect(join(sockets, 'test'));
  }, 60_000);

  afterAll(() => {
    qemu.kill('SIGKILL');
    rmSync(sockets, { recursive: true, force: true });
  });

  test('is patched by the name of its monitor alone, and runs on', async () => {
    const result = await start(['apply', '--qmp', socket, ...AT, '--add-memory', '0x80000000+256M', '--json']).ended;
    expect(result).toMatchObject({ status: 0, stderr: '' });
    const { file, pausedMs } = JSON.parse(result.stdout) as { file: string; pausedMs: number };
    expect(file).toBe(ram);
    console.info(`apply: paused for ${pausedMs} ms`);
    expect(await monitor.runs()).toBe(true);
    expect(memoryOf(ram)).toMatchObject([{}, {}, {}, { start: '0x40000000', size: 0x5000_0000 }]);
  });

  test('is resumed after kill -9, wherever in the pause', async () => {
    if (!has('strace')) return;
    for (const when of [2, 3, 4, 5]) {
      const killed = spawnSync(
        'strace',
        [
          ...['-f', '-o', '/dev/null', '-e', `inject=pwrite64:signal=SIGKILL:when=${when}`],
          ...[process.execPath, PROGRAM, 'apply', '--qmp', socket, ...AT, '--add-memory', '0xc0000000+256M'],
        ],
        { encoding: 'utf8' },
      );
      expect(killed.status).not.toBe(0);
      let runs = await monitor.runs();
      for (let tries = 0; !runs && tries < 100; tries += 1) {
        await sleep(50);
        runs = await monitor.runs();
      }
      expect(runs).toBe(true);
    }
    const result = await start(['apply', '--qmp', socket, ...AT, '--remove-memory', '0x80000000+256M']).ended;
    expect(result).toMatchObject({ status: 0 });
    expect(result.stderr).toMatch(/it is (rolled back|untouched)/);
    expect(memoryOf(ram).at(-1)).toMatchObject({ start: '0x40000000', size: 0x4000_0000 });
  }, 120_000);

  test('stays paused if it was', async () => {
    await monitor.execute('stop');
    const result = await start(['apply', '--qmp', socket, ...AT, '--add-memory', '0xc0000000+256M', '--json']).ended;
    expect(JSON.parse(result.stdout)).toMatchObject({ applied: true, pausedMs: 0 });
    expect(await monitor.runs()).toBe(false);
    await monitor.execute('cont');
    const back = await start(['apply', '--qmp', socket, ...AT, '--remove-memory', '0xc0000000+256M']).ended;
    expect(back).toMatchObject({ status: 0, stderr: '' });
  });

  test('runs on after a write that failed, with the image it had', async () => {
    if (!has('strace')) return;
    const before = memoryOf(ram);
    const failed = spawnSync(
      'strace',
      ['-f', '-o', '/dev/null', '-P', ram, '-e', 'trace=pwrite64', '-e', 'inject=pwrite64:error=EIO:when=2'].concat(
        [process.execPath, PROGRAM, 'apply', '--qmp', socket],
        AT,
        ['--add-memory', '0xc0000000+256M', '--add-cpu', '6'],
      ),
      { encoding: 'utf8' },
    );
    expect(failed.status).toBe(5);
    expect(failed.stderr.trim().split('\n')).toHaveLength(1);
    expect(await monitor.runs()).toBe(true);
    expect(memoryOf(ram)).toEqual(before);
    expect(run(['recover', ram, '--live', '--force']).stdout).toContain('no patch was interrupted');
  });

  test('a monitor that serves somebody else: it is waited for, and the message says so', async () => {
    const other = await SecondMonitor.connect(socket);
    const result = start(['apply', '--qmp', socket, ...AT, '--add-memory', '0xc0000000+256M', '--dry-run']);
    await result.says('waiting for the monitor, which serves one client at a time');
    other.close();
    expect(await result.ended).toMatchObject({ status: 0 });
  });

  test('is not patched by the word of another monitor', async () => {
    const liar = await FakeQemu.start();
    try {
      liar.properties = { '/machine.memory-backend': '/objects/ram', '/objects/ram.mem-path': ram, '/objects/ram.share': true };
      liar.answers = {
        ...liar.answers,
        'human-monitor-command': (await monitor.execute('human-monitor-command', { 'command-line': 'info mtree -f' })) as string,
      };
      liar.answers = {
        ...liar.answers,
        'query-memory-devices': [{ type: 'dimm', data: { id: 'd', addr: 0x8000_0000, size: 0x1000_0000 } }],
      };
      const before = memoryOf(ram);
      for (const args of [['sync'], ['sync', '-n'], ['watch']]) {
        const result = await start([...args, '--qmp', liar.socket, ...AT]).ended;
        expect(result).toMatchObject({ status: 4, stdout: '' });
        expect(result.stderr).toContain('is not seen to have the file that it names as its memory');
        expect(result.stderr).toContain(`process ${qemu.pid} maps`);
      }
      // Named, it is the user's choice; who else runs on it is looked at all the same.
      const named = await start(['sync', ram, '--qmp', liar.socket, ...AT]).ended;
      expect(named).toMatchObject({ status: 5 });
      expect(named.stderr).toContain('another process has it in use');
      expect(await start(['sync', ram, '--qmp', liar.socket, ...AT, '--live']).ended).toMatchObject({ status: 4 });
      expect(liar.runCommands).toEqual([]);
      expect(memoryOf(ram)).toEqual(before);
    } finally {
      liar.end();
    }
  });

  test('is kept current by watch', async () => {
    const program = start(['watch', '--qmp', socket, ...AT, '--interval', '100', '--json']);
    await program.says('watching');
    await monitor.addMemory('dimm0');
    await program.says('DIMM dimm0');
    await monitor.addMemory('dimm1');
    await monitor.execute('device_add', { driver: 'power9_v2.0-spapr-cpu-core', 'core-id': 5 });
    await program.says('core 5');
    await program.says('DIMM dimm1');
    program.process.kill('SIGTERM');
    const { status, stdout } = await program.ended;
    expect(status).toBe(0);
    const reports = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { outcome: string; pausedMs: number });
    expect(reports.every(({ outcome }) => outcome === 'applied')).toBe(true);
    console.info(`watch: paused for ${reports.map(({ pausedMs }) => pausedMs).join(', ')} ms`);
    expect(await monitor.runs()).toBe(true);
    const state = JSON.parse(run(['inspect', ram, ...AT, '--json']).stdout) as {
      fdt: { cpus: { id: number }[] };
      elfcorehdr: { memory: { start: string }[] };
    };
    expect(state.fdt.cpus.map(({ id }) => id).sort()).toEqual([0, 1, 5]);
    expect(state.elfcorehdr.memory.at(-1)).toMatchObject({ start: '0x40000000', size: 0x6000_0000 });
    // sync finds nothing more.
    const synced = await start(['sync', '--qmp', socket, ...AT, '--json']).ended;
    expect(JSON.parse(synced.stdout)).toMatchObject({ applied: false, pausedMs: 0 });
  }, 120_000);

  test('ends: watch ends with it, and apply says in one line that it is gone', async () => {
    const program = start(['watch', '--qmp', socket, ...AT]);
    await program.says('watching');
    qemu.kill('SIGKILL');
    expect(await program.ended).toMatchObject({ status: 0 });
    const result = await start(['apply', '--qmp', socket, ...AT, '--add-memory', '0xd0000000+256M']).ended;
    expect(result.status).toBe(5);
    expect(result.stderr.trim().split('\n')).toHaveLength(1);
  });
});

function memoryOf(path: string): { start: string; size: number }[] {
  return (JSON.parse(run(['inspect', path, ...AT, '--json']).stdout) as { elfcorehdr: { memory: { start: string; size: number }[] } })
    .elfcorehdr.memory;
}
