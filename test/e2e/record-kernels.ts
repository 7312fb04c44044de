import { closeSync, mkdirSync, openSync, readFileSync, fstatSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { nodeFileSystem } from '../../src/file/node-file-system.js';
import { InputFile } from '../../src/file/input-file.js';
import { rawMemory } from '../../src/container/raw.js';
import { findRunningKernel } from '../../src/kernel/running-kernel.js';
import type { MemorySource } from '../../src/kernel/source.js';
import { FIXTURE_PAGE, PagesMemory, askAll, type RecordedState } from '../helpers/kernel-fixture.js';
import { blankTables } from '../helpers/blank-kernel.js';
import { Guest } from './guest.js';
import { loadCaptureKernel } from './kexec.js';
import { PPC64LE_UPDATING, X86_64, X86_64_UPDATING, type Machine } from './machines.js';
import { packagesOf } from './packages.js';

/** Segments up to that size are recorded whole: what describes the machine, and the purgatory. Of the others the first page. */
const WHOLE = 1n << 20n;

const RESTART = ['nothing-loaded', 'loaded', 'loaded-again', 'unloaded', 'restarted', 'loaded-after-restart'];

/** The guests, and the states that each goes through. */
const KERNELS: Readonly<Record<string, { machine: Machine; states: readonly string[] }>> = {
  'x86_64-6.12-5-levels': { machine: X86_64_UPDATING, states: [...RESTART, 'memory-added'] },
  'x86_64-6.1-4-levels': { machine: { ...X86_64, commandLine: `${X86_64.commandLine} no5lvl` }, states: [...RESTART, 'memory-added'] },
  'ppc64le-6.12-64k': { machine: PPC64LE_UPDATING, states: [...RESTART, 'loaded-for-hotplug', 'cpu-added', 'memory-added'] },
};

export function kernelNames(): string[] {
  return Object.keys(KERNELS);
}

/** Boots the guest of that name, and writes what the program reads of it in each state, with what the guest says itself, below `folder`. */
export async function recordKernel(name: string, folder: string): Promise<void> {
  const kernel = KERNELS[name];
  if (kernel === undefined) throw new Error(`no kernel ${name}; there are: ${kernelNames().join(' ')}`);
  const recorder = new Recorder();
  await Guest.with(kernel.machine, await packagesOf(kernel.machine.packages), async (guest) => {
    for (const state of kernel.states) {
      const log = await bringTo(guest, state);
      const said = await truthOf(guest, log);
      await guest.paused(() => {
        recorder.record(state, guest.ram, said);
      });
      console.log(`${name}: ${state}`);
    }
  });
  mkdirSync(join(folder, name), { recursive: true });
  recorder.write(join(folder, name));
}

/** @returns what kexec or the kernel says of the segments, where an image is loaded by that */
async function bringTo(guest: Guest, state: string): Promise<string | null> {
  const ways: Readonly<Record<string, readonly string[]>> = {
    loaded: ['-c'],
    'loaded-again': guest.machine === PPC64LE_UPDATING ? ['-c'] : ['-s'],
    'loaded-after-restart': ['-c'],
    'loaded-for-hotplug': ['-c', '--hotplug'],
  };
  const way = ways[state];
  if (way !== undefined) {
    const log = readFileSync(await loadCaptureKernel(guest, way), 'latin1');
    return `${log
      .split('\n')
      .filter((line) => /segment|kexec_load|kexec_file/.test(line))
      .join('\n')}\n`;
  }
  if (state === 'unloaded') await guest.console.run('kexec -p -u');
  else if (state === 'restarted') await guest.restart();
  else if (state === 'memory-added') await guest.addMemory(256 << 20);
  else if (state === 'cpu-added') await guest.addCpu();
  return null;
}

async function truthOf(guest: Guest, kexecLog: string | null): Promise<Omit<RecordedState, 'note' | 'pages'> & { tree: string | null }> {
  const read = async (command: string): Promise<string> => (await guest.console.read(command, 600)).toString('latin1');
  const cpus =
    'cd /sys/devices/system/cpu; for f in possible present online; do echo $f $(cat $f); done; ' +
    'for c in cpu[0-9]*; do echo $c $(cat $c/crash_notes) $(cat $c/crash_notes_size); done; cd /';
  const tree = 'cd /proc/device-tree/; find . -type f | while read f; do echo "$f $(base64 -w 0 "$f")"; done; cd /';
  return {
    iomem: await read('cat /proc/iomem'),
    kexecLog,
    cpus: await read(cpus),
    isLoaded: (await read('cat /sys/kernel/kexec_crash_loaded')).trim() === '1',
    release: (await read('uname -r')).trim(),
    tree: guest.machine === PPC64LE_UPDATING ? await read(tree) : null,
  };
}

class Recorder {
  private readonly places = new Map<string, number>();
  private readonly pages: Uint8Array[] = [];
  private readonly states: Record<string, RecordedState> = {};
  private readonly trees: Record<string, string> = {};

  record(state: string, ram: string, { tree, ...said }: Awaited<ReturnType<typeof truthOf>>): void {
    const descriptor = openSync(ram, 'r');
    try {
      const memory = rawMemory(new InputFile(nodeFileSystem, ram, descriptor, BigInt(fstatSync(descriptor).size)), {});
      const note = findRunningKernel(memory).info.address;
      const read = new Map<bigint, Uint8Array>();
      const recorded = findRunningKernel(recording(memory, read), [note]);
      askAll(recorded);
      for (const { mem, memsz } of recorded.loadedImage?.segments ?? []) {
        recording(memory, read).readInto(new Uint8Array(Number(memsz <= WHOLE ? memsz : BigInt(FIXTURE_PAGE))), mem);
      }
      blankTables(recorded, read);
      const [before, after] = [recorded, findRunningKernel(new PagesMemory(read), [note])].map(askAll);
      if (before !== after) throw new Error(`${state}: the recorded pages say something else than all memory`);
      this.states[state] = { note: `0x${note.toString(16)}`, pages: this.runs(read), ...said };
      if (tree !== null) this.trees[state] = tree;
    } finally {
      closeSync(descriptor);
    }
  }

  write(folder: string): void {
    writeFileSync(join(folder, 'pages.gz'), gzipSync(Buffer.concat(this.pages), { level: 9 }));
    writeFileSync(join(folder, 'states.json'), `${JSON.stringify(this.states)}\n`);
    if (Object.keys(this.trees).length > 0)
      writeFileSync(join(folder, 'trees.json.gz'), gzipSync(JSON.stringify(this.trees), { level: 9 }));
  }

  private runs(read: ReadonlyMap<bigint, Uint8Array>): RecordedState['pages'] {
    const runs: [string, ...number[]][] = [];
    let next: bigint | undefined;
    for (const [address, bytes] of [...read].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const key = Buffer.from(bytes).toString('latin1');
      let place = this.places.get(key);
      if (place === undefined) {
        place = this.pages.push(Uint8Array.from(bytes)) - 1;
        this.places.set(key, place);
      }
      if (address === next) runs.at(-1)?.push(place);
      else runs.push([`0x${address.toString(16)}`, place]);
      next = address + BigInt(FIXTURE_PAGE);
    }
    return runs;
  }
}

/** The same memory, of which whole pages that are read are kept in `pages`. */
function recording(memory: MemorySource, pages: Map<bigint, Uint8Array>): MemorySource {
  const size = BigInt(FIXTURE_PAGE);
  return {
    ranges: memory.ranges,
    stored: (range) => memory.stored(range),
    holds: (range) => memory.holds(range),
    chunks: (range) => memory.chunks(range),
    readInto: (into, address) => {
      for (let at = address - (address % size); at < address + BigInt(into.length); at += size) {
        if (pages.has(at)) continue;
        const page = new Uint8Array(FIXTURE_PAGE);
        memory.readInto(page, at);
        pages.set(at, page);
      }
      memory.readInto(into, address);
    },
  };
}
