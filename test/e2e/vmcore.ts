import { createHash } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import { createReadStream, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Console } from './console.js';
import type { Dimm, Guest } from './guest.js';
import type { Marker } from './marker.js';

/** A piece of memory in the dump. */
export interface Load {
  readonly start: bigint;
  readonly size: bigint;
  readonly offset: bigint;
}

const PAGE = 4096n;
const MIB = 2 ** 20;
const COMPARED = 32 * MIB;
const READ_SECONDS = 600;

/** `/proc/vmcore`, as the capture kernel of a guest shows it. */
export class Vmcore {
  private readonly console: Console;
  /** The beginning of it, with all headers. */
  readonly headers: Buffer;
  readonly loads: readonly Load[];

  private constructor(console: Console, headers: Buffer, loads: readonly Load[]) {
    this.console = console;
    this.headers = headers;
    this.loads = loads;
  }

  static async open(guest: Guest): Promise<Vmcore> {
    const headers = await guest.console.read('head -c 65536 /proc/vmcore');
    const [count, at] = [headers.readUInt16LE(56), Number(headers.readBigUInt64LE(32))];
    if (headers.readUInt32BE(0) !== 0x7f454c46 || headers.readUInt16LE(16) !== 4) throw new Error('/proc/vmcore is no ELF core file');
    const [LOAD, SIZE] = [1, 56];
    const loads = Array.from({ length: count }, (_, index) => headers.subarray(at + index * SIZE, at + (index + 1) * SIZE))
      .filter((header) => header.readUInt32LE(0) === LOAD)
      .map((header) => ({ offset: header.readBigUInt64LE(8), start: header.readBigUInt64LE(24), size: header.readBigUInt64LE(32) }));
    return new Vmcore(guest.console, headers, loads);
  }

  /** How much memory the program headers promise. */
  get promisedSize(): bigint {
    return this.loads.reduce((end, { offset, size }) => (offset + size > end ? offset + size : end), 0n);
  }

  /** How many bytes can be read, to the end or to the first error. */
  async readableSize(): Promise<bigint> {
    // How far the shared place in the file has got. `wc` would look at each byte, which takes minutes under emulation.
    const command = '{ dd bs=1M of=/dev/null 2>/dev/null; cat /proc/self/fdinfo/0; } < /proc/vmcore';
    const [, bytes = ''] = /^pos:\s+(\d+)/m.exec(await this.console.run(command, READ_SECONDS)) ?? [];
    return BigInt(bytes);
  }

  /** Whether the dump lists all of this memory. */
  lists({ start, size }: Pick<Dimm, 'start' | 'size'>): boolean {
    return this.loads.some((load) => load.start <= start && load.start + load.size >= start + BigInt(size));
  }

  /** Whether the dump lists any of this memory. */
  touches({ start, size }: Pick<Dimm, 'start' | 'size'>): boolean {
    return this.loads.some((load) => load.start < start + BigInt(size) && start < load.start + load.size);
  }

  /** The MD5 digest of memory, as the dump has it. */
  async digestOf({ start, size }: Pick<Dimm, 'start' | 'size'>): Promise<string> {
    return (await this.console.run(`${this.reading(start, size)} | md5sum`, READ_SECONDS)).slice(0, 32);
  }

  /** Whether the marker is in the dump, at its address. */
  async has({ text, address }: Marker): Promise<boolean> {
    const page = address - (address % PAGE);
    const found = await this.console.read(this.reading(page, Number(2n * PAGE)));
    return found
      .subarray(Number(address - page))
      .toString('latin1')
      .startsWith(text);
  }

  /**
   * Has makedumpfile make a dump of it without free pages, zero pages and memory of processes. The file of the marker has to be in that: pages
   * are compressed each by itself, which leaves the first text of a page as it is.
   *
   * @returns what makedumpfile says
   */
  async filtered({ text }: Marker): Promise<string> {
    const said = await this.console.run('makedumpfile -l -d 25 /proc/vmcore /tmp/dump 2>&1', READ_SECONDS);
    await this.console.run(`grep -q ${text} /tmp/dump && rm /tmp/dump`, READ_SECONDS);
    return said;
  }

  /** A command that prints memory from the dump. */
  private reading(start: bigint, size: number): string {
    const load = this.loads.find((each) => each.start <= start && each.start + each.size >= start + BigInt(size));
    if (load === undefined) throw new Error(`0x${start.toString(16)} is not in the dump`);
    const offset = load.offset + start - load.start;
    if (offset % PAGE !== 0n) throw new Error(`the dump has 0x${start.toString(16)} off a page`);
    const piece = size % MIB === 0 ? MIB : Number(PAGE);
    // Both share the place in the file.
    return `{ dd bs=${PAGE} skip=${offset / PAGE} count=0; dd bs=${piece} count=${size / piece}; } < /proc/vmcore 2>/dev/null`;
  }
}

/** The memory in the dump, as readelf finds it. */
export function loadsByReadelf({ headers }: Vmcore, folder: string): Load[] {
  const file = join(folder, 'vmcore-headers');
  writeFileSync(file, headers);
  const { stdout } = spawnSync('readelf', ['-lW', file], { encoding: 'utf8' });
  return [...stdout.matchAll(/^ +LOAD +(0x\w+) 0x\w+ (0x\w+) (0x\w+) /gm)].map(([, offset = '', start = '', size = '']) => ({
    offset: BigInt(offset),
    start: BigInt(start),
    size: BigInt(size),
  }));
}

/** Whether the memory around the marker is in the dump as it is in the file outside. Not all of it: digests are slow under emulation. */
export async function hasSameMemory(vmcore: Vmcore, dimm: Dimm, marker: Marker): Promise<boolean> {
  const size = BigInt(COMPARED);
  const start = marker.address - ((marker.address - dimm.start) % size);
  const hash = createHash('md5');
  const offset = Number(start - dimm.start);
  for await (const piece of createReadStream(dimm.file, { start: offset, end: offset + COMPARED - 1 })) hash.update(piece as Buffer);
  return (await vmcore.digestOf({ start, size: COMPARED })) === hash.digest('hex');
}
