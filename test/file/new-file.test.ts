import { describe, expect, test } from 'vitest';
import { KdumpError } from '../../src/errors.js';
import { keepEarlier, makeFile, makeFiles, modeWithin, refuseExisting } from '../../src/file/new-file.js';
import { diskWith, FOLDER, IMAGE, IMAGE_PATH, ModelFileSystem, type Machine } from '../helpers/model-file-system.js';
import { thrown } from '../helpers/thrown.js';

const BYTES = Uint8Array.of(1, 2, 3);
const OTHER = Uint8Array.of(9);
const EXISTS = { kind: 'io', problem: 'it exists already', details: { file: IMAGE_PATH, remedy: 'give another name, or --overwrite' } };

const fill =
  (fileSystem: ModelFileSystem) =>
  (descriptor: number): void => {
    fileSystem.write(descriptor, BYTES, 0);
  };

const empty = (machine: Partial<Machine>): ModelFileSystem =>
  new ModelFileSystem({ names: new Map(), data: new Map() }, { boot: 1, ...machine });

const names = (fileSystem: ModelFileSystem): string[] => [...fileSystem.disk.names.keys()];

describe.each<[string, Partial<Machine>, string[]]>([
  ['where files without a name can be made', { unnamed: true }, ['write', 'sync', 'link', 'sync-directory']],
  ['where they cannot', {}, ['create', 'write', 'sync', 'link', 'remove', 'sync-directory']],
  ['without second names either', { links: false }, ['create', 'write', 'sync', 'create', 'rename', 'sync-directory']],
])('a new file, %s', (_, machine, steps) => {
  test('has its name once it is whole and on the disk', () => {
    const fileSystem = empty(machine);
    expect(makeFile(fileSystem, IMAGE_PATH, false, [], (descriptor) => (fill(fileSystem)(descriptor), 'made'))).toBe('made');
    expect(fileSystem.operations.map(({ kind }) => kind)).toEqual(steps);
    expect(fileSystem.contents(IMAGE)).toEqual(BYTES);
    expect(names(fileSystem)).toEqual([IMAGE]);
    expect(fileSystem.openFiles).toBe(0);
  });

  test('does not replace one that is there, unless that is asked for', () => {
    const fileSystem = new ModelFileSystem(diskWith(OTHER), { boot: 1, ...machine });
    expect(
      thrown(() => {
        makeFile(fileSystem, IMAGE_PATH, false, [], fill(fileSystem));
      }),
    ).toMatchObject(EXISTS);
    expect(fileSystem.operations).toEqual([]);
    makeFile(fileSystem, IMAGE_PATH, true, [], fill(fileSystem));
    expect(fileSystem.contents(IMAGE)).toEqual(BYTES);
    expect(names(fileSystem)).toEqual([IMAGE]);
  });

  test('does not replace one that came there while it was made', () => {
    const fileSystem = empty(machine);
    const made = (): void => {
      makeFile(fileSystem, IMAGE_PATH, false, [], (descriptor) => {
        fill(fileSystem)(descriptor);
        fileSystem.write(fileSystem.open(IMAGE_PATH, 'create'), OTHER, 0);
      });
    };
    expect(thrown(made)).toMatchObject(EXISTS);
    expect(fileSystem.contents(IMAGE)).toEqual(OTHER);
    expect(names(fileSystem)).toEqual([IMAGE]);
  });

  test('no name that others could have taken is used meanwhile', () => {
    const used = new Set<string>();
    for (let i = 0; i < 2; i += 1) {
      const fileSystem = empty(machine);
      makeFile(fileSystem, IMAGE_PATH, true, [], fill(fileSystem));
      for (const operation of fileSystem.operations) if (operation.kind === 'rename') used.add(operation.from);
    }
    expect(used.size).toBe(2);
    for (const name of used) expect(name).toMatch(/^\.kdhp-[0-9a-f]{24}\.new$/);
  });

  test.each(['fill', 'sync', 'nameUnnamed', 'rename', 'openDirectory'] as const)(
    'a failing %s leaves nothing, and what was there',
    (step) => {
      for (const overwrite of [false, true]) {
        const fileSystem = new ModelFileSystem(overwrite ? diskWith(OTHER) : { names: new Map(), data: new Map() }, {
          boot: 1,
          ...machine,
        });
        const fail = (): never => {
          throw new KdumpError('io', 'failed');
        };
        if (step !== 'fill') fileSystem[step] = fail;
        const made = (): void => {
          makeFile(fileSystem, IMAGE_PATH, overwrite, [], step === 'fill' ? fail : fill(fileSystem));
        };
        // Not every way takes every step.
        try {
          made();
        } catch (error) {
          expect(error).toMatchObject({ problem: 'failed' });
          const isReplaced = overwrite && step === 'openDirectory';
          expect(names(fileSystem)).toEqual(overwrite ? [IMAGE] : step === 'rename' ? names(fileSystem) : []);
          if (overwrite) expect(fileSystem.contents(IMAGE)).toEqual(isReplaced ? BYTES : OTHER);
        }
        expect(fileSystem.openFiles).toBe(0);
      }
    },
  );

  test('that is one of several has its name once all are whole', () => {
    const fileSystem = empty(machine);
    const made = (last: (descriptor: number) => void): void => {
      makeFiles(
        fileSystem,
        false,
        [],
        [
          { path: IMAGE_PATH, fill: fill(fileSystem) },
          { path: `${FOLDER}/other`, fill: last },
        ],
      );
    };
    expect(
      thrown(() => {
        made(() => {
          throw new KdumpError('io', 'failed');
        });
      }).problem,
    ).toBe('failed');
    expect(names(fileSystem)).toEqual([]);
    made(fill(fileSystem));
    expect(names(fileSystem)).toEqual([IMAGE, 'other']);
  });
});

