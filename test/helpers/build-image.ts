import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, ftruncateSync, mkdtempSync, openSync, readFileSync, readSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { expect } from 'vitest';
import type { ArchitectureName } from '../../src/arch/architecture.js';
import { buildFdt, cells, node, prop, type Item, type Prop } from '../fdt/build.js';
import type { Role } from './capture-image.js';
import { runHere } from './run-here.js';
import type { RunResult } from './run.js';

/*
 * Small images of every architecture, put together here and read back here: nothing of the code under test but the packing of `packed`. A test
 * changes the parts before they become bytes.
 */

export type { ArchitectureName };

export interface ProgramHeader {
  type: number;
  flags: number;
  offset: bigint;
  vaddr: bigint;
  paddr: bigint;
  filesz: bigint;
  memsz: bigint;
  align: bigint;
}

export const PT_LOAD = 1;
export const PT_NOTE = 4;
export const LSB = 1;
export const MSB = 2;

interface Facts {
  readonly machine: number;
  readonly little: boolean;
  readonly base: bigint;
  /** p_vaddr - p_paddr of the linear map. */
  readonly linear: bigint;
  /** p_vaddr of the kernel text's own PT_LOAD. */
  readonly text?: bigint;
  readonly hasFdt: boolean;
  readonly hasBackup: boolean;
}

const FACTS: Record<ArchitectureName, Facts> = {
  ppc64: { machine: 21, little: false, base: 0n, linear: 0xc000000000000000n, hasFdt: true, hasBackup: true },
  ppc64le: { machine: 21, little: true, base: 0n, linear: 0xc000000000000000n, hasFdt: true, hasBackup: true },
  x86_64: { machine: 62, little: true, base: 0n, linear: 0xff11000000000000n, text: 0xffffffff81000000n, hasFdt: false, hasBackup: false },
  aarch64: {
    machine: 183,
    little: true,
    base: 0x40000000n,
    linear: 0xffff000000000000n - 0x40000000n,
    text: 0xffff800080000000n,
    hasFdt: true,
    hasBackup: false,
  },
  riscv64: {
    machine: 243,
    little: true,
    base: 0x80000000n,
    linear: 0xff60000000000000n - 0x80000000n,
    text: 0xffffffff80000000n,
    hasFdt: true,
    hasBackup: false,
  },
  // The kernel text is mapped at its place in the linear map.
  loongarch64: {
    machine: 258,
    little: true,
    base: 0n,
    linear: 0x9000000000000000n,
    text: 0x9000000001000000n,
    hasFdt: true,
    hasBackup: false,
  },
  s390x: { machine: 22, little: false, base: 0n, linear: 0n, hasFdt: false, hasBackup: false },
};

export const RAM_SIZE = 0x4000000n;
const CRASH_KERNEL_AT = 0x2000000n;
export const CRASH_KERNEL_SIZE = 0x1000000n;
export const SEGMENT_ROOM = 0x10000n;

/** Places in the crashkernel range; the kernel takes two. */
const PLACES: readonly Role[] = ['kernel', 'other', 'backup', 'elfcorehdr', 'purgatory', 'initrd', 'fdt', 'boot-params'];

export interface Place {
  address: bigint;
  memsz: bigint;
}

/** What an image is made of; all of it may be changed until it is made. */
export interface Parts {
  readonly architecture: ArchitectureName;
  readonly facts: Facts;
  eiData: number;
  crashKernel: { start: bigint; end: bigint };
  places: Map<Role, Place>;
  programHeaders: ProgramHeader[];
  chosen: Prop[];
  cpus: Item[];
  /** Further children of the root. */
  nodes: Item[];
  reservations: [bigint, bigint][];
  /** Free bytes inside the FDT's totalsize. */
  fdtSlack: number;
  /** What the purgatory's digest covers. */
  covers: Role[];
}

export function note(paddr: bigint, size = 0x170n): ProgramHeader {
  return { type: PT_NOTE, flags: 0, offset: paddr, vaddr: 0n, paddr, filesz: size, memsz: size, align: 0n };
}

