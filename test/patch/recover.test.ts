import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { encodeJournal } from '../../src/journal/journal.js';
import { recover, type RecoverOptions } from '../../src/patch/recover.js';
import { openTarget } from '../../src/patch/target.js';
import { thrown } from '../helpers/thrown.js';
import { diskWith, IMAGE, IMAGE_INODE, IMAGE_PATH, JOURNAL, ModelFileSystem } from '../helpers/model-file-system.js';
import { copied } from './power-cut-model.js';

// The table in docs/journal.md, row by row.

const OLD = new Uint8Array(1024).fill(1);
const NEW = OLD.slice().fill(2, 100, 300);
const MARKER = 100;

function disk(image: Uint8Array, { boot = 1, live = false } = {}): ReturnType<typeof diskWith> {
  return diskWith(
    image,
    encodeJournal({
      kind: 'journal',
      live,
      transaction: new Uint8Array(16),
      image: { device: BigInt(40 + boot), inode: BigInt(IMAGE_INODE), size: 1024n, birthTime: 7n },
      bootId: String(boot).padStart(36, '0'),
      records: [{ position: 0, before: OLD, after: NEW }],
      markers: [MARKER],
    }),
  );
}

function recovered(
  start: ReturnType<typeof diskWith>,
  options: RecoverOptions = {},
): { said: string; image: Uint8Array; journal: boolean } {
  const fileSystem = new ModelFileSystem(copied(start));
  const said = recover(openTarget(fileSystem, IMAGE_PATH), options);
  return { said, image: fileSystem.contents(IMAGE) ?? new Uint8Array(), journal: fileSystem.contents(JOURNAL) !== undefined };
}

function refused(start: ReturnType<typeof diskWith>, options: RecoverOptions = {}): string {
  const fileSystem = new ModelFileSystem(copied(start));
  const error = thrown(() => recover(openTarget(fileSystem, IMAGE_PATH), options));
  expect(error.kind).toBe('refused');
  expect(fileSystem.operations).toEqual([]);
  return error.message;
}

const mixed = NEW.slice();
mixed.fill(1, 200, 250)[MARKER] = 0;
const foreign = mixed.slice();
foreign[150] = 77;

describe('recovery', () => {
  test('without a journal there is nothing to do', () => {
    expect(recovered(diskWith(NEW))).toEqual({ said: 'none', image: NEW, journal: false });
  });

  test('a journal that is not whole is removed; the image was not touched', () => {
    expect(recovered(diskWith(OLD, new Uint8Array(4160)))).toEqual({ said: 'untouched', image: OLD, journal: false });
    expect(recovered(diskWith(OLD, new Uint8Array()))).toEqual({ said: 'untouched', image: OLD, journal: false });
  });

  test.each([
    ['old', OLD],
    ['new', NEW],
    ['a mix, with a marker', mixed],
  ])('in the same boot, an image that holds %s is taken back, or finished', (_, image) => {
    expect(recovered(disk(image))).toEqual({ said: 'taken back', image: OLD, journal: false });
    expect(recovered(disk(image), { forward: true })).toEqual({ said: 'finished', image: NEW, journal: false });
  });

  test('in the same boot, a byte that is neither proves that somebody else wrote', () => {
    expect(refused(disk(foreign))).toContain('somebody else wrote');
    expect(refused(disk(foreign), { forward: true })).toContain('0x96');
    expect(recovered(disk(foreign), { force: true }).image).toEqual(OLD);
    expect(recovered(disk(foreign), { force: true, forward: true }).image).toEqual(NEW);
  });

  test('a zero is a marker only where there is one', () => {
    const zero = mixed.slice();
    zero[MARKER + 1] = 0;
    expect(refused(disk(zero))).toContain('somebody else wrote');
  });

  test('after a restart, sectors may hold anything', () => {
    expect(recovered(disk(foreign, { boot: 7 }))).toEqual({ said: 'taken back', image: OLD, journal: false });
    expect(recovered(disk(foreign, { boot: 7 }), { forward: true }).image).toEqual(NEW);
  });

  test('the memory of a guest does not outlive a restart', () => {
    expect(refused(disk(mixed, { boot: 7, live: true }))).toContain('restarted');
    expect(recovered(disk(mixed, { boot: 7, live: true }), { force: true }).image).toEqual(OLD);
    expect(recovered(disk(mixed, { live: true })).image).toEqual(OLD);
  });

  test('an undo file in the place of a journal is refused, and not removed', () => {
    const start = diskWith(
      OLD,
      encodeJournal({
        kind: 'undo',
        live: false,
        transaction: new Uint8Array(16),
        image: { device: 41n, inode: BigInt(IMAGE_INODE), size: 1024n, birthTime: 7n },
        bootId: '1'.padStart(36, '0'),
        records: [{ position: 0, before: NEW, after: OLD }],
        markers: [],
      }),
    );
    expect(refused(start)).toContain('an undo file');
  });

  test('a whole journal of another version is refused, and not removed', () => {
    const bytes = Uint8Array.from(disk(mixed).data.get(IMAGE_INODE + 1) ?? []);
    bytes[8] = 2;
    bytes.fill(0, 128, 160);
    bytes.set(createHash('sha256').update(bytes).digest(), 128);
    expect(refused(diskWith(mixed, bytes))).toContain('another version');
  });
});
