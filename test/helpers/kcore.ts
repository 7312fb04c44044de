import type { FileStatus, FileSystem } from '../../src/file/file-system.js';
import { nodeFileSystem } from '../../src/file/node-file-system.js';
import { load, note, putElfHeader, putProgramHeader, RAM_SIZE, type Built, type ProgramHeader } from './build-image.js';

/** How a kernel maps its memory, and where /proc/kcore shows an address of it. */
export interface Paging {
  /** PAGE_OFFSET: where its linear map begins, moved by KASLR or not. */
  readonly linearMap: bigint;
  /** kc_vaddr_to_offset() of the architecture. */
  readonly offsetOf: (virtual: bigint) => bigint;
  readonly pageSize: number;
  readonly vmalloc: bigint;
  readonly vmallocSize: bigint;
}

interface Piece {
  readonly offset: bigint;
  readonly bytes: Uint8Array;
}

/** A file that is mostly not there, larger than any file system takes. */
export interface SparseFile {
  readonly size: bigint;
  readonly pieces: readonly Piece[];
}

const NO_ADDRESS = (1n << 64n) - 1n;

/** /proc/kcore of a machine with the built image in its memory: headers as elf_kcore_store_hdr() in fs/proc/kcore.c writes them. */
export function kcoreOf({ parts, segments }: Built, paging: Paging, { addresses = true } = {}): SparseFile {
  const { base, machine, little } = parts.facts;
  const start = BigInt(paging.pageSize);
  const at = (virtual: bigint): bigint => paging.offsetOf(virtual) + start;
  const ram = paging.linearMap;
  const headers: ProgramHeader[] = [
    { ...note(0n, 0n), offset: 0x200n },
    { ...load(NO_ADDRESS, paging.vmallocSize, 0n), paddr: NO_ADDRESS, vaddr: paging.vmalloc, offset: at(paging.vmalloc) },
    { ...load(base, RAM_SIZE, 0n), vaddr: ram, offset: at(ram) },
    { ...load(base + RAM_SIZE, 0x10000n, 0n), paddr: NO_ADDRESS, vaddr: ram + (1n << 40n), offset: at(ram + (1n << 40n)) },
  ].map((header) => (addresses || header.type !== 1 ? header : { ...header, paddr: 0n }));
  const head = Buffer.alloc(paging.pageSize);
  putElfHeader(head, { machine, little, type: 4, count: headers.length });
  headers.forEach((header, index) => {
    putProgramHeader(head, 64 + 56 * index, header, little);
  });
  const size = headers.map(({ offset, filesz }) => offset + filesz).reduce((a, b) => (a > b ? a : b));
  return {
    size,
    pieces: [{ offset: 0n, bytes: head }, ...segments.map(({ address, bytes }) => ({ offset: at(ram + address - base), bytes }))],
  };
}

const DESCRIPTOR = 1_000_000;

/** The real file system with these files in it besides: sparse ones, small texts, and ones that cannot be opened. */
export function fileSystemWith(
  sparse: Readonly<Record<string, SparseFile>>,
  texts: Readonly<Record<string, string>> = {},
  open: FileSystem['open'] = nodeFileSystem.open.bind(nodeFileSystem),
): FileSystem {
  const names = Object.keys(sparse);
  const fileOf = (descriptor: number): SparseFile | undefined => sparse[names[descriptor - DESCRIPTOR] ?? ''];
  const status = nodeFileSystem.status.bind(nodeFileSystem);
  return {
    ...nodeFileSystem,
    lock: () => true,
    open: (path, mode) => (names.includes(path) && mode === 'read' ? DESCRIPTOR + names.indexOf(path) : open(path, mode)),
    close: (descriptor) => {
      if (fileOf(descriptor) === undefined) nodeFileSystem.close(descriptor);
    },
    status: (descriptor): FileStatus => {
      const file = fileOf(descriptor);
      if (file === undefined) return status(descriptor);
      return { kind: 'file', size: file.size, device: 1n, inode: 1n, links: 1n, allocated: 0n, mode: 0o400, user: 0, group: 0, birthTime: 0n, modified: 0n }; // prettier-ignore
    },
    read: (descriptor, into, position) => {
      const file = fileOf(descriptor);
      if (file === undefined) return nodeFileSystem.read(descriptor, into, position);
      return readSparse(file, into, BigInt(position));
    },
    readStart: (path, limit) => {
      // Which mount it is on: one where nothing else is.
      const text = path.startsWith(`/proc/self/fdinfo/${DESCRIPTOR}`) ? 'pos:\t0\nmnt_id:\t24\n' : texts[path];
      return text === undefined ? nodeFileSystem.readStart(path, limit) : Uint8Array.from(Buffer.from(text)).subarray(0, limit);
    },
    kindOf: (path) => (path in texts || path in sparse ? 'file' : nodeFileSystem.kindOf(path)),
    realPath: (path) => (path in sparse ? path : nodeFileSystem.realPath(path)),
  };
}

function readSparse({ size, pieces }: SparseFile, into: Uint8Array, start: bigint): number {
  const left = size - start;
  const part = left < into.length ? into.subarray(0, left < 0n ? 0 : Number(left)) : into;
  part.fill(0);
  for (const { offset, bytes } of pieces) {
    const skip = offset - start;
    if (skip >= part.length || skip + BigInt(bytes.length) <= 0n) continue;
    const at = Number(skip);
    part.set(bytes.subarray(Math.max(0, -at), part.length - at), Math.max(0, at));
  }
  return part.length;
}