export function load(start: bigint, size: bigint, linear: bigint, more: Partial<ProgramHeader> = {}): ProgramHeader {
  const vaddr = (start + linear) & ((1n << 64n) - 1n);
  return { type: PT_LOAD, flags: 7, offset: start, vaddr, paddr: start, filesz: size, memsz: size, align: 0n, ...more };
}

export interface PartOptions {
  /** As kexec_file_load leaves a ppc64 image, and every other one with an FDT. */
  readonly fileLoaded?: boolean;
  readonly hotplug?: boolean;
  readonly linear?: bigint;
  readonly cpus?: number;
  /** Where the crashkernel range begins, from the start of RAM on. */
  readonly crashKernelAt?: bigint;
}

/** A valid image: 64 MiB of RAM, 16 MiB of crashkernel in the middle, two CPUs. */
export function partsOf(architecture: ArchitectureName, options: PartOptions = {}): Parts {
  const facts = { ...FACTS[architecture], ...(options.linear === undefined ? {} : { linear: options.linear }) };
  const { base, linear, text, hasFdt, hasBackup } = facts;
  const isPpc64 = facts.machine === 21;
  const fileLoaded = options.fileLoaded ?? !isPpc64;
  const start = base + (options.crashKernelAt ?? CRASH_KERNEL_AT);
  const crashKernel = { start, end: start + CRASH_KERNEL_SIZE };
  const places = new Map<Role, Place>();
  PLACES.forEach((role, index) => {
    const wanted = { backup: hasBackup, other: false, fdt: hasFdt, 'boot-params': !hasFdt }[role as string] ?? true;
    if (wanted) places.set(role, { address: start + BigInt(index) * SEGMENT_ROOM, memsz: SEGMENT_ROOM * (role === 'kernel' ? 2n : 1n) });
  });
  const at = (role: Role): bigint => places.get(role)?.address ?? 0n;
  const count = options.cpus ?? 2;
  const notes = Array.from({ length: count }, (_, index) => note(base + 0x700000n + BigInt(index) * 0x1000n));
  const low = hasBackup ? 0x10000n : architecture === 'x86_64' ? 0x100000n : 0n;
  const programHeaders = [
    ...notes,
    note(base + 0x800000n, 0x1024n),
    ...(text === undefined ? [] : [load(base + 0x1000000n, 0x400000n, linear, { vaddr: text })]),
    ...(hasBackup ? [load(0n, 0x10000n, linear, { offset: at('backup') })] : []),
    load(base + low, start - base - low, linear),
    load(crashKernel.end, base + RAM_SIZE - crashKernel.end, linear),
  ];
  const initrd = at('initrd');
  const chosen: Prop[] = [
    prop('linux,initrd-start', cells(0, Number(initrd))),
    prop('linux,initrd-end', cells(0, Number(initrd) + 0x9000)),
    prop('bootargs', isPpc64 ? `elfcorehdr=${at('elfcorehdr') / 1024n}K nr_cpus=1` : 'console=ttyS0 nr_cpus=1'),
  ];
  if (fileLoaded) {
    chosen.push(prop('linux,elfcorehdr', cells(0, Number(at('elfcorehdr')), 0, 0x400)));
    if (!isPpc64) chosen.push(prop('linux,usable-memory-range', cells(0, Number(start), 0, Number(CRASH_KERNEL_SIZE))));
  }
  const reservations: [bigint, bigint][] = [];
  if (isPpc64) {
    reservations.push([0x10000n, start - 0x10000n], [at('backup'), 0x10000n], [at('elfcorehdr'), SEGMENT_ROOM]);
  }
  const cpus = Array.from({ length: count }, (_, id) => cpuNode(architecture, id));
  const covered: Role[] = ['kernel', 'backup', 'elfcorehdr', 'initrd', 'fdt', 'boot-params'];
  return {
    architecture,
    facts,
    eiData: facts.little ? LSB : MSB,
    crashKernel,
    places,
    programHeaders,
    chosen,
    cpus,
    nodes: isPpc64
      ? [node('memory@0', prop('device_type', 'memory'), prop('linux,usable-memory', cells(0, 0, 0, Number(crashKernel.end))))]
      : [],
    reservations,
    fdtSlack: 0x800,
    covers: covered.filter((role) => places.has(role) && !(options.hotplug === true && (role === 'elfcorehdr' || role === 'fdt'))),
  };
}

