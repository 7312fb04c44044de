import { basename, dirname } from 'node:path';
import { KdumpError } from '../errors.js';
import type { FileStatus, FileSystem } from '../file/file-system.js';

const MAX_TABLE = 16 << 20;
/** `Num: RefCount Protocol Flags Type St Inode Path` of unix_seq_show in net/unix/af_unix.c, hexadecimal but for the inode. */
const CONNECTED_STREAM = /^[0-9a-f]+: [0-9a-f]{8} [0-9a-f]{8} 00000000 0001 03 +([0-9]+) (.+)$/;

/**
 * Which of `pids` serve the unix socket at `socket`: they hold the other end of a connection to it. Node has no SO_PEERCRED, but the kernel lists
 * the end that a server took under the name to which its socket was bound, and /proc whose it is.
 *
 * That name is the server's word, so it counts only where it leads, as that process sees files, to the very socket that was connected to.
 *
 * @returns those of which that is certain; a process that may not be looked at is none of them
 */
export function serversOf(fileSystem: FileSystem, socket: string, pids: readonly number[]): number[] {
  const here = statusAt(fileSystem, dirname(fileSystem.realPath(socket)), basename(fileSystem.realPath(socket)));
  if (here === undefined) return [];
  return pids.filter((pid) => {
    try {
      return isServing(fileSystem, here, pid);
    } catch (error) {
      if (error instanceof KdumpError) return false;
      throw error;
    }
  });
}

function isServing(fileSystem: FileSystem, socket: FileStatus, pid: number): boolean {
  const process = `/proc/${pid}`;
  const names = namesOf(Buffer.from(fileSystem.readStart(`${process}/net/unix`, MAX_TABLE)).toString('utf8'));
  const held = fileSystem.list(`${process}/fd`).flatMap(({ name }) => {
    const inode = /^socket:\[([0-9]+)\]$/.exec(fileSystem.linkTarget(`${process}/fd/${name}`) ?? '')?.[1];
    return inode === undefined ? [] : (names.get(inode) ?? []);
  });
  return held.some((name) => {
    const path = name.startsWith('/') ? `${process}/root${name}` : `${process}/cwd/${name}`;
    const there = statusAt(fileSystem, dirname(path), basename(path));
    return there?.inode === socket.inode && there.device === socket.device;
  });
}

/** Names by inode of connected sockets. A name may hold a line that looks like another socket's: an inode that is listed twice has none. */
function namesOf(table: string): Map<string, string> {
  const names = new Map<string, string>();
  const twice = new Set<string>();
  for (const line of table.split('\n')) {
    const [, inode] = /^[0-9a-f]+: (?:[0-9a-f]+ +){5}([0-9]+)/.exec(line) ?? [];
    if (inode === undefined) continue;
    if (names.has(inode)) twice.add(inode);
    const [, , name = ''] = CONNECTED_STREAM.exec(line) ?? [];
    names.set(inode, name);
  }
  for (const [inode, name] of names) if (name === '' || twice.has(inode)) names.delete(inode);
  return names;
}

/** What is at a path, links in its last part not followed, without opening it. */
export function statusAt(fileSystem: FileSystem, folder: string, name: string): FileStatus | undefined {
  const directory = fileSystem.openDirectory(`${folder}/.`);
  try {
    return fileSystem.statusIn(directory, name);
  } finally {
    fileSystem.close(directory);
  }
}
