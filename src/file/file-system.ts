/** What is at a path or behind a descriptor. */
export interface FileStatus {
  kind: 'file' | 'directory' | 'other';
  size: bigint;
  device: bigint;
  inode: bigint;
}

export interface DirectoryEntry {
  name: string;
  kind: 'file' | 'directory' | 'other';
}

/**
 * - `read`: an existing file
 * - `modify`: an existing file, for reading and writing in place
 * - `create`: a new file; fails where something exists
 * - `replace`: a new file or an existing one, emptied
 */
export type OpenMode = 'read' | 'modify' | 'create' | 'replace';

/**
 * The synchronous calls that everything here is made of; injected, so that tests can fail any of them.
 *
 * Every call throws a KdumpError `io` that names the path and the system's reason.
 */
export interface FileSystem {
  open(path: string, mode: OpenMode): number;
  close(descriptor: number): void;
  status(descriptor: number): FileStatus;
  /** Bytes read into the whole of `into`; fewer than asked for only at the end of the file. */
  read(descriptor: number, into: Uint8Array, position: number): number;
  /** Writes all of `bytes` or throws. */
  write(descriptor: number, bytes: Uint8Array, position: number): void;
  sync(descriptor: number): void;
  /** Removes a file; one that does not exist is not an error. */
  remove(path: string): void;
  /** Gives the file another name in the same file system, in place of what has that name. */
  rename(from: string, to: string): void;
  exists(path: string): boolean;
  /** Follows links. @throws KdumpError `io` when there is nothing */
  kindOf(path: string): FileStatus['kind'];
  /** The first `limit` bytes of a file, or all of it. Does not trust its stated size: files of /proc and sysfs have none. */
  readStart(path: string, limit: number): Uint8Array;
  /** All of standard input. @throws KdumpError `input` when it is longer than `limit` bytes */
  readStandardInput(limit: number): Uint8Array;
  makeDirectory(path: string): void;
  list(path: string): DirectoryEntry[];
  /** A copy that shares blocks with the original where the file system can, and keeps its holes where it cannot. */
  copy(from: string, to: string): void;
}
