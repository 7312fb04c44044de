/** What is at a path or behind a descriptor. */
export interface FileStatus {
  readonly kind: 'file' | 'directory' | 'other';
  readonly size: bigint;
  readonly device: bigint;
  readonly inode: bigint;
  /** Names that the file has. */
  readonly links: bigint;
  /** Bytes that the file takes on its device; less than `size` where it has holes. */
  readonly allocated: bigint;
  /** Permission bits. */
  readonly mode: number;
  readonly user: number;
  readonly group: number;
  /** Nanoseconds since 1970; 0 where the file system does not know it, or statx(2) is refused. */
  readonly birthTime: bigint;
  /** Of the last write: nanoseconds since 1970, in steps of up to 10 ms. */
  readonly modified: bigint;
}

/** What a directory holds under one name. */
export interface DirectoryEntry {
  readonly name: string;
  /** Of the entry itself: a symbolic link is `other`. */
  readonly kind: 'file' | 'directory' | 'other';
}

/**
 * - `read`: an existing file
 * - `modify`: an existing file, for reading and writing in place
 * - `create`: a new file; fails where something exists
 * - `replace`: a new file or an existing one, emptied
 */
export type OpenMode = 'read' | 'modify' | 'create' | 'replace';

/**
 * The synchronous calls that reading files and making new ones is made of; injected, so that tests can fail any of them.
 *
 * Every call throws a KdumpError `io` that names the path and the system's reason.
 */
export interface FileSystem {
  /**
   * A descriptor of a file.
   *
   * @param shown the name by which errors of this file call it, where that is not its own
   */
  open(path: string, mode: OpenMode, shown?: string): number;
  /** Gives up a descriptor, of a directory too. */
  close(descriptor: number): void;
  /** Of what is open. */
  status(descriptor: number): FileStatus;
  /** Bytes read into the whole of `into`; fewer than asked for only at the end of the file. */
  read(descriptor: number, into: Uint8Array, position: bigint | number): number;
  /** Writes all of `bytes` or throws. */
  write(descriptor: number, bytes: Uint8Array, position: number): void;
  /** Brings a file's data, or a directory's entries, to the disk. */
  sync(descriptor: number): void;
  /** Opens a new file that is to be at `path` and has no name yet: it is gone with this process. Undefined where there are none. */
  openUnnamed(path: string): number | undefined;
  /** Gives a file of `openUnnamed` its name. @throws KdumpError `io`, also where something has that name */
  nameUnnamed(descriptor: number, path: string): void;
  /** Gives the file a second name in the same file system. @throws KdumpError `io`, also where something has that name */
  link(from: string, to: string): void;
  /** Removes a file; one that does not exist is not an error. */
  remove(path: string): void;
  /** Gives the file another name in the same file system, in place of what has that name. */
  rename(from: string, to: string): void;
  /** Whether something has this name, a link that leads nowhere too. */
  exists(path: string): boolean;
  /** Follows links. @throws KdumpError `io` when there is nothing */
  kindOf(path: string): FileStatus['kind'];
  /** The first `limit` bytes of a file, or all of it. Does not trust its stated size: files of /proc and sysfs have none. */
  readStart(path: string, limit: number): Uint8Array;
  /** Begins to read a file beside everything else, for a later reading that would have to wait for the kernel. Fails in silence. */
  readAhead(path: string): void;
  /** All of standard input. @throws KdumpError `input` when it is longer than `limit` bytes */
  readStandardInput(limit: number): Uint8Array;
  /** Makes a directory, and those above it that are missing. */
  makeDirectory(path: string): void;
  /** All entries of a directory. */
  list(path: string): DirectoryEntry[];
  /**
   * Makes the open file `to` a copy of `from` that shares blocks with it where the file system can, and keeps its holes where it
   * cannot.
   *
   * @param copied is told how many more bytes are done, holes among them
   */
  copy(from: number, to: number, copied?: (bytes: number) => void): void;
  /** The path with all links resolved. */
  realPath(path: string): string;
  /** What a symbolic link says; undefined where there is none. */
  linkTarget(path: string): string | undefined;
  /** A descriptor of a directory, for `sync`, `statusIn`, `openIn` and `removeIn`. */
  openDirectory(path: string): number;
  /** What has this name in the directory, links not followed; undefined for nothing. */
  statusIn(directory: number, name: string): FileStatus | undefined;
  /** As `open`, of a name in the directory; a link is refused. */
  openIn(directory: number, name: string, mode: OpenMode): number;
  /** As `remove`, of a name in the directory. */
  removeIn(directory: number, name: string): void;
  /** Sets permission bits and, where this process may, the owner. */
  setAttributes(descriptor: number, attributes: Pick<FileStatus, 'user' | 'group' | 'mode'>): void;
  /** flock(2) on the descriptor without waiting; it is held until the descriptor is closed. @returns whether it was to be had */
  lock(descriptor: number, kind: 'exclusive' | 'shared'): boolean;
  /** f_type of statfs(2). */
  volumeType(path: string): bigint;
  /** Nanoseconds since 1970. */
  now(): bigint;
  /** Waits; nothing else of the thread runs meanwhile. */
  pause(milliseconds: number): void;
}