export function cpuNode(architecture: ArchitectureName, id: number, ...more: Item[]): Item {
  const base = architecture.startsWith('ppc64') ? 'PowerPC,POWER9' : 'cpu';
  return node(
    `${base}@${id.toString(16)}`,
    prop('device_type', 'cpu'),
    prop('reg', cells(id)),
    ...(base === 'cpu' ? [prop('compatible', `vendor,${architecture}`)] : [prop('ibm,ppc-interrupt-server#s', cells(id))]),
    ...more,
  );
}

/** The elfcorehdr segment, zero-padded to its memsz. */
export function elfcorehdrBytes({ facts, eiData, programHeaders, places }: Parts): Buffer {
  const bytes = Buffer.alloc(Number(places.get('elfcorehdr')?.memsz ?? 0n));
  putElfHeader(bytes, { machine: facts.machine, little: facts.little, eiData, type: 4, count: programHeaders.length });
  programHeaders.forEach((header, index) => {
    putProgramHeader(bytes, 64 + 56 * index, header, facts.little);
  });
  return bytes;
}

export interface ElfFields {
  machine: number;
  little: boolean;
  eiData?: number;
  type: number;
  count: number;
  phoff?: number;
  ehsize?: number;
  shoff?: number;
}

export function putElfHeader(bytes: Buffer, fields: ElfFields): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const { little } = fields;
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, fields.eiData ?? (little ? LSB : MSB), 1]);
  view.setUint16(16, fields.type, little);
  view.setUint16(18, fields.machine, little);
  view.setUint32(20, 1, little);
  view.setBigUint64(32, BigInt(fields.phoff ?? 64), little);
  view.setBigUint64(40, BigInt(fields.shoff ?? 0), little);
  view.setUint16(52, fields.ehsize ?? 64, little);
  view.setUint16(54, 56, little);
  view.setUint16(56, fields.count, little);
}

export function putProgramHeader(bytes: Buffer, at: number, header: ProgramHeader, little: boolean): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  view.setUint32(at, header.type, little);
  view.setUint32(at + 4, header.flags, little);
  (['offset', 'vaddr', 'paddr', 'filesz', 'memsz', 'align'] as const).forEach((name, index) => {
    view.setBigUint64(at + 8 + 8 * index, header[name], little);
  });
}

/** The program headers of an elfcorehdr, by the count in the bytes themselves. */
export function programHeadersOf(bytes: Uint8Array, little = true): ProgramHeader[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from({ length: view.getUint16(56, little) }, (_, index) => {
    const at = 64 + 56 * index;
    const value = (field: number): bigint => view.getBigUint64(at + 8 + 8 * field, little);
    return {
      type: view.getUint32(at, little),
      flags: view.getUint32(at + 4, little),
      offset: value(0),
      vaddr: value(1),
      paddr: value(2),
      filesz: value(3),
      memsz: value(4),
      align: value(5),
    };
  });
}

/** The header and program headers, without what follows. */
export function headersOf(bytes: Uint8Array, little = true): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return bytes.subarray(0, 64 + 56 * view.getUint16(56, little));
}

export function fdtBytes(parts: Parts): Buffer {
  const { chosen, cpus, nodes, reservations, fdtSlack, places } = parts;
  const fdt = buildFdt(
    [
      prop('#address-cells', cells(2)),
      prop('#size-cells', cells(2)),
      prop('model', 'small test machine'),
      node('chosen', ...chosen),
      node('cpus', prop('#address-cells', cells(1)), prop('#size-cells', cells(0)), ...cpus),
      ...nodes,
    ],
    { reservations },
  );
  const totalSize = fdt.length + fdtSlack;
  const bytes = Buffer.alloc(Math.max(Number(places.get('fdt')?.memsz ?? 0n), totalSize));
  bytes.set(fdt);
  bytes.writeUInt32BE(totalSize, 4);
  return bytes;
}

const TABLE_AT = 0x100;
export const DIGEST_AT = 0x200;

