import { KdumpError } from '../../src/errors.js';
import type { FileStatus, FileSystem, OpenMode } from '../../src/file/file-system.js';

/** What reaches a disk, as far as the order of it matters. Positions and bytes of writes, entries of the one directory. */
export type Operation =
  | { readonly kind: 'write'; readonly inode: number; readonly position: number; readonly bytes: Uint8Array }
  | { readonly kind: 'sync'; readonly inode: number }
  | { readonly kind: 'sync-directory' }
  | { readonly kind: 'create'; readonly name: string; readonly inode: number }
  | { readonly kind: 'link'; readonly name: string; readonly inode: number }
  | { readonly kind: 'remove'; readonly name: string }
  | { readonly kind: 'rename'; readonly from: string; readonly to: string };

/** The files of one directory. */
export interface Disk {
  readonly names: ReadonlyMap<string, number>;
  readonly data: ReadonlyMap<number, Uint8Array>;
}

export interface Machine {
  /** Differs from boot to boot; so does the number of the disk. */
  readonly boot: number;
  /** Whether images claim to have holes. */
  readonly sparse?: boolean;
  /** Whether the file system has files without a name, and second names for files. */
  readonly unnamed?: boolean;
  readonly links?: boolean;
}

export const FOLDER = '/disk';
export const IMAGE = 'image';
export const IMAGE_PATH = `${FOLDER}/${IMAGE}`;
export const IMAGE_INODE = 10;
export const JOURNAL = '.image.kdhp-journal';

export function diskWith(image: Uint8Array, journal?: Uint8Array): Disk {
  const names = new Map([[IMAGE, IMAGE_INODE]]);
  const data = new Map([[IMAGE_INODE, image]]);
  if (journal !== undefined) {
    names.set(JOURNAL, IMAGE_INODE + 1);
    data.set(IMAGE_INODE + 1, journal);
  }
  return { names, data };
}

interface Handle {
  readonly inode: number;
  readonly path: string;
}

const DIRECTORY_INODE = 1;
const NOW = 2_000_000_000_000_000_000n;

/** A file system in memory that notes what it is told to do. It changes the disk's files in place: give it copies. */
export class ModelFileSystem implements FileSystem {
  readonly operations: Operation[] = [];
  private readonly names: Map<string, number>;
  private readonly files: Map<number, Uint8Array>;
  private readonly handles = new Map<number, Handle>();
  private nextHandle = 3;
  private nextInode: number;

  private readonly machine: Machine;

  constructor(disk: Disk, machine: Machine = { boot: 1 }) {
    this.machine = machine;
    this.names = new Map(disk.names);
    this.files = new Map(disk.data);
    this.nextInode = Math.max(IMAGE_INODE, ...this.files.keys()) + 1;
  }

  get disk(): Disk {
    return { names: this.names, data: this.files };
  }

  get openFiles(): number {
    return this.handles.size;
  }

  contents(name: string): Uint8Array | undefined {
    const inode = this.names.get(name);
    return inode === undefined ? undefined : this.files.get(inode);
  }

  open(path: string, mode: OpenMode, shown = path): number {
    return this.openName(nameOf(path), mode, shown);
  }

  close(descriptor: number): void {
    this.handle(descriptor);
    this.handles.delete(descriptor);
  }

  status(descriptor: number): FileStatus {
    return this.statusOf(this.handle(descriptor).inode);
  }

  read(descriptor: number, into: Uint8Array, position: bigint | number): number {
    const start = Number(position);
    const data = this.data(descriptor).subarray(start, start + into.length);
    into.set(data);
    return data.length;
  }

  write(descriptor: number, bytes: Uint8Array, position: number): void {
    const { inode } = this.handle(descriptor);
    this.operations.push({ kind: 'write', inode, position, bytes: bytes.slice() });
    this.files.set(inode, overwritten(this.data(descriptor), bytes, position));
  }

  sync(descriptor: number): void {
    const { inode } = this.handle(descriptor);
    this.operations.push(inode === DIRECTORY_INODE ? { kind: 'sync-directory' } : { kind: 'sync', inode });
  }

  openUnnamed(path: string): number | undefined {
    if (this.machine.unnamed !== true) return undefined;
    const made = this.nextInode;
    this.nextInode += 1;
    this.files.set(made, new Uint8Array());
    return this.newHandle(made, path);
  }

  nameUnnamed(descriptor: number, path: string): void {
    this.addName(nameOf(path), this.handle(descriptor).inode, path);
  }

  link(from: string, to: string): void {
    const inode = this.names.get(nameOf(from));
    if (inode === undefined || this.machine.links === false)
      throw new KdumpError('io', 'cannot link: operation not permitted (EPERM)', { file: to });
    this.addName(nameOf(to), inode, to);
  }

  private addName(name: string, inode: number, file: string): void {
    if (this.names.has(name)) throw new KdumpError('io', 'cannot link: it exists already (EEXIST)', { file });
    this.operations.push({ kind: 'link', name, inode });
    this.names.set(name, inode);
  }