test.each(['directory', 'other'] as const)('the place of what is a %s is never taken', (kind) => {
  const fileSystem = new ModelFileSystem(diskWith(OTHER));
  fileSystem.kindOf = () => kind;
  for (const overwrite of [false, true]) {
    const refused = thrown(() => {
      refuseExisting(fileSystem, IMAGE_PATH, overwrite);
    });
    expect(refused).toMatchObject({ kind: 'refused', problem: 'no file is made there', details: { file: IMAGE_PATH } });
  }
});

describe('who may read a new file', () => {
  const OURS = 100;
  test.each<[string, number, number, { mode: number; group: number }[]]>([
    ['all, as what it is made from', 0o644, 0o644, [{ mode: 0o644, group: OURS }]],
    ['all, though the group is another', 0o644, 0o644, [{ mode: 0o444, group: 7 }]],
    ['nobody else, as of a private one', 0o644, 0o600, [{ mode: 0o600, group: OURS }]],
    ['its group, as of one that the same group may read', 0o644, 0o640, [{ mode: 0o640, group: OURS }]],
    ['nobody else, where another group may read that', 0o644, 0o600, [{ mode: 0o640, group: 7 }]],
    ['nobody else, where all but the members of a group may read that', 0o664, 0o600, [{ mode: 0o604, group: 7 }]],
    [
      'those who may read all that it is made from',
      0o666,
      0o640 | 0o020,
      [
        { mode: 0o644, group: 7 },
        { mode: 0o640, group: OURS },
      ],
    ],
    [
      'nobody else, where one of them is private',
      0o644,
      0o600,
      [
        { mode: 0o644, group: OURS },
        { mode: 0o400, group: OURS },
      ],
    ],
    ['as the umask has it, what is made from nothing', 0o622, 0o622, []],
    ['as the umask has it, however open that is', 0o600, 0o600, [{ mode: 0o666, group: OURS }]],
  ])('%s', (_, mode, expected, from) => {
    expect(modeWithin(mode, OURS, from)).toBe(expected);
  });
});

describe.each<[string, Partial<Machine>]>([
  ['where a file can have two names', {}],
  ['where it cannot', { links: false }],
])('what a new file takes the place of, %s', (_, machine) => {
  test('is back when the new one is dropped, and gone when it is kept', () => {
    for (const [end, left] of [
      ['restore', OTHER],
      ['forget', BYTES],
    ] as const) {
      const fileSystem = new ModelFileSystem(diskWith(OTHER), { boot: 1, ...machine });
      const earlier = keepEarlier(fileSystem, IMAGE_PATH);
      makeFile(fileSystem, IMAGE_PATH, true, [], fill(fileSystem));
      earlier[end]();
      expect(fileSystem.contents(IMAGE)).toEqual(left);
      expect(names(fileSystem)).toEqual([IMAGE]);
    }
  });

  test('is as it was when there was no new one', () => {
    const fileSystem = new ModelFileSystem(diskWith(OTHER), { boot: 1, ...machine });
    keepEarlier(fileSystem, IMAGE_PATH).restore();
    expect(fileSystem.contents(IMAGE)).toEqual(OTHER);
    expect(names(fileSystem)).toEqual([IMAGE]);
  });

  test('is nothing, and then nothing is left', () => {
    const fileSystem = empty(machine);
    const earlier = keepEarlier(fileSystem, IMAGE_PATH);
    makeFile(fileSystem, IMAGE_PATH, false, [], fill(fileSystem));
    earlier.restore();
    expect(names(fileSystem)).toEqual([]);
  });
});
