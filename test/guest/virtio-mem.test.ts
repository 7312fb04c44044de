import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Capture, RAM_SIZE } from '../helpers/capture-image.js';
import { has, run, scratchFolder } from '../helpers/run.js';
import { SecondMonitor } from '../helpers/second-monitor.js';
import { start } from '../helpers/start.js';

const folder = scratchFolder();
const AT = ['--crash-kernel', '0x6f000000-0x7effffff'];

/** The guest never runs: its memory, with the image of a captured guest, is what its kernel would have made of it. */
describe.skipIf(!has('qemu-system-x86_64'))('a guest of QEMU with virtio-mem', () => {
  const sockets = mkdtempSync(join(tmpdir(), 'kdump-qemu-'));
  const socket = join(sockets, 'program');
  let qemu: ChildProcess;
  let monitor: SecondMonitor;
  let ram: string;

  beforeAll(async () => {
    ram = new Capture('x86_64-6.12-kexec-load').ramFile(folder).path;
    // What its kernel did when the device grew.
    expect(run(['apply', ram, ...AT, '--add-memory', '0x100000000+512M']).status).toBe(0);
    const args = [
      ...['-M', 'q35,memory-backend=ram', '-cpu', 'max', '-accel', 'tcg', '-m', '2G,slots=8,maxmem=16G', '-S'],
      ...['-object', `memory-backend-file,id=ram,size=${RAM_SIZE},mem-path=${ram},share=on`],
      ...['-object', 'memory-backend-ram,id=vmem,size=2G', '-device', 'virtio-mem-pci,id=vm0,memdev=vmem,requested-size=512M'],
      ...['-nodefaults', '-display', 'none'],
      ...['-qmp', `unix:${socket},server,nowait`, '-qmp', `unix:${join(sockets, 'test')},server,nowait`],
    ];
    qemu = spawn('qemu-system-x86_64', args, { stdio: 'ignore' });
    monitor = await SecondMonitor.connect(join(sockets, 'test'));
  }, 60_000);

  afterAll(() => {
    qemu.kill('SIGKILL');
    rmSync(sockets, { recursive: true, force: true });
  });

  test('keeps what is listed in the range of the device', async () => {
    const result = await start(['sync', '--qmp', socket, ...AT, '--json', '--strict']).ended;
    expect(result.status).toBe(1);
    expect(JSON.parse(result.stdout)).toMatchObject({ applied: false, changes: [], compared: { memory: false } });
    expect(memory()).toContain('0x100000000');
  });

  test('is watched: DIMMs come, the memory of virtio-mem stays, and a kernel that updates the image is left alone', async () => {
    const program = start(['watch', '--qmp', socket, ...AT, '--interval', '100']);
    await program.says('watching');
    await monitor.addMemory('dimm0');
    await program.says('DIMM dimm0');
    // The kernel's next update; unlike the kernel, this one waits for the watcher's lock.
    while (run(['apply', ram, ...AT, '--live', '--force', '--add-memory', '0x120000000+256M']).status !== 0) await sleep(100);
    await program.says('keeps its image current by itself');
    program.process.kill('SIGTERM');
    expect((await program.ended).stdout.trim().split('\n')).toHaveLength(1);
    expect(memory()).toEqual(expect.arrayContaining(['0x100000000', '0x120000000', '0x180000000']));
  });

  function memory(): string[] {
    const { stdout } = run(['inspect', ram, ...AT, '--json']);
    return (JSON.parse(stdout) as { elfcorehdr: { memory: { start: string }[] } }).elfcorehdr.memory.map(({ start: at }) => at);
  }
});
