import { KdumpError } from '../../src/errors.js';
import type { FileStatus, FileSystem } from '../../src/file/file-system.js';

/** A file system with one file, which counts the calls that would change something and makes none of them. */
export class MemoryFileSystem implements FileSystem {
  contents: Uint8Array = new Uint8Array(0);
  writes = 0;

  open(path: string, mode: string): number {
    if (mode !== 'read') this.refuse();
    return path === '' ? 0 : 3;
  }
  close(): void {
    // Nothing is held.
  }
  status(): FileStatus {
    const size = BigInt(this.contents.length);
    return {
      kind: 'file',
      size,
      device: 1n,
      inode: 1n,
      links: 1n,
      allocated: size,
      mode: 0o600,
      user: 0,
      group: 0,
      birthTime: 0n,
      modified: 0n,
    };
  }
  read(_: number, into: Uint8Array, position: bigint | number): number {
    const start = Number(position);
    const part = this.contents.subarray(start, start + into.length);
    into.set(part);
    return part.length;
  }
  write(): void {
    this.refuse();
  }
  sync(): void {
    this.refuse();
  }
  openUnnamed(): undefined {
    this.refuse();
  }
  nameUnnamed(): void {
    this.refuse();
  }
  link(): void {
    this.refuse();
  }
  remove(): void {
    this.refuse();
  }
  rename(): void {
    this.refuse();
  }
  exists(path: string): boolean {
    return path === '/proc/self/fdinfo';
  }
  kindOf(): 'file' {
    return 'file';
  }
  readAhead(): void {
    return;
  }
  readStart(_: string, limit: number): Uint8Array {
    return this.contents.subarray(0, limit);
  }
  readStandardInput(limit: number): Uint8Array {
    return this.contents.subarray(0, limit);
  }
  makeDirectory(): void {
    this.refuse();
  }
  list(): [] {
    return [];
  }
  copy(): void {
    this.refuse();
  }
  linkTarget(): undefined {
    return undefined;
  }
  realPath(path: string): string {
    return path;
  }
  openDirectory(): number {
    return 4;
  }
  statusIn(): undefined {
    return undefined;
  }
  openIn(): number {
    return this.refuse();
  }
  removeIn(): void {
    this.refuse();
  }
  setAttributes(): void {
    this.refuse();
  }
  lock(): boolean {
    return true;
  }
  volumeType(): bigint {
    return 0n;
  }
  now(): bigint {
    return 1n << 60n;
  }
  pause(): void {
    throw new Error('a reader waits for nobody here');
  }

  private refuse(): never {
    this.writes += 1;
    throw new KdumpError('io', 'a write to an image that is only read');
  }
}
