import { fstatSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { KdumpError } from '../../src/errors.js';
import type { FileSystem } from '../../src/file/file-system.js';
import { nodeFileSystem } from '../../src/file/node-file-system.js';
import { copyOf, fixtureImage } from '../helpers/fixtures.js';
import { scratchFolder } from '../helpers/run.js';
import { runHere } from '../helpers/run-here.js';

const folder = scratchFolder();
const ADD = ['--add-memory', '0x80000000+256M'];

interface Call {
  readonly call: 'write' | 'sync' | 'read';
  readonly position: number;
  readonly length: number;
}

/** The real file system, which notes what is done to the image, and where a test can step in. */
class Recorder {
  readonly calls: Call[] = [];
  private readonly inode: bigint;
  beforeWrite: (write: number) => void = () => undefined;
  alterRead: (bytes: Uint8Array, position: number, writes: number) => void = () => undefined;

  constructor(path: string) {
    this.inode = statSync(path, { bigint: true }).ino;
  }

  /** Journals and copies are other files. */
  private isImage(descriptor: number): boolean {
    return fstatSync(descriptor, { bigint: true }).ino === this.inode;
  }

  get writes(): Call[] {
    return this.calls.filter(({ call }) => call === 'write');
  }

  readonly fileSystem: FileSystem = {
    ...nodeFileSystem,
    read: (descriptor, into, position) => {
      const count = nodeFileSystem.read(descriptor, into, position);
      if (this.isImage(descriptor)) {
        this.alterRead(into, Number(position), this.writes.length);
        this.calls.push({ call: 'read', position: Number(position), length: into.length });
      }
      return count;
    },
    write: (descriptor, bytes, position) => {
      if (this.isImage(descriptor)) {
        this.beforeWrite(this.writes.length);
        this.calls.push({ call: 'write', position, length: bytes.length });
      }
      nodeFileSystem.write(descriptor, bytes, position);
    },
    sync: (descriptor) => {
      if (this.isImage(descriptor)) this.calls.push({ call: 'sync', position: 0, length: 0 });
      nodeFileSystem.sync(descriptor);
    },
  };

  run(args: readonly string[]): { status: number; out: string; error: string } {
    const { status, stdout, stderr } = runHere(args, { fileSystem: this.fileSystem });
    return { status, out: stdout, error: stderr };
  }
}

function recorder(name: Parameters<typeof copyOf>[0] = 'ppc64le-64k'): { path: string; recorder: Recorder } {
  const path = copyOf(name, folder);
  return { path, recorder: new Recorder(path) };
}

describe('apply', () => {
  test('writes only where bytes differ, then syncs, then reads all of it back', () => {
    const { path, recorder: disk } = recorder('ppc64le-64k-no-hotplug');
    expect(disk.run(['apply', path, ...ADD])).toMatchObject({ status: 0, error: '' });
    const [before, after] = [readFileSync(fixtureImage('ppc64le-64k-no-hotplug')), readFileSync(path)];
    expect(disk.writes.length).toBeGreaterThan(0);
    const written = (at: number): boolean => disk.writes.some(({ position, length }) => position <= at && at < position + length);
    const differing = Array.from(before.keys()).filter((at) => before[at] !== after[at]);
    expect(differing.length).toBeGreaterThan(0);
    expect(differing.every(written)).toBe(true);
    expect(after.length).toBe(before.length);
    // Runs of equal bytes inside a write are short: what is written is less than 64 bytes for each byte that differs.
    expect(disk.writes.reduce((sum, { length }) => sum + length, 0)).toBeLessThan(64 * differing.length);

    // Each write is followed by a read of the same bytes, and the last one by a sync.
    for (const [index, { position, length }] of disk.calls.entries()) {
      if (disk.calls[index]?.call !== 'write' || length === 1) continue;
      const later = disk.calls.slice(index + 1);
      expect(later.some((each) => each.call === 'sync')).toBe(true);
      expect(
        later.some((each) => each.call === 'read' && each.position <= position && position + length <= each.position + each.length),
      ).toBe(true);
    }
  });

  test('everything is read and checked before the first write', () => {
    const { path, recorder: disk } = recorder('ppc64le-64k-no-hotplug');
    expect(disk.run(['apply', path, ...ADD]).status).toBe(0);
    const first = disk.calls.findIndex(({ call }) => call === 'write');
    for (const { position, length } of disk.writes) {
      expect(disk.calls.slice(0, first).some((read) => read.position <= position && position + length <= read.position + read.length)).toBe(
        true,
      );
    }
  });

  test.each([
    ['nothing to do', ['--add-memory', '0x40000000+1G'], 0],
    ['a dry run', [...ADD, '--dry-run'], 0],
    ['a refusal', ['--remove-memory', '0x80000000+1M'], 4],
    ['a good change and a refused one', [...ADD, '--remove-cpu', '9'], 4],
    ['a usage error', ['--add-memory', 'x'], 2],
  ])('%s: no write at all', (_, args, status) => {
    const { path, recorder: disk } = recorder();
    expect(disk.run(['apply', path, ...args]).status).toBe(status);
    expect(disk.calls.filter(({ call }) => call !== 'read')).toEqual([]);
  });

  test('what reads back differently is reported: exit code 5, with file and offset', () => {
    const { path, recorder: disk } = recorder();
    disk.alterRead = (bytes, _, writes) => {
      if (writes > 0) bytes[0] = (bytes[0] ?? 0) ^ 1;
    };
    const result = disk.run(['apply', path, ...ADD]);
    expect(result).toMatchObject({ status: 5, out: '' });
    expect(result.error).toContain(path);
    expect(result.error).toMatch(/^kdump-hotplug: [^\n]*offset 0x[^\n]*$/m);
  });

  test('a write that fails is reported with its reason: exit code 5', () => {
    const { path, recorder: disk } = recorder();
    disk.beforeWrite = () => {
      throw new KdumpError('io', 'cannot write: no space left on the device (ENOSPC)', { file: path });
    };
    const result = disk.run(['apply', path, ...ADD]);
    expect(result).toMatchObject({ status: 5, out: '' });
    expect(result.error).toContain('ENOSPC');
    expect(readFileSync(path).equals(readFileSync(fixtureImage('ppc64le-64k')))).toBe(true);
  });

  test('reading commands write nothing', () => {
    const { path, recorder: disk } = recorder();
    for (const command of [
      ['inspect', path, '--verify'],
      ['plan', path, ...ADD],
      ['diff', path, path],
      ['check', path],
      ['extract', path, '-d', join(folder, 'parts')],
      ['capture', path, '-o', join(folder, 'captured')],
    ])
      expect(disk.run(command).status).toBe(0);
    expect(disk.calls.filter(({ call }) => call !== 'read')).toEqual([]);
  });

  test('inspect reads none of the large segments', () => {
    const { path, recorder: disk } = recorder();
    expect(disk.run(['inspect', path]).status).toBe(0);
    const kernel = { start: 0x1000, end: 0x2000 };
    expect(disk.calls.filter(({ position, length }) => position < kernel.end && position + length > kernel.start)).toEqual([]);
  });
});