/** A built image's segments, and where they are. */
export interface Built {
  readonly parts: Parts;
  readonly segments: readonly { readonly role: Role; readonly address: bigint; readonly memsz: bigint; readonly bytes: Buffer }[];
}

export function build(parts: Parts): Built {
  const segments = [...parts.places].map(([role, { address, memsz }]) => ({
    role,
    address,
    memsz,
    bytes: contents(role, parts),
  }));
  const purgatory = segments.find(({ role }) => role === 'purgatory');
  if (purgatory !== undefined) {
    parts.covers.forEach((role, index) => {
      const place = parts.places.get(role);
      if (place === undefined) throw new Error(`no ${role} to cover`);
      const view = new DataView(purgatory.bytes.buffer, purgatory.bytes.byteOffset);
      view.setBigUint64(TABLE_AT + 16 * index, place.address, parts.facts.little);
      view.setBigUint64(TABLE_AT + 16 * index + 8, place.memsz, parts.facts.little);
    });
    const bytesOf = (role: Role): Uint8Array => segments.find((each) => each.role === role)?.bytes ?? new Uint8Array();
    purgatory.bytes.set(Buffer.from(digestOf(parts, bytesOf), 'hex'), DIGEST_AT);
  }
  return { parts, segments };
}

/** SHA-256 over what the purgatory covers, each at full memsz. */
export function digestOf({ covers, places }: Parts, bytesOf: (role: Role) => Uint8Array): string {
  const hash = createHash('sha256');
  for (const role of covers) {
    const bytes = bytesOf(role);
    hash.update(bytes).update(new Uint8Array(Number(places.get(role)?.memsz ?? 0n) - bytes.length));
  }
  return hash.digest('hex');
}

function contents(role: Role, parts: Parts): Buffer {
  if (role === 'elfcorehdr') return elfcorehdrBytes(parts);
  if (role === 'fdt') return fdtBytes(parts);
  if (role === 'purgatory') return Buffer.alloc(0x400, 0, 'latin1').fill(0x60, 0, 0x80);
  if (role === 'boot-params') return bootParameters(parts);
  return Buffer.alloc(0x9000, `${parts.architecture} ${role} `, 'latin1');
}

/** x86 boot_params: magic of the setup header and where the initrd is. */
function bootParameters({ places }: Parts): Buffer {
  const bytes = Buffer.alloc(0x1000);
  bytes.write('HdrS', 0x202, 'latin1');
  const initrd = places.get('initrd')?.address ?? 0n;
  bytes.writeUInt32LE(Number(initrd & 0xffffffffn), 0x218);
  // ext_ramdisk_image
  bytes.writeUInt32LE(Number(initrd >> 32n), 0xc0);
  bytes.writeUInt32LE(0x9000, 0x21c);
  return bytes;
}

/** Bytes of memory that a file stores. */
export interface Extent {
  readonly address: bigint;
  readonly size: bigint;
  readonly offset: number;
}

/** An image in a file, found again without the code under test. */
export class BuiltFile {
  readonly built: Built;
  readonly path: string;
  private readonly extents: readonly Extent[];
  readonly options: readonly string[];

  constructor(built: Built, path: string, extents: readonly Extent[], options: readonly string[]) {
    this.built = built;
    this.path = path;
    this.extents = extents;
    this.options = options;
  }

  /** The segment at full memsz; what is not stored is zero. */
  read(role: Role): Buffer {
    const { address, memsz } = this.place(role);
    const bytes = Buffer.alloc(Number(memsz));
    const descriptor = openSync(this.path, 'r');
    try {
      for (const piece of this.pieces(address, bytes.length)) readSync(descriptor, bytes, piece.at, piece.length, piece.offset);
    } finally {
      closeSync(descriptor);
    }
    return bytes;
  }

  write(role: Role, bytes: Uint8Array, at = 0): void {
    const descriptor = openSync(this.path, 'r+');
    try {
      for (const piece of this.pieces(this.place(role).address + BigInt(at), bytes.length)) {
        writeSync(descriptor, bytes, piece.at, piece.length, piece.offset);
      }
    } finally {
      closeSync(descriptor);
    }
  }

