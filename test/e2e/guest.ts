import { spawn, type ChildProcess } from 'node:child_process';
import { rmSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { join } from 'node:path';
import { Console, sleep } from './console.js';
import { writeCaptureInitramfs, writeInitramfs } from './initramfs.js';
import { RAM_SIZE, type Machine } from './machines.js';
import type { Packages } from './packages.js';
import { Qmp } from './qmp.js';
import { guestFolder } from './scratch.js';

/** Memory that was plugged in. */
export interface Dimm {
  readonly id: string;
  readonly start: bigint;
  readonly size: number;
  /** Its contents. */
  readonly file: string;
}

export interface AddedCpu {
  /** As firmware counts: `reg` of its node, what the program wants. */
  readonly id: number;
  /** As the guest's Linux counts. */
  readonly linuxNumber: number;
}

interface CpuSlot {
  readonly type: string;
  readonly props: { readonly 'core-id': number };
  /** Of what is there already. */
  readonly 'qom-path'?: string;
}

const BOOT_SECONDS = 300;
const HOTPLUG_SECONDS = 120;

/** A running guest whose memory is a file. */
export class Guest {
  /** How long it took from the start to the shell: how fast this machine is at the moment. */
  bootSeconds = 0;
  private dimms = 0;
  private output = '';

  private readonly process: ChildProcess;
  readonly folder: string;
  readonly ram: string;
  readonly machine: Machine;
  readonly console: Console;
  readonly qmp: Qmp;

  private constructor(process: ChildProcess, folder: string, ram: string, machine: Machine, console: Console, qmp: Qmp) {
    this.process = process;
    this.folder = folder;
    this.ram = ram;
    this.machine = machine;
    this.console = console;
    this.qmp = qmp;
    process.stderr?.on('data', (data: Buffer) => (this.output += data.toString()));
  }

  /** Boots a guest for `work`, and ends it in any case. */
  static async with<T>(machine: Machine, packages: Packages, work: (guest: Guest) => Promise<T>): Promise<T> {
    const folder = guestFolder();
    let guest: Guest | undefined;
    try {
      guest = await Guest.start(machine, packages, folder);
      const start = Date.now();
      await guest.console.waitFor(/<<ready system>>\r?\n/, BOOT_SECONDS);
      guest.bootSeconds = (Date.now() - start) / 1000;
      return await work(guest);
    } finally {
      guest?.process.kill('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    }
  }

  private static async start(machine: Machine, packages: Packages, folder: string): Promise<Guest> {
    const path = (name: string): string => join(folder, name);
    const kernel = packages.file(machine.kernelFile);
    writeCaptureInitramfs(path('capture.cpio'), packages);
    writeInitramfs(path('initramfs.cpio'), packages, kernel, path('capture.cpio'));
    const args = [
      ...machine.options,
      ...['-accel', 'tcg,thread=multi', '-object', `memory-backend-file,id=ram,size=${RAM_SIZE},mem-path=${path('ram')},share=on`],
      ...['-kernel', kernel, '-initrd', path('initramfs.cpio'), '-append', machine.commandLine],
      ...['-nodefaults', '-display', 'none', '-S'],
      ...['-serial', `unix:${path('serial')},server,nowait`, '-qmp', `unix:${path('qmp')},server,nowait`],
      // One client at a time on each: the second one is for the program under test.
      ...['-qmp', `unix:${path('qmp-program')},server,nowait`],
    ];
    // It ends with this process, however that ends.
    const process = spawn('setpriv', ['--pdeathsig', 'KILL', machine.qemu, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
    const console = new Console(await connect(path('serial'), process));
    const qmp = new Qmp(await connect(path('qmp'), process));
    const guest = new Guest(process, folder, path('ram'), machine, console, qmp);
    await qmp.execute('qmp_capabilities');
    await qmp.execute('cont');
    return guest;
  }

  /** The monitor that the harness does not use. */
  get programSocket(): string {
    return join(this.folder, 'qmp-program');
  }

  async runs(): Promise<boolean> {
    return ((await this.qmp.execute('query-status')) as { running: boolean }).running;
  }

  /** Adds memory, and waits until the guest uses it. */
  async addMemory(size: number): Promise<Dimm> {
    const dimm = await this.plugMemory(size);
    await this.waitForMemory(dimm, true);
    return dimm;
  }

  async plugMemory(size: number): Promise<Dimm> {
    const [id, backend] = [`dimm${this.dimms}`, `memory${this.dimms}`];
    this.dimms += 1;
    const file = join(this.folder, id);
    await this.qmp.execute('object-add', { 'qom-type': 'memory-backend-file', id: backend, size, 'mem-path': file, share: true });
    await this.qmp.execute('device_add', { driver: 'pc-dimm', id, memdev: backend });
    const devices = (await this.qmp.execute('query-memory-devices')) as { data: { id: string; addr: number } }[];
    const device = devices.find(({ data }) => data.id === id);
    if (device === undefined) throw new Error(`QEMU does not list ${id}`);
    return { id, start: BigInt(device.data.addr), size, file };
  }

  async removeMemory(dimm: Dimm): Promise<void> {
    await this.qmp.execute('device_del', { id: dimm.id });
    await this.waitForMemory(dimm, false);
    await this.until(`${dimm.id} is gone`, () =>
      Promise.resolve(this.qmp.events.some(({ name, data }) => name === 'DEVICE_DELETED' && data.device === dimm.id)),
    );
  }

  /** Adds a CPU to a ppc64le guest, a core of one thread, and waits until it is online. */
  async addCpu(): Promise<AddedCpu> {
    return await this.waitForCpu(await this.plugCpu());
  }

  /** @returns the id of the CPU */
  async plugCpu(): Promise<number> {
    const slots = (await this.qmp.execute('query-hotpluggable-cpus')) as CpuSlot[];
    const slot = slots.filter((each) => each['qom-path'] === undefined).sort((a, b) => a.props['core-id'] - b.props['core-id'])[0];
    if (slot === undefined) throw new Error('QEMU has no room for a CPU');
    const id = slot.props['core-id'];
    await this.qmp.execute('device_add', { driver: slot.type, id: `cpu${id}`, ...slot.props });
    return id;
  }

  async waitForCpu(id: number): Promise<AddedCpu> {
    const list =
      'cd /sys/devices/system/cpu; grep -lx 1 cpu*/online | while read c; do echo ${c%/*} $(cat ${c%/*}/physical_id); done; cd /';
    let linuxNumber: string | undefined;
    await this.until(`CPU ${id} is online`, async () => {
      linuxNumber = new RegExp(`^cpu(\\d+) ${id}$`, 'm').exec(await this.console.run(list))?.[1];
      return linuxNumber !== undefined;
    });
    return { id, linuxNumber: Number(linuxNumber) };
  }

  /** As after a power failure that memory survives. */
  async restart(): Promise<void> {
    const from = this.console.text.length;
    await this.qmp.execute('system_reset');
    await this.console.waitFor(/<<ready system>>\r?\n/, BOOT_SECONDS, from);
  }

  /** Makes `cpu` panic. The console then tells how that goes on. */
  crash(cpu: number): void {
    this.console.send(`taskset ${(1 << cpu).toString(16)} sh -c 'echo c > /proc/sysrq-trigger'`);
  }

  /** Stops the guest for `work`. How long it stood still is by QEMU's own clock. */
  async paused<T>(work: () => T | Promise<T>): Promise<{ result: T; milliseconds: number }> {
    await this.qmp.execute('stop');
    try {
      const result = await work();
      await this.qmp.execute('cont');
      const timeOf = (name: string): number => this.qmp.events.findLast((event) => event.name === name)?.time ?? NaN;
      await this.until('RESUME came', () => Promise.resolve(timeOf('RESUME') > timeOf('STOP')));
      return { result, milliseconds: (timeOf('RESUME') - timeOf('STOP')) / 1000 };
    } catch (error) {
      await this.qmp.execute('cont');
      throw error;
    }
  }

  async waitForMemory({ start, size }: Dimm, wanted: boolean): Promise<void> {
    const blockSize = BigInt(`0x${(await this.console.run('cat /sys/devices/system/memory/block_size_bytes')).trim()}`);
    const [first, count] = [start / blockSize, BigInt(size) / blockSize];
    const states = `for i in $(seq ${first} ${first + count - 1n}); do cat /sys/devices/system/memory/memory$i/state 2>&1; done; true`;
    await this.until(`memory at 0x${start.toString(16)} is ${wanted ? 'online' : 'gone'}`, async () => {
      const lines = (await this.console.run(states)).trim().split('\n');
      return lines.every((line) => (line === 'online') === wanted && (wanted || line.includes('No such file')));
    });
  }

  private async until(what: string, isTrue: () => Promise<boolean>): Promise<void> {
    const end = Date.now() + HOTPLUG_SECONDS * 1000;
    while (!(await isTrue())) {
      if (Date.now() > end) throw new Error(`waited ${HOTPLUG_SECONDS} s until ${what}; QEMU: ${this.output}`);
      await sleep(200);
    }
  }
}

async function connect(path: string, process: ChildProcess): Promise<Socket> {
  let errors = '';
  const collect = (data: Buffer): void => void (errors += data.toString());
  process.stderr?.on('data', collect);
  let failed: Error | undefined;
  process.once('error', (error) => (failed = error));
  for (let attempt = 0; attempt < 400 && process.exitCode === null && failed === undefined; attempt += 1) {
    const socket = createConnection(path);
    const isConnected = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => {
        resolve(true);
      });
      socket.once('error', () => {
        resolve(false);
      });
    });
    if (isConnected) {
      process.stderr?.off('data', collect);
      return socket.on('error', () => socket.destroy());
    }
    await sleep(50);
  }
  process.kill('SIGKILL');
  throw new Error(`QEMU did not start: ${failed?.message ?? errors}`);
}
