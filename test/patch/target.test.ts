import { describe, expect, test } from 'vitest';
import type { FileStatus } from '../../src/file/file-system.js';
import { closeTarget, isStillInPlace, openTarget } from '../../src/patch/target.js';
import { diskWith, FOLDER, IMAGE, IMAGE_PATH, ModelFileSystem } from '../helpers/model-file-system.js';
import { thrown } from '../helpers/thrown.js';

/** A directory with an image, whose status may be told otherwise. */
class Directory extends ModelFileSystem {
  /** What the directory says of the image, and what the opened file says. */
  entry: Partial<FileStatus> = {};
  opened: Partial<FileStatus> = {};
  isLocked = false;
  volume = 0n;

  constructor() {
    super(diskWith(new Uint8Array(100)));
  }

  override statusIn(directory: number, name: string): FileStatus | undefined {
    const status = super.statusIn(directory, name);
    return status === undefined ? undefined : { ...status, ...this.entry };
  }
  override status(descriptor: number): FileStatus {
    return { ...super.status(descriptor), ...this.opened };
  }
  override lock(descriptor: number): boolean {
    return super.lock(descriptor) && !this.isLocked;
  }
  override volumeType(): bigint {
    return this.volume;
  }
}

/** What opening it is refused with; nothing stays open. */
function refusal(fileSystem: ModelFileSystem): { kind: string; problem: string; found: string | undefined; remedy: string | undefined } {
  const { kind, problem, details } = thrown(() => openTarget(fileSystem, IMAGE_PATH));
  expect(details.file).toBe(IMAGE_PATH);
  expect(fileSystem.openFiles).toBe(0);
  expect(fileSystem.operations).toEqual([]);
  return { kind, problem, found: details.found, remedy: details.remedy };
}

describe('openTarget', () => {
  test('gives the file, its directory and its name, locked; closing it leaves nothing open', () => {
    const fileSystem = new Directory();
    const target = openTarget(fileSystem, IMAGE_PATH);
    expect(target).toMatchObject({ name: IMAGE, file: { size: 100n }, status: { links: 1n } });
    expect(fileSystem.openFiles).toBe(2);
    expect(isStillInPlace(target)).toBe(true);
    closeTarget(target);
    expect(fileSystem.openFiles).toBe(0);
  });

  test('a file that is gone by then, and one that cannot be looked up without /proc', () => {
    const gone = new Directory();
    gone.remove(IMAGE_PATH);
    gone.operations.length = 0;
    expect(refusal(gone)).toMatchObject({ kind: 'io', problem: 'it went away while it was opened' });
    const blind = new Directory();
    blind.statusIn = () => undefined;
    expect(refusal(blind)).toMatchObject({
      kind: 'io',
      problem: 'cannot open: /proc is not mounted',
      remedy: 'mount it: mount -t proc proc /proc',
    });
  });

  test.each<[string, Partial<FileStatus>, Partial<FileStatus>]>([
    ['by its name', { kind: 'other' }, {}],
    ['once it is open', {}, { kind: 'directory' }],
  ])('what is no regular file %s', (_, entry, opened) => {
    const fileSystem = new Directory();
    Object.assign(fileSystem, { entry, opened });
    expect(refusal(fileSystem).kind).toBe('input');
  });

  test.each<[string, Partial<FileStatus>]>([
    ['inode', { inode: 999n }],
    ['device', { device: 999n }],
  ])('a file that is another one by its %s once it is open', (_, opened) => {
    const fileSystem = new Directory();
    fileSystem.opened = opened;
    expect(refusal(fileSystem)).toEqual({
      kind: 'refused',
      problem: 'this file is not patched',
      found: 'it was exchanged while it was opened',
      remedy: 'try again',
    });
  });

  test.each<[string, Partial<Directory>, string]>([
    ['with three names', { opened: { links: 3n } }, 'it has 3 names, and a journal beside one name is not seen from the others'],
    ['that is setuid', { opened: { mode: 0o4755 } }, 'it is setuid or setgid'],
    ['that is setgid', { opened: { mode: 0o2755 } }, 'it is setuid or setgid'],
    ['on hugetlbfs', { volume: 0x958458f6n }, 'it is on hugetlbfs, which does not take write(2)'],
  ])('a file %s', (_, more, found) => {
    expect(refusal(Object.assign(new Directory(), more))).toMatchObject({ kind: 'refused', found });
  });

  test('a file that another process patches', () => {
    const fileSystem = new Directory();
    fileSystem.isLocked = true;
    expect(refusal(fileSystem)).toMatchObject({
      kind: 'io',
      problem: 'another process is patching it',
      remedy: 'nothing was written; try again when it has finished',
    });
  });

  test('closing that fails is not told: what was written is on the disk', () => {
    const fileSystem = new Directory();
    const target = openTarget(fileSystem, IMAGE_PATH);
    const closed: number[] = [];
    fileSystem.close = (descriptor) => {
      closed.push(descriptor);
      throw new Error('cannot close');
    };
    closeTarget(target);
    expect(closed).toEqual([target.file.descriptor, target.directory]);
  });
});

test('a file of that name that is another one is not in place', () => {
  const fileSystem = new Directory();
  const target = openTarget(fileSystem, IMAGE_PATH);
  fileSystem.entry = { inode: 999n };
  expect(isStillInPlace(target)).toBe(false);
  fileSystem.entry = { device: 999n };
  expect(isStillInPlace(target)).toBe(false);
  fileSystem.entry = {};
  fileSystem.remove(`${FOLDER}/${IMAGE}`);
  expect(isStillInPlace(target)).toBe(false);
});