  /** Where the segment's bytes are in the file: a segment may lie across two loads of a dump. */
  stored(role: Role): { offset: number; length: number }[] {
    const { address, memsz } = this.place(role);
    return this.pieces(address, Number(memsz));
  }

  /** What the purgatory would compute, and what it has. */
  digests(): { computed: string; stored: string } {
    return {
      computed: digestOf(this.built.parts, (role) => this.read(role)),
      stored: this.read('purgatory').toString('hex', DIGEST_AT, DIGEST_AT + 32),
    };
  }

  /** Of memory that is stored twice the first extent counts. */
  private pieces(address: bigint, length: number): { at: number; offset: number; length: number }[] {
    return piecesOf(this.extents, address, length);
  }

  private place(role: Role): Place {
    const place = this.built.parts.places.get(role);
    if (place === undefined) throw new Error(`no ${role} in ${this.path}`);
    return place;
  }
}

function piecesOf(extents: readonly Extent[], address: bigint, length: number): { at: number; offset: number; length: number }[] {
  const pieces = [];
  for (let at = 0; at < length;) {
    const start = address + BigInt(at);
    const extent = extents.find((each) => each.address <= start && start < each.address + each.size);
    const next = extents.reduce((low, each) => (each.address > start && each.address < low ? each.address : low), address + BigInt(length));
    const end = extent === undefined ? next : extent.address + extent.size;
    const size = Math.min(length - at, Number(end - start));
    if (extent !== undefined) pieces.push({ at, offset: extent.offset + Number(start - extent.address), length: size });
    at += size;
  }
  return pieces;
}

/** Puts the segments of `images` into a sparse RAM file of the guest. */
export function ramFile(path: string, images: readonly Built[], size = Number(RAM_SIZE)): BuiltFile {
  const [first] = images;
  if (first === undefined) throw new Error('no image');
  const { base } = first.parts.facts;
  const descriptor = openSync(path, 'wx+');
  ftruncateSync(descriptor, size);
  for (const { segments } of images)
    for (const { address, bytes } of segments) writeSync(descriptor, bytes, 0, bytes.length, Number(address - base));
  closeSync(descriptor);
  return new BuiltFile(
    first,
    path,
    [{ address: base, size: BigInt(size), offset: 0 }],
    base === 0n ? [] : ['--base', `0x${base.toString(16)}`],
  );
}

/** The same image, packed by the program. */
export function packedFile(path: string, built: Built): BuiltFile {
  const name = basename(path);
  const segments = built.segments.map(({ role, address, memsz, bytes }) => {
    const file = `${name}.${role}`;
    writeFileSync(join(dirname(path), file), bytes);
    return { name: role, address: `0x${address.toString(16)}`, memsz: Number(memsz), file };
  });
  const manifest = `${path}.json`;
  writeFileSync(manifest, JSON.stringify({ architecture: built.parts.architecture, segments }));
  expect(runHere(['pack', '--manifest', manifest, '-o', path])).toMatchObject({ status: 0, stderr: '' });
  // One program header a segment.
  const table = programHeadersOf(readFileSync(path), built.parts.facts.little);
  const extents = table.map(({ paddr, filesz, offset }) => ({ address: paddr, size: filesz, offset: Number(offset) }));
  return new BuiltFile(built, path, extents, []);
}

export interface CoreLoad {
  /** Physical address, and bytes of memory from there. */
  readonly address: bigint;
  readonly size: bigint;
  /** p_filesz, where it is less than the size. */
  readonly fileSize?: bigint;
  readonly offset: number;
}

export interface CoreOptions extends Partial<ElfFields> {
  /** Only this much of the file is written. */
  readonly fileSize?: number;
  /** Count in sh_info of section 0, with a count of PN_XNUM. */
  readonly extendedCount?: number;
  readonly before?: readonly ProgramHeader[];
}

