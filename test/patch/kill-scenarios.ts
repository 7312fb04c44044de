import { spawnSync } from 'node:child_process';
import { closeSync, copyFileSync, existsSync, ftruncateSync, openSync, readFileSync, readSync, rmSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { nodeFileSystem } from '../../src/file/node-file-system.js';
import { FIXTURES, fixtureImage, type FixtureImage } from '../helpers/fixtures.js';
import { PROGRAM } from '../helpers/run.js';
import { runHere } from '../helpers/run-here.js';

/** A command that changes an image, and how to make what it starts from. */
export interface Scenario {
  readonly name: string;
  /** Makes the files anew in `folder`. */
  readonly prepare: (folder: string) => Prepared;
}

export interface Prepared {
  readonly image: string;
  readonly args: readonly string[];
  /** What `inspect` needs to read the image. */
  readonly options: readonly string[];
  /** Where a copy is written; the image itself never changes then. */
  readonly copy?: string;
}

interface Section {
  readonly address: number;
  readonly offset: number;
  readonly size: number;
}

/** The stored segments of a packed image, by its section headers. */
function sectionsOf(file: Buffer): Section[] {
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  const little = file[5] === 1;
  const headers = Number(view.getBigUint64(40, little));
  const number = (at: number): number => Number(view.getBigUint64(at, little));
  return Array.from({ length: view.getUint16(60, little) }, (_, index) => headers + 64 * index)
    .filter((at) => view.getUint32(at + 4, little) === 1 && number(at + 16) > 0)
    .map((at) => ({ address: number(at + 16), offset: number(at + 24), size: number(at + 32) }));
}

const CRASH_KERNEL = { start: 0x20000000, size: 0x20000000 };

/** The memory from `start` on as a sparse file, `header` bytes behind its beginning. */
export function memoryFile(path: string, source: FixtureImage, start: number, header: Uint8Array): void {
  const packed = readFileSync(fixtureImage(source));
  const descriptor = openSync(path, 'wx+');
  ftruncateSync(descriptor, CRASH_KERNEL.start + CRASH_KERNEL.size - start + header.length);
  writeSync(descriptor, header, 0, header.length, 0);
  for (const { address, offset, size } of sectionsOf(packed)) writeSync(descriptor, packed, offset, size, address - start + header.length);
  closeSync(descriptor);
}

/** An ELF header of a memory dump that holds the crashkernel range. */
function coreHeader(): Uint8Array {
  const bytes = Buffer.alloc(0x1000);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  bytes.writeUInt16LE(4, 16);
  bytes.writeUInt16LE(21, 18);
  bytes.writeUInt32LE(1, 20);
  bytes.writeBigUInt64LE(64n, 32);
  bytes.writeUInt16LE(64, 52);
  bytes.writeUInt16LE(56, 54);
  bytes.writeUInt16LE(1, 56);
  bytes.writeUInt32LE(1, 64);
  bytes.writeBigUInt64LE(0x1000n, 72);
  bytes.writeBigUInt64LE(BigInt(CRASH_KERNEL.start), 88);
  bytes.writeBigUInt64LE(BigInt(CRASH_KERNEL.size), 96);
  bytes.writeBigUInt64LE(BigInt(CRASH_KERNEL.size), 104);
  return bytes;
}

const ADD_MEMORY = ['--add-memory', '0x80000000+256M'];
const CAPTURE = join(FIXTURES, 'captures', 'ppc64le-6.12-64k');

function packed(folder: string, source: FixtureImage): string {
  const path = join(folder, 'image.kdump');
  copyFileSync(fixtureImage(source), path);
  return path;
}

function applying(name: string, source: FixtureImage, changes: readonly string[], first: readonly string[] = []): Scenario {
  return {
    name,
    prepare(folder) {
      const image = packed(folder, source);
      if (first.length > 0) expect(runHere(['apply', image, ...first]).status).toBe(0);
      return { image, args: ['apply', image, ...changes], options: [] };
    },
  };
}

export const SCENARIOS: readonly Scenario[] = [
  applying('memory added', 'ppc64le-64k', ADD_MEMORY),
  applying('memory removed', 'ppc64le-4k', ['--remove-memory', '0x50000000+256M']),
  applying('CPU added, cloned', 'ppc64le-64k', ['--add-cpu', '2']),
  applying('CPU added from a device tree', 'ppc64le-64k', ['--add-cpu', '2', '--device-tree', join(CAPTURE, '01-cpu-add-2', 'fdt.dtb')]),
  applying('CPU pruned', 'ppc64le-64k', ['--remove-cpu', '2', '--prune-cpus'], ['--add-cpu', '2']),
  applying('digest rewritten', 'ppc64le-64k-no-hotplug', ADD_MEMORY),
  applying('several changes', 'ppc64le-64k-no-hotplug', [...ADD_MEMORY, '--remove-memory', '0x50000000+256M', '--add-cpu', '2-5']),
  applying('big-endian', 'tiny-ppc64', ['--add-memory', '0x90000000+16M']),
  applying('live', 'ppc64le-64k', [...ADD_MEMORY, '--add-cpu', '2', '--live']),
  {
    name: 'undo file saved',
    prepare(folder) {
      const image = packed(folder, 'ppc64le-64k');
      return { image, args: ['apply', image, ...ADD_MEMORY, '--save-undo', join(folder, 'undo')], options: [] };
    },
  },
  {
    name: 'undo',
    prepare(folder) {
      const image = packed(folder, 'ppc64le-64k-no-hotplug');
      expect(runHere(['apply', image, ...ADD_MEMORY, '--add-cpu', '2', '--save-undo', join(folder, 'undo')]).status).toBe(0);
      return { image, args: ['undo', image, join(folder, 'undo')], options: [] };
    },
  },
  {
    name: 'sync',
    prepare(folder) {
      const image = packed(folder, 'ppc64le-64k');
      const iomem = join(CAPTURE, '02-mem-add-256M', 'iomem.txt');
      return { image, args: ['sync', image, '--iomem', iomem], options: [] };
    },
  },
  {
    name: 'recover',
    prepare(folder) {
      const image = packed(folder, 'ppc64le-64k');
      const changes = [...ADD_MEMORY, '--add-cpu', '2'];
      expect(killedAt('pwrite64', 5, ['apply', image, ...changes])).toBe(true);
      return { image, args: ['recover', image], options: [] };
    },
  },
  {
    name: 'patched after an interrupted patch',
    prepare(folder) {
      const image = packed(folder, 'ppc64le-64k');
      expect(killedAt('pwrite64', 5, ['apply', image, '--add-cpu', '2-7'])).toBe(true);
      return { image, args: ['apply', image, ...ADD_MEMORY], options: [] };
    },
  },
  {
    name: 'RAM file with a kexec log',
    prepare(folder) {
      const image = join(folder, 'image.ram');
      memoryFile(image, 'ppc64le-64k', 0, new Uint8Array());
      const options = ['--kexec-log', join(CAPTURE, 'kexec-debug.log')];
      return { image, args: ['apply', image, ...options, ...ADD_MEMORY, '--add-cpu', '2'], options };
    },
  },
  {
    name: 'ELF dump',
    prepare(folder) {
      const image = join(folder, 'image.core');
      memoryFile(image, 'ppc64le-64k', CRASH_KERNEL.start, coreHeader());
      const options = ['--kexec-log', join(CAPTURE, 'kexec-debug.log')];
      return { image, args: ['apply', image, ...options, ...ADD_MEMORY, '--add-cpu', '2'], options };
    },
  },
  {
    name: 'copy',
    prepare(folder) {
      const image = packed(folder, 'ppc64le-64k');
      const copy = join(folder, 'copy.kdump');
      return { image, args: ['apply', image, ...ADD_MEMORY, '-o', copy], options: [], copy };
    },
  },
];

/** A program that has no cache to write makes the same calls each time. */
const WITHOUT_CACHE = { PATH: process.env.PATH };

/** Kills the program when it makes the `number`th call of this name in its main thread, before that does anything. */
function killedAt(call: string, number: number, args: readonly string[]): boolean {
  const inject = `inject=${call}:signal=SIGKILL:when=${number}`;
  const { status, signal } = spawnSync('strace', ['-f', '-o', '/dev/null', '-e', inject, process.execPath, PROGRAM, ...args], {
    stdio: 'ignore',
    timeout: 60_000,
    env: WITHOUT_CACHE,
  });
  return signal === 'SIGKILL' || status === 137;
}

/** Calls that change files, or begin to. */
const CALLS = [
  'pwrite64',
  'write',
  'fsync',
  'fdatasync',
  'unlink',
  'unlinkat',
  'rename',
  'ftruncate',
  'fchmod',
  'fchown',
  'openat',
] as const;

export interface KillPoint {
  readonly call: string;
  readonly number: number;
}

/** Where a scenario can be killed: found by tracing it once. */
function killPoints(args: readonly string[], folder: string): KillPoint[] {
  const log = join(folder, 'trace');
  const { status, stderr } = spawnSync(
    'strace',
    ['-f', '-o', log, '-e', `trace=${CALLS.join(',')},flock`, process.execPath, PROGRAM, ...args],
    { encoding: 'utf8', timeout: 60_000, env: WITHOUT_CACHE },
  );
  expect(status, stderr).toBe(0);
  const lines = readFileSync(log, 'latin1').split('\n');
  const main = /^\d+/.exec(lines[0] ?? '')?.[0] ?? '';
  const locked = lines.findIndex((line) => line.includes('flock('));
  const counts = new Map<string, number>();
  const points: KillPoint[] = [];
  lines.forEach((line, at) => {
    const [, pid, call] = /^(\d+)\s+(\w+)\(/.exec(line) ?? [];
    if (pid !== main || call === undefined) return;
    const number = (counts.get(call) ?? 0) + 1;
    counts.set(call, number);
    const isOurs = call === 'openat' ? /kdhp|boot_id|\.partial|copy/.test(line) : call !== 'write' && call !== 'flock';
    // A copy is made before the lock.
    if (isOurs && (at > locked || line.includes('copy'))) points.push({ call, number });
  });
  return points;
}

type State = readonly (readonly [number, string])[];

/** The bytes of an image, or of its beginning and of the parts that hold something where it is sparse. */
function stateOf(path: string): string {
  const size = statSync(path).size;
  if (size < 4 << 20) return readFileSync(path, 'latin1');
  const descriptor = openSync(path, 'r');
  const header = size % CRASH_KERNEL.size === 0 ? 0 : 0x1000;
  const start = CRASH_KERNEL.start + CRASH_KERNEL.size + header - size;
  const parts: State = sectionsOf(readFileSync(fixtureImage('ppc64le-64k'))).map(({ address, size: length }) => {
    const bytes = Buffer.alloc(length);
    readSync(descriptor, bytes, 0, length, address - start + header);
    return [address, bytes.toString('latin1')] as const;
  });
  closeSync(descriptor);
  return `${size} ${JSON.stringify(parts)}`;
}

/** What `inspect` says, but for how it knows it. */
function inspected(path: string, options: readonly string[]): string {
  const { status, stdout, stderr } = runHere(['inspect', path, '--json', ...options]);
  const { interrupted, ...seen } = JSON.parse(stdout) as { interrupted: boolean };
  const note = interrupted ? `a patch of ${path} was interrupted; this is what recover makes of it\n` : '';
  expect({ status, stderr }).toEqual({ status: 0, stderr: note });
  return JSON.stringify({ ...seen, file: null });
}

export interface Prober {
  readonly points: readonly KillPoint[];
  /** Kills the scenario there, and checks that the image is old or new, for readers at once and in its bytes after `recover`. */
  readonly probe: (point: KillPoint) => void;
}

/** Runs a scenario to its end once, to know what is old and what is new. */
export function proberOf({ name, prepare }: Scenario, folder: string): Prober {
  const fresh = (): Prepared => {
    rmSync(folder, { recursive: true, force: true });
    nodeFileSystem.makeDirectory(folder);
    return prepare(folder);
  };
  const { image, args, options, copy } = fresh();
  const result = copy ?? image;
  const seenBefore = inspected(image, options);
  // What an interrupted patch left is rolled back by the command.
  expect(runHere(['recover', image]).status).toBe(0);
  const before = stateOf(image);
  const points = (fresh(), killPoints(args, folder));
  const after = stateOf(result);
  const seenAfter = inspected(result, options);
  return { points, probe };

  function probe({ call, number }: KillPoint): void {
    const where = `${name}, killed at ${call} ${number}`;
    fresh();
    const killed = killedAt(call, number, args);
    // How many files are opened before depends on the processes of this machine.
    if (call !== 'openat') expect(killed, where).toBe(true);
    if (copy !== undefined) expect(stateOf(image) === before, where).toBe(true);
    if (existsSync(result)) checkResult(where);
  }

  function checkResult(where: string): void {
    const seen = inspected(result, options);
    expect(seen === seenBefore || seen === seenAfter, `${where}: inspect`).toBe(true);
    const { status, stderr } = runHere(['recover', result]);
    expect({ status, stderr }, where).toEqual({ status: 0, stderr: '' });
    const state = stateOf(result);
    expect(state === before || state === after, `${where}: bytes`).toBe(true);
    expect(inspected(result, options), `${where}: inspect before and after recover`).toBe(seen);
    expect(runHere(['recover', result]).stdout, where).toContain('no patch was interrupted');
  }
}
