import { KdumpError, hex, within } from '../errors.js';
import { readPosition } from '../bytes/position.js';
import type { FileStatus, FileSystem } from './file-system.js';

/** Bytes to be read in place of those in the file. */
export interface Overlay {
  readonly position: number;
  readonly bytes: Uint8Array;
}

/** A regular file open for reading; nothing is read but what is asked for. */
export class InputFile {
  private readonly fileSystem: FileSystem;
  readonly path: string;
  readonly descriptor: number;
  readonly size: bigint;
  readonly overlays: readonly Overlay[];
  /** Whether a patch of it was interrupted; null where its journal could not be looked for. */
  readonly isInterrupted: boolean | null;

  constructor(
    fileSystem: FileSystem,
    path: string,
    descriptor: number,
    size: bigint,
    overlays: readonly Overlay[] = [],
    isInterrupted: boolean | null = false,
  ) {
    this.fileSystem = fileSystem;
    this.path = path;
    this.descriptor = descriptor;
    this.size = size;
    this.overlays = overlays;
    this.isInterrupted = isInterrupted;
  }

  /** @throws KdumpError `input` when it is not a regular file, `io` when it cannot be opened */
  static open(fileSystem: FileSystem, path: string): InputFile {
    const descriptor = fileSystem.open(path, 'read');
    try {
      const { kind, size } = fileSystem.status(descriptor);
      if (kind !== 'file') throw notRegular(path, kind);
      return new InputFile(fileSystem, path, descriptor, size);
    } catch (error) {
      fileSystem.close(descriptor);
      throw error;
    }
  }

  /** What the file system says of it. @throws KdumpError `io` */
  get status(): FileStatus {
    return this.fileSystem.status(this.descriptor);
  }

  /** Exactly `length` bytes from `position`. @throws KdumpError `input` when the file ends before */
  read(position: bigint | number, length: number): Uint8Array {
    const start = this.checked(position);
    if (start + BigInt(length) > this.size) throw this.tooShort(start, length);
    const bytes = new Uint8Array(length);
    this.readInto(bytes, start);
    return bytes;
  }

  /** Fills `into` from `position`. @throws KdumpError `input` when the file ends before */
  readInto(into: Uint8Array, position: bigint | number): void {
    const start = this.checked(position);
    if (this.fileSystem.read(this.descriptor, into, start) !== into.length) throw this.tooShort(start, into.length);
    for (const overlay of this.overlays) {
      // Patches are below 2^53, so this is exact wherever the two meet.
      const skip = overlay.position - Number(start);
      const from = Math.max(0, skip);
      const to = Math.min(into.length, skip + overlay.bytes.length);
      if (from < to) into.set(overlay.bytes.subarray(from - skip, to - skip), from);
    }
  }

  /** At most `length` bytes from the beginning. */
  readStart(length: number): Uint8Array {
    return this.read(0, this.size < length ? Number(this.size) : length);
  }

  /** The same open file after an interrupted patch, with `overlays` in front of its contents. */
  overlaid(overlays: readonly Overlay[]): InputFile {
    return new InputFile(this.fileSystem, this.path, this.descriptor, this.size, overlays, true);
  }

  /** The same open file, whose journal may lie where it was not looked for. */
  withUnknownJournal(): InputFile {
    return new InputFile(this.fileSystem, this.path, this.descriptor, this.size, [], null);
  }

  /** Never fails: nothing was written that a failure could be about. */
  close(): void {
    try {
      this.fileSystem.close(this.descriptor);
    } catch {
      return;
    }
  }

  private checked(position: bigint | number): bigint {
    return within({ file: this.path }, () => readPosition(position));
  }

  private tooShort(position: bigint, length: number): KdumpError {
    return new KdumpError('input', 'the file is too short', {
      file: this.path,
      offset: position,
      found: `end of file at ${hex(this.size)}`,
      expected: `at least ${length} more bytes`,
    });
  }
}

/** The error for a path that is not a regular file. */
export function notRegular(file: string, kind: 'directory' | 'other'): KdumpError {
  return new KdumpError('input', 'not a regular file', { file, found: kind === 'directory' ? 'a directory' : 'a device, pipe or socket' });
}

/**
 * The whole of a small file, pipe or /proc file.
 *
 * @throws KdumpError `input` when it is larger than `limit` bytes, or a directory; `io`
 */
export function readWholeFile(fileSystem: FileSystem, path: string, limit: number): Uint8Array {
  const bytes = readBeyond(fileSystem, path, limit);
  refuseLonger(path, bytes, limit);
  return bytes;
}

/** The first `limit` + 1 bytes, read once: a pipe gives them only once. @throws KdumpError `input` when it is a directory; `io` */
export function readBeyond(fileSystem: FileSystem, path: string, limit: number): Uint8Array {
  if (fileSystem.kindOf(path) === 'directory') throw new KdumpError('input', 'not a file', { file: path, found: 'a directory' });
  return fileSystem.readStart(path, limit + 1);
}

/** @throws KdumpError `input` when there are more than `limit` bytes */
export function refuseLonger(path: string, bytes: Uint8Array, limit: number): void {
  if (bytes.length > limit) {
    throw new KdumpError('input', 'the file is too large', { file: path, found: `more than ${limit} bytes`, expected: `at most ${limit}` });
  }
}