/** An ELF memory dump with the segments of `built`: e_phoff 64 and the loads as they are told. */
export function coreFile(path: string, built: Built, loads: readonly CoreLoad[], options: CoreOptions = {}): BuiltFile {
  const { facts } = built.parts;
  const before = options.before ?? [];
  const headers = [
    ...before,
    ...loads.map(({ address, size, fileSize = size, offset }) => ({
      ...load(address, size, 0n),
      offset: BigInt(offset),
      filesz: fileSize,
    })),
  ];
  const phoff = options.phoff ?? 64;
  const head = Buffer.alloc(phoff + 56 * headers.length + 64);
  const extended = options.extendedCount !== undefined;
  const shoff = phoff + 56 * headers.length;
  putElfHeader(head, {
    machine: facts.machine,
    little: facts.little,
    type: 4,
    count: extended ? 0xffff : headers.length,
    ...(extended ? { shoff } : {}),
    ...options,
  });
  headers.forEach((header, index) => {
    putProgramHeader(head, phoff + 56 * index, header, facts.little);
  });
  if (options.extendedCount !== undefined)
    new DataView(head.buffer, head.byteOffset).setUint32(shoff + 44, options.extendedCount, facts.little);
  const extents = loads.map(({ address, size, fileSize = size, offset }) => ({ address, size: fileSize, offset }));
  const descriptor = openSync(path, 'wx+');
  const end = loads.reduce((most, { offset, size, fileSize = size }) => Math.max(most, offset + Number(fileSize)), head.length);
  ftruncateSync(descriptor, options.fileSize ?? end);
  writeSync(descriptor, head, 0, head.length, 0);
  for (const { address, bytes } of built.segments) {
    for (const piece of piecesOf(extents, address, bytes.length)) writeSync(descriptor, bytes, piece.at, piece.length, piece.offset);
  }
  closeSync(descriptor);
  return new BuiltFile(built, path, extents, []);
}

/** PT_LOADs and PT_NOTEs of an elfcorehdr as readelf sees them: `LOAD offset vaddr paddr filesz memsz`. */
export function readelf(bytes: Uint8Array): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'kdump-hotplug-readelf-'));
  try {
    const path = join(folder, 'elfcorehdr');
    writeFileSync(path, bytes);
    const { status, stdout } = spawnSync('readelf', ['-lW', path], { encoding: 'utf8' });
    expect(status).toBe(0);
    return stdout.split('\n').flatMap((line) => {
      const [type = '', ...fields] = line.trim().split(/\s+/);
      return type === 'LOAD' || type === 'NOTE' ? [[type, ...fields.slice(0, 5).map((field) => BigInt(field).toString(16))].join(' ')] : [];
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** A program header in the form of {@link readelf}. */
export function shown({ type, offset, vaddr, paddr, filesz, memsz }: ProgramHeader): string {
  return [type === PT_LOAD ? 'LOAD' : 'NOTE', ...[offset, vaddr, paddr, filesz, memsz].map((value) => value.toString(16))].join(' ');
}

/** Device tree source of an FDT as dtc sees it, nodes and properties sorted. */
export function dtc(bytes: Uint8Array): string {
  const { status, stdout, stderr } = spawnSync('dtc', ['-s', '-q', '-I', 'dtb', '-O', 'dts', '-'], { input: bytes, encoding: 'utf8' });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout;
}

/** The lines of a node in device tree source, without its subnodes. */
export function nodeLines(source: string, name: string): string[] {
  const lines = source.split('\n').map((line) => line.trim());
  const start = lines.indexOf(`${name} {`);
  expect(start, name).toBeGreaterThan(0);
  const body = lines.slice(start + 1);
  return body
    .slice(
      0,
      body.findIndex((line) => line === '};' || line.endsWith('{')),
    )
    .filter((line) => line !== '');
}

/** What `apply --json` and `plan --json` print. */
export interface PlanJson {
  applied: boolean;
  changes: { made: boolean; reason?: string }[];
  segments: { name: string; changed: boolean; bytesChanged: number }[];
  digest: string;
  derived: { node: string; property: string; how: string }[];
  findings: { severity: string; code: string; message: string }[];
}

/** The plan that a run printed; it succeeded. */
export function planOf({ status, stdout, stderr }: RunResult): PlanJson {
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return JSON.parse(stdout) as PlanJson;
}
