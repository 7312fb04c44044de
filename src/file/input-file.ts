import { KdumpError, hex } from '../errors.js';
import { safePosition } from '../bytes/position.js';
import type { FileSystem } from './file-system.js';

/** Bytes to be read in place of those in the file. */
export interface Overlay {
  readonly position: number;
  readonly bytes: Uint8Array;
}

/** A regular file open for reading; nothing is read but what is asked for. */
export class InputFile {
  readonly size: number;

  /** @throws KdumpError `input` when `size` passes 2^53 - 1 */
  constructor(
    private readonly fileSystem: FileSystem,
    readonly path: string,
    readonly descriptor: number,
    size: bigint,
    private readonly overlays: readonly Overlay[] = [],
  ) {
    this.size = safePosition(size);
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

  /** Exactly `length` bytes from `position`. @throws KdumpError `input` when the file ends before */
  read(position: number, length: number): Uint8Array {
    if (position + length > this.size) throw this.tooShort(position, length);
    const bytes = new Uint8Array(length);
    this.readInto(bytes, position);
    return bytes;
  }

  /** Fills `into` from `position`. @throws KdumpError `input` when the file ends before */
  readInto(into: Uint8Array, position: number): void {
    if (this.fileSystem.read(this.descriptor, into, position) !== into.length) throw this.tooShort(position, into.length);
    for (const overlay of this.overlays) {
      const from = Math.max(position, overlay.position);
      const to = Math.min(position + into.length, overlay.position + overlay.bytes.length);
      if (from < to) into.set(overlay.bytes.subarray(from - overlay.position, to - overlay.position), from - position);
    }
  }

  /** Whether what is read differs from what the file holds. */
  get isOverlaid(): boolean {
    return this.overlays.length > 0;
  }

  /** The same open file, with `overlays` in front of its contents. */
  overlaid(overlays: readonly Overlay[]): InputFile {
    return new InputFile(this.fileSystem, this.path, this.descriptor, BigInt(this.size), overlays);
  }

  close(): void {
    this.fileSystem.close(this.descriptor);
  }

  private tooShort(position: number, length: number): KdumpError {
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
  if (fileSystem.kindOf(path) === 'directory') throw new KdumpError('input', 'not a file', { file: path, found: 'a directory' });
  const bytes = fileSystem.readStart(path, limit + 1);
  if (bytes.length > limit) {
    throw new KdumpError('input', 'the file is too large', { file: path, found: `more than ${limit} bytes`, expected: `at most ${limit}` });
  }
  return bytes;
}
