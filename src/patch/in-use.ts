import { KdumpError } from '../errors.js';
import type { FileStatus, FileSystem } from '../file/file-system.js';

/** Who else has the image in use, as far as this process may see. */
export interface Users {
  /** Processes that map the file shared and writable, such as a guest whose memory it is. */
  readonly mapping: readonly { readonly pid: number; readonly stopped: boolean }[];
  /** Processes that hold a record lock on it, such as a guest whose disk it is. */
  readonly locking: readonly number[];
  /** Number of processes that could not be looked at. */
  readonly unknown: number;
}

const MAX_TABLE = 16 << 20;

/** Looks through /proc/locks and the memory maps of all processes: flock(2) conflicts with neither record locks nor mappings. */
export function usersOf(fileSystem: FileSystem, file: FileStatus): Users {
  const mapping: { pid: number; stopped: boolean }[] = [];
  const inode = ` ${file.inode} `;
  let unknown = 0;
  for (const { name } of fileSystem.list('/proc')) {
    const pid = Number(name);
    if (!Number.isSafeInteger(pid) || pid === process.pid) continue;
    try {
      const maps = textOf(fileSystem, `/proc/${name}/maps`);
      // Nearly no process maps the file, and then its inode number is nowhere in the table.
      if (maps.includes(inode) && maps.split('\n').some((line) => isSharedMappingOf(line, file)))
        mapping.push({ pid, stopped: isStopped(fileSystem, name) });
    } catch (error) {
      // A process that ended meanwhile uses nothing.
      if (error instanceof KdumpError && fileSystem.exists(`/proc/${name}`)) unknown += 1;
    }
  }
  return { mapping, locking: lockers(textOf(fileSystem, '/proc/locks'), file), unknown };
}

/** `start-end rw-s offset major:minor inode path` */
function isSharedMappingOf(line: string, file: FileStatus): boolean {
  const [, permissions, , device, inode] = line.split(/\s+/);
  return permissions?.[1] === 'w' && permissions[3] === 's' && inode === String(file.inode) && device === deviceName(file.device);
}

/** `N: TYPE ADVISORY WRITE pid major:minor:inode start end`; a line that begins with `->` only waits. */
function lockers(locks: string, file: FileStatus): number[] {
  return locks.split('\n').flatMap((line) => {
    const [, type, , , pid, place] = line.trim().split(/\s+/);
    const held = (type === 'POSIX' || type === 'OFDLCK') && place === `${deviceName(file.device)}:${file.inode}`;
    return held ? [Number(pid)] : [];
  });
}

/** dev_t of glibc as the kernel prints it: both numbers hexadecimal. */
function deviceName(device: bigint): string {
  const major = ((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xfffff000n);
  const minor = (device & 0xffn) | ((device >> 12n) & 0xffffff00n);
  return `${major.toString(16).padStart(2, '0')}:${minor.toString(16).padStart(2, '0')}`;
}

function isStopped(fileSystem: FileSystem, pid: string): boolean {
  const threads = fileSystem.list(`/proc/${pid}/task`);
  return threads.every(({ name }) => /^State:\s+[Tt]/m.test(textOf(fileSystem, `/proc/${pid}/task/${name}/status`)));
}

function textOf(fileSystem: FileSystem, path: string): string {
  return Buffer.from(fileSystem.readStart(path, MAX_TABLE)).toString('latin1');
}

/**
 * @param live the caller knows that the file is somebody's memory
 * @param force writes even while its guest runs
 * @throws KdumpError `io` when somebody uses the file and `live` is not set; `refused` when a guest runs on it
 */
export function refuseUse(file: string, { mapping, locking }: Users, live: boolean, force: boolean): void {
  const pids = [...new Set([...mapping.map(({ pid }) => pid), ...locking])];
  // The kernel shows -1 for a lock that belongs to an open file, not to a process.
  const named = pids.filter((pid) => pid > 0);
  if (pids.length > 0 && !live) {
    throw new KdumpError('io', 'another process has it in use', {
      code: 'busy',
      file,
      found: named.length > 0 ? `process ${named.join(', ')}` : 'a lock on a part of it',
      expected: 'nobody',
      remedy: 'if it is the memory of a guest, pause the guest and give --live',
    });
  }
  const running = mapping.filter(({ stopped }) => !stopped);
  if (running.length > 0 && live && !force) {
    throw new KdumpError('refused', 'nothing shows that the guest is paused', {
      file,
      found: `process ${running.map(({ pid }) => pid).join(', ')} maps the file and is not stopped`,
      expected: 'a guest that does not run while its memory is patched',
      remedy: 'pause it (QMP stop, or SIGSTOP to its process)',
      forcible: true,
    });
  }
}
