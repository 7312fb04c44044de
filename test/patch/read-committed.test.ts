import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { nodeFileSystem } from '../../src/file/node-file-system.js';
import type { InputFile } from '../../src/file/input-file.js';
import { readCommitted } from '../../src/journal/read-committed.js';
import { scratchFolder } from '../helpers/run.js';
import { diskWith, IMAGE_PATH, ModelFileSystem } from './model-file-system.js';

// Writers that know nothing of journals are told by the time of the last write alone.

const MILLISECOND = 1_000_000n;
const HALF = 4096;

/** A file of two halves, a clock, and somebody who writes to the file while it is read. */
class WrittenFile extends ModelFileSystem {
  clock = 2_000_000_000_000n * MILLISECOND;
  modified = this.clock - 3600_000n * MILLISECOND;
  pauses = 0;

  constructor(private readonly image = new Uint8Array(2 * HALF)) {
    super(diskWith(image));
  }

  /** Somebody writes both halves; the time of it comes from a clock that may be some milliseconds behind. */
  writtenWith(byte: number, behind = 0n): void {
    this.image.fill(byte);
    this.modified = this.clock - behind;
  }

  override status(descriptor: number): ReturnType<ModelFileSystem['status']> {
    return { ...super.status(descriptor), modified: this.modified };
  }
  override now(): bigint {
    return this.clock;
  }
  override pause(milliseconds: number): void {
    this.pauses += 1;
    this.clock += BigInt(milliseconds) * MILLISECOND;
  }
}

/** Both halves, between which `meanwhile` happens. */
function halves(file: InputFile, meanwhile: () => void): number[] {
  const [first] = file.read(0, HALF);
  meanwhile();
  const [second] = file.read(HALF, HALF);
  return [first ?? -1, second ?? -1];
}

describe('a write while the file is read', () => {
  // A clock that moves in steps gives a write a time from before the read began.
  test.each([0n, 4n, 9n])('that is told by a clock %d ms behind: read again, not torn', (behind) => {
    const fileSystem = new WrittenFile();
    let reads = 0;
    const result = readCommitted(fileSystem, IMAGE_PATH, (file) =>
      halves(file, () => {
        reads += 1;
        if (reads === 1) fileSystem.writtenWith(7, behind * MILLISECOND);
      }),
    );
    expect(result).toEqual([7, 7]);
    expect(reads).toBeGreaterThan(1);
    expect(fileSystem.openFiles).toBe(1);
    expect(fileSystem.operations).toEqual([]);
  });

  test('just before the read began: waited for, as the writer may be in the middle of it', () => {
    const fileSystem = new WrittenFile();
    fileSystem.writtenWith(3);
    expect(readCommitted(fileSystem, IMAGE_PATH, (file) => halves(file, () => undefined))).toEqual([3, 3]);
    expect(fileSystem.pauses).toBeGreaterThan(0);
  });

  test('that makes what was read look damaged: the error is not told, what is read then is', () => {
    const fileSystem = new WrittenFile();
    let reads = 0;
    const result = readCommitted(fileSystem, IMAGE_PATH, (file) => {
      const seen = halves(file, () => {
        reads += 1;
        if (reads === 1) fileSystem.writtenWith(9);
      });
      if (seen[0] !== seen[1]) throw new Error('damaged');
      return seen;
    });
    expect(result).toEqual([9, 9]);
  });

  test('an error of a file that nobody writes to is told at once, and the file is closed', () => {
    const fileSystem = new WrittenFile();
    expect(() =>
      readCommitted(fileSystem, IMAGE_PATH, () => {
        throw new Error('damaged');
      }),
    ).toThrow('damaged');
    expect(fileSystem.pauses).toBe(0);
    expect(fileSystem.openFiles).toBe(0);
  });

  test('again and again, every time: refused after a second, nothing returned, nothing left open', () => {
    const fileSystem = new WrittenFile();
    const started = fileSystem.clock;
    const read = (): number[] =>
      readCommitted(fileSystem, IMAGE_PATH, (file) =>
        halves(file, () => {
          fileSystem.writtenWith(fileSystem.pauses + 1);
        }),
      );
    expect(read).toThrow('another process goes on writing to it');
    expect(fileSystem.clock - started).toBeGreaterThan(900n * MILLISECOND);
    expect(fileSystem.openFiles).toBe(0);
  });

  test('a time of last write in the future, as after the clock was set, is taken while it stays, and not when it moves', () => {
    const fileSystem = new WrittenFile();
    fileSystem.modified = fileSystem.clock + 86_400_000n * MILLISECOND;
    expect(readCommitted(fileSystem, IMAGE_PATH, (file) => halves(file, () => undefined))).toEqual([0, 0]);
    let reads = 0;
    const result = readCommitted(fileSystem, IMAGE_PATH, (file) =>
      halves(file, () => {
        reads += 1;
        if (reads > 1) return;
        fileSystem.writtenWith(5);
        fileSystem.modified = fileSystem.clock + 86_400_001n * MILLISECOND;
      }),
    );
    expect(result).toEqual([5, 5]);
  });
});

/** Writes one byte value all over the file, half after half, then another one. */
const WRITER = `
  const fs = require('node:fs');
  const [path, half] = [process.argv[1], Number(process.argv[2])];
  const file = fs.openSync(path, 'r+');
  const sleep = (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  for (let value = 1; ; value = (value % 250) + 1) {
    fs.writeSync(file, Buffer.alloc(half, value), 0, half, 0);
    fs.writeSync(file, Buffer.alloc(half, value), 0, half, half);
    sleep(value % 4 === 0 ? 80 : value % 7);
  }
`;

test('a process that writes a real file all the time: each read is of one write alone, or refused', () => {
  const path = join(scratchFolder(), 'written');
  writeFileSync(path, Buffer.alloc(2 * HALF, 1));
  const writer = spawn(process.execPath, ['-e', WRITER, path, String(HALF)], { stdio: 'ignore' });
  try {
    const seen = new Set<number>();
    let [refused, reads] = [0, 0];
    // The first ones may come before the writer has started.
    for (const end = Date.now() + 60_000; seen.size < 12 && Date.now() < end; reads += 1) {
      try {
        const { file, bytes } = readCommitted(nodeFileSystem, path, (open) => ({
          file: open,
          bytes: Buffer.concat([open.read(0, HALF), open.read(HALF, HALF)]),
        }));
        file.close();
        expect(bytes.equals(Buffer.alloc(2 * HALF, bytes[0]))).toBe(true);
        seen.add(bytes[0] ?? 0);
      } catch (error) {
        expect(String(error)).toContain('goes on writing');
        refused += 1;
      }
    }
    expect(seen.size, `${reads} reads, ${refused} refused`).toBe(12);
  } finally {
    writer.kill('SIGKILL');
  }
}, 120_000);
