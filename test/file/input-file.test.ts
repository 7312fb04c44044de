import { describe, expect, test } from 'vitest';
import { InputFile, readWholeFile } from '../../src/file/input-file.js';
import { nodeFileSystem } from '../../src/file/node-file-system.js';
import { MemoryFileSystem } from '../helpers/memory-file-system.js';
import { scratchFolder } from '../helpers/run.js';
import { thrown } from '../helpers/thrown.js';

const folder = scratchFolder();

function fileOf(...bytes: number[]): InputFile {
  const fileSystem = new MemoryFileSystem();
  fileSystem.contents = Uint8Array.from(bytes);
  return InputFile.open(fileSystem, 'file');
}

describe('reading', () => {
  test('gives just the bytes that are asked for', () => {
    expect([...fileOf(1, 2, 3, 4).read(1, 2)]).toEqual([2, 3]);
    expect([...fileOf(1, 2, 3, 4).read(4, 0)]).toEqual([]);
  });

  test.each([
    [3, 2],
    [5, 1],
  ])('of bytes that are not there is an error: %d+%d', (position, length) => {
    const details = { file: 'file', offset: BigInt(position), found: 'end of file at 0x4', expected: `at least ${length} more bytes` };
    expect(thrown(() => fileOf(1, 2, 3, 4).read(position, length))).toMatchObject({
      kind: 'input',
      problem: 'the file is too short',
      details,
    });
    expect(
      thrown(() => {
        fileOf(1, 2, 3, 4).readInto(new Uint8Array(length), position);
      }).details,
    ).toMatchObject(details);
  });

  test('nothing is allocated for bytes that are not there', () => {
    expect(thrown(() => fileOf(1).read(0, 2 ** 50)).kind).toBe('input');
  });
});

describe('overlays lie over what is read', () => {
  const file = fileOf(0, 0, 0, 0, 0, 0, 0, 0).overlaid([
    { position: 2, bytes: Uint8Array.of(1, 2) },
    { position: 6, bytes: Uint8Array.of(3) },
  ]);

  test.each([
    ['all of it', 0, 8, [0, 0, 1, 2, 0, 0, 3, 0]],
    ['from the middle of one', 3, 2, [2, 0]],
    ['up to the middle of one', 1, 2, [0, 1]],
    ['inside one', 2, 1, [1]],
    ['between them', 4, 2, [0, 0]],
  ])('%s', (_, position, length, bytes) => {
    expect([...file.read(position, length)]).toEqual(bytes);
  });

  test('and the file says so', () => {
    expect([file.isInterrupted, fileOf(1).isInterrupted, fileOf(1).withUnknownJournal().isInterrupted]).toEqual([true, false, null]);
  });
});

describe('what is no file', () => {
  test.each([
    ['a directory', folder, 'a directory'],
    ['a device', '/dev/null', 'a device, pipe or socket'],
  ])('%s is not opened', (_, path, found) => {
    expect(thrown(() => InputFile.open(nodeFileSystem, path))).toMatchObject({
      kind: 'input',
      problem: 'not a regular file',
      details: { file: path, found },
    });
  });

  test('a directory is not read whole', () => {
    expect(thrown(() => readWholeFile(nodeFileSystem, folder, 10))).toMatchObject({ kind: 'input', details: { found: 'a directory' } });
  });
});

test('a whole file is read up to the limit; one byte more is too large', () => {
  const fileSystem = new MemoryFileSystem();
  fileSystem.contents = new Uint8Array(10);
  expect(readWholeFile(fileSystem, 'file', 10)).toHaveLength(10);
  expect(thrown(() => readWholeFile(fileSystem, 'file', 9))).toMatchObject({
    kind: 'input',
    problem: 'the file is too large',
    details: { file: 'file', found: 'more than 9 bytes', expected: 'at most 9' },
  });
});
