import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { closeSync, existsSync, ftruncateSync, mkdirSync, openSync, readSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** What the block device was told, in its order (the log format of dm-log-writes, Documentation/admin-guide/device-mapper/log-writes.rst). */
export type LogEntry =
  | { readonly kind: 'flush' }
  | {
      readonly kind: 'write';
      readonly position: number;
      readonly length: number;
      readonly logPosition: number;
      readonly isForced: boolean;
    };

const SECTOR = 512;
const MAGIC = 0x6a736677736872n;
const [FLUSH, FUA, DISCARD] = [1n, 2n, 4n];

/** @throws Error with what the command printed */
export function must(program: string, ...args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${error?.message ?? stderr}`);
  return stdout.trim();
}

/** Why no disk can be logged here, or undefined. */
export function missingForLoggedDisks(): string | undefined {
  if (process.geteuid?.() !== 0) return 'only root may mount';
  if (!existsSync('/dev/fuse')) return 'no /dev/fuse';
  if (!existsSync('/dev/loop-control')) return 'no loop devices';
  const absent = ['qemu-storage-daemon', 'losetup', 'mount'].find((each) => spawnSync(each, ['--version']).status !== 0);
  return absent === undefined ? undefined : `${absent} is not installed`;
}

/**
 * Waits until no loop device has `file`, whose file system was unmounted. Another process that made itself a mount namespace meanwhile holds a copy
 * of the mount, and until it ends no file system with the same UUID can be mounted.
 */
export function waitForRelease(file: string): void {
  const end = Date.now() + 120_000;
  while (must('losetup', '-j', file) !== '' && Date.now() < end) spawnSync('sleep', ['0.1']);
}

/** A block device whose every write and flush is logged: a loop device over an export of qemu-storage-daemon. */
export class LoggedDisk {
  readonly disk: string;
  readonly log: string;
  private readonly daemon: ChildProcess;
  private readonly exported: string;
  private readonly device: string;

  constructor(folder: string, size: number) {
    mkdirSync(folder, { recursive: true });
    this.disk = sparse(join(folder, 'disk'), size);
    this.log = sparse(join(folder, 'log'), 1 << 30);
    const exported = (this.exported = join(folder, 'export'));
    writeFileSync(exported, '');
    const blockdev = (...options: string[]): string[] => ['--blockdev', options.join(',')];
    this.daemon = spawn(
      'qemu-storage-daemon',
      [
        ...blockdev('driver=file', 'node-name=disk', `filename=${this.disk}`),
        ...blockdev('driver=file', 'node-name=log', `filename=${this.log}`),
        ...blockdev('driver=blklogwrites', 'node-name=logged', 'file=disk', 'log=log', `log-sector-size=${SECTOR}`),
        '--export',
        `type=fuse,id=export,node-name=logged,mountpoint=${exported},writable=on`,
      ],
      { stdio: 'inherit' },
    );
    // The empty file has the size of the disk once the export is there.
    const end = Date.now() + 10_000;
    while (statSync(exported).size !== size) {
      if (Date.now() > end) throw new Error('qemu-storage-daemon exports nothing');
      spawnSync('sleep', ['0.05']);
    }
    this.device = must('losetup', '-f', '--show', exported);
  }

  mount(fileSystem: string, makeOptions: readonly string[], at: string): void {
    must(`mkfs.${fileSystem}`, '-q', ...makeOptions, this.device);
    mkdirSync(at, { recursive: true });
    must('mount', '-t', fileSystem, this.device, at);
  }

  unmount(at: string): void {
    must('umount', at);
    must('losetup', '-d', this.device);
    waitForRelease(this.exported);
  }

  /** Entries so far; as of the last flush, at which the log's first sector is written. */
  get length(): number {
    const descriptor = openSync(this.log, 'r');
    const head = Buffer.alloc(SECTOR);
    readSync(descriptor, head, 0, SECTOR, 0);
    closeSync(descriptor);
    if (head.readBigUInt64LE(0) !== MAGIC) throw new Error('no log');
    return Number(head.readBigUInt64LE(16));
  }

  entries(count: number): LogEntry[] {
    const descriptor = openSync(this.log, 'r');
    const head = Buffer.alloc(32);
    const entries: LogEntry[] = [];
    for (let at = SECTOR; entries.length < count;) {
      readSync(descriptor, head, 0, head.length, at);
      const [position, length] = [Number(head.readBigUInt64LE(0)) * SECTOR, Number(head.readBigUInt64LE(8)) * SECTOR];
      const flags = head.readBigUInt64LE(16);
      at += SECTOR;
      if ((flags & DISCARD) !== 0n) throw new Error('a discard, which is not replayed');
      if ((flags & FLUSH) !== 0n) entries.push({ kind: 'flush' });
      if (length > 0) entries.push({ kind: 'write', position, length, logPosition: at, isForced: (flags & FUA) !== 0n });
      // A flush that carries data counts twice here, and once there.
      else if ((flags & FLUSH) === 0n) throw new Error(`log entry ${entries.length} is nothing`);
      at += length;
    }
    closeSync(descriptor);
    return entries;
  }

  end(): void {
    spawnSync('losetup', ['-d', this.device]);
    this.daemon.kill();
  }
}

/** Copies logged writes to files that stand for the disk. */
export class Replay {
  private readonly log: number;

  constructor(log: string) {
    this.log = openSync(log, 'r');
  }

  write(disk: number, { position, length, logPosition }: Extract<LogEntry, { kind: 'write' }>): void {
    const bytes = Buffer.alloc(length);
    readSync(this.log, bytes, 0, length, logPosition);
    writeSync(disk, bytes, 0, length, position);
  }

  end(): void {
    closeSync(this.log);
  }
}

export function sparse(path: string, size: number): string {
  const descriptor = openSync(path, 'w');
  ftruncateSync(descriptor, size);
  closeSync(descriptor);
  return path;
}