  remove(path: string): void {
    this.removeName(nameOf(path));
  }

  rename(from: string, to: string): void {
    const inode = this.names.get(nameOf(from));
    if (inode === undefined) throw new KdumpError('io', 'cannot rename: no such file or directory (ENOENT)', { file: from });
    this.operations.push({ kind: 'rename', from: nameOf(from), to: nameOf(to) });
    this.names.delete(nameOf(from));
    this.names.set(nameOf(to), inode);
  }

  exists(path: string): boolean {
    return this.names.has(nameOf(path)) || path === '/proc/self/fdinfo';
  }

  kindOf(): FileStatus['kind'] {
    return 'file';
  }

  readAhead(): void {
    return;
  }
  readStart(path: string, limit: number): Uint8Array {
    if (path === '/proc/sys/kernel/random/boot_id') return Buffer.from(`${this.machine.boot}`.padStart(36, '0'), 'latin1');
    if (path === '/proc/locks') return new Uint8Array();
    if (path.startsWith('/proc/self/fdinfo/')) return Buffer.from('pos:\t0\nmnt_id:\t24\n');
    const data = this.contents(nameOf(path));
    if (data === undefined) throw new KdumpError('io', 'cannot open: no such file or directory (ENOENT)', { file: path });
    return data.slice(0, limit);
  }

  list(): [] {
    return [];
  }

  linkTarget(): undefined {
    return undefined;
  }
  realPath(path: string): string {
    return path;
  }

  openDirectory(path: string): number {
    return this.newHandle(DIRECTORY_INODE, path);
  }

  statusIn(_directory: number, name: string): FileStatus | undefined {
    const inode = this.names.get(name);
    return inode === undefined ? undefined : this.statusOf(inode);
  }

  openIn(_directory: number, name: string, mode: OpenMode): number {
    return this.openName(name, mode, `${FOLDER}/${name}`);
  }

  removeIn(_directory: number, name: string): void {
    this.removeName(name);
  }

  setAttributes(descriptor: number): void {
    this.handle(descriptor);
  }

  lock(descriptor: number): boolean {
    this.handle(descriptor);
    return true;
  }

  volumeType(): bigint {
    return 0n;
  }

  now(): bigint {
    return NOW;
  }

  pause(milliseconds: number): void {
    throw new Error(`nobody else is there to wait ${milliseconds} ms for`);
  }

  copy(): never {
    throw new Error('not in the model');
  }

  makeDirectory(): never {
    throw new Error('not in the model');
  }

  readStandardInput(): never {
    throw new Error('not in the model');
  }

  private openName(name: string, mode: OpenMode, path: string): number {
    const inode = this.names.get(name);
    if (mode === 'read' || mode === 'modify') {
      if (inode === undefined) throw new KdumpError('io', 'cannot open: no such file or directory (ENOENT)', { file: path });
      return this.newHandle(inode, path);
    }
    if (inode !== undefined && mode === 'create') throw new KdumpError('io', 'cannot open: it exists already (EEXIST)', { file: path });
    const made = this.nextInode;
    this.nextInode += 1;
    this.operations.push({ kind: 'create', name, inode: made });
    this.names.set(name, made);
    this.files.set(made, new Uint8Array());
    return this.newHandle(made, path);
  }

  private removeName(name: string): void {
    if (!this.names.delete(name)) return;
    this.operations.push({ kind: 'remove', name });
  }

  private newHandle(inode: number, path: string): number {
    const descriptor = this.nextHandle;
    this.nextHandle += 1;
    this.handles.set(descriptor, { inode, path });
    return descriptor;
  }

  private handle(descriptor: number): Handle {
    const handle = this.handles.get(descriptor);
    if (handle === undefined) throw new Error(`descriptor ${descriptor} is not open`);
    return handle;
  }

  private data(descriptor: number): Uint8Array {
    return this.files.get(this.handle(descriptor).inode) ?? new Uint8Array();
  }

  private statusOf(inode: number): FileStatus {
    const size = this.files.get(inode)?.length ?? 0;
    return {
      kind: inode === DIRECTORY_INODE ? 'directory' : 'file',
      size: BigInt(size),
      device: BigInt(40 + this.machine.boot),
      inode: BigInt(inode),
      links: 1n,
      allocated: this.machine.sparse === true ? 0n : BigInt(size),
      mode: 0o600,
      user: 0,
      group: 0,
      birthTime: 7n,
      modified: 1n,
    };
  }
}

/** `data` with `bytes` at `position`: changed in place where it is long enough. */
export function overwritten(data: Uint8Array, bytes: Uint8Array, position: number): Uint8Array {
  const end = position + bytes.length;
  let result = data;
  if (end > data.length) {
    result = new Uint8Array(end);
    result.set(data);
  }
  result.set(bytes, position);
  return result;
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
