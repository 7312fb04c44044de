import { createHash } from 'node:crypto';
import { beforeAll, afterAll, describe, expect, test } from 'vitest';
import { encodeJournal, parseJournal, type Journal } from '../../src/journal/journal.js';
import { recover } from '../../src/patch/recover.js';
import { commitPatch } from '../../src/patch/commit.js';
import { openTarget } from '../../src/patch/target.js';
import type { FileSystem } from '../../src/file/file-system.js';
import {
  FOLDER,
  IMAGE,
  IMAGE_INODE,
  IMAGE_PATH,
  JOURNAL,
  ModelFileSystem,
  diskWith,
  type Disk,
  type Operation,
} from '../helpers/model-file-system.js';
import {
  Checker,
  Found,
  checkRecovery,
  checkTrace,
  copied,
  powerCuts,
  randomFrom,
  REAL_STEPS,
  type Steps,
  type Trace,
} from './power-cut-model.js';
import { commitTrace, example, undoTrace } from './traces.js';

// The model is worth something only if it finds mistakes. Each of these is made in what the real code does, or in what it does it with.

type Operations = readonly Operation[];

const JOURNAL_INODE = IMAGE_INODE + 1;

/** What the protocol is made of, by name; fails when the real code does something else. */
const STEPS = [
  'create journal',
  'write journal',
  'sync journal',
  'sync directory',
  'mark',
  'sync marks',
  'write bodies',
  'sync bodies',
  'write first bytes',
  'sync first bytes',
  'remove journal',
  'sync removal',
] as const;
type Step = (typeof STEPS)[number];

function stepsOf(operations: Operations): Map<Step, Operation[]> {
  const left = [...operations];
  const steps = new Map<Step, Operation[]>();
  const take = (step: Step, matches: (operation: Operation) => boolean, several = false): void => {
    const taken: Operation[] = [];
    while (left[0] !== undefined && matches(left[0]) && (several || taken.length === 0)) taken.push(left.shift() as Operation);
    expect(taken, step).not.toEqual([]);
    steps.set(step, taken);
  };
  const isByte = (operation: Operation): boolean =>
    operation.kind === 'write' && operation.inode === IMAGE_INODE && operation.bytes.length === 1;
  const isSync = (inode: number) => (operation: Operation) => operation.kind === 'sync' && operation.inode === inode;
  take('create journal', ({ kind }) => kind === 'create');
  take('write journal', (operation) => operation.kind === 'write' && operation.inode === JOURNAL_INODE, true);
  take('sync journal', isSync(JOURNAL_INODE));
  take('sync directory', ({ kind }) => kind === 'sync-directory');
  take('mark', isByte, true);
  take('sync marks', isSync(IMAGE_INODE));
  take('write bodies', ({ kind }) => kind === 'write', true);
  take('sync bodies', isSync(IMAGE_INODE));
  take('write first bytes', isByte, true);
  take('sync first bytes', isSync(IMAGE_INODE));
  take('remove journal', ({ kind }) => kind === 'remove');
  take('sync removal', ({ kind }) => kind === 'sync-directory');
  expect(left).toEqual([]);
  return steps;
}

function inOrder(operations: Operations, order: readonly Step[]): Operation[] {
  const steps = stepsOf(operations);
  return order.flatMap((step) => steps.get(step) ?? []);
}

const without =
  (...steps: Step[]) =>
  (operations: Operations): Operation[] =>
    inOrder(
      operations,
      STEPS.filter((step) => !steps.includes(step)),
    );

/** `step` comes right before `other`. */
const moved =
  (step: Step, other: Step) =>
  (operations: Operations): Operation[] =>
    inOrder(
      operations,
      STEPS.filter((each) => each !== step).flatMap((each) => (each === other ? [step, each] : [each])),
    );

const withJournal =
  (change: (journal: Journal, operations: Operations) => Journal) =>
  (operations: Operations): Operation[] =>
    operations.map((operation) =>
      operation.kind === 'write' && operation.inode === JOURNAL_INODE
        ? { ...operation, bytes: encodeJournal(change(parseJournal(operation.bytes), operations)) }
        : operation,
    );

/** The records with only those bytes that are written. */
function exact({ records, ...journal }: Journal): Journal {
  const narrow = records.flatMap(({ position, before, after }) => {
    const runs: { position: number; before: Uint8Array; after: Uint8Array }[] = [];
    for (let at = 0; at < before.length; at += 1) {
      const isMark = journal.markers.includes(position + at);
      if (before[at] === after[at] && !isMark) continue;
      runs.push({ position: position + at, before: before.slice(at, at + 1), after: after.slice(at, at + 1) });
    }
    return runs;
  });
  return { ...journal, records: narrow };
}

const IN_PATCHING: Record<string, (operations: Operations) => Operation[]> = {
  'the journal is not synced': without('sync journal'),
  'the directory is not synced after the journal': without('sync directory'),
  'neither is': without('sync journal', 'sync directory'),
  'the directory is synced before the journal has its name': moved('sync directory', 'create journal'),
  'the journal is written after the marks': moved('mark', 'create journal'),
  'the journal is synced after the bodies were written': moved('write bodies', 'sync journal'),
  'no marks are made': without('mark', 'sync marks'),
  'the marks are not synced': without('sync marks'),
  'first bytes come before bodies': moved('write first bytes', 'write bodies'),
  'bodies are not synced before first bytes': without('sync bodies'),
  'first bytes are not synced before the journal goes': without('sync first bytes'),
  'the journal goes before the last sync': moved('remove journal', 'sync first bytes'),
  'the journal goes before first bytes are written': moved('remove journal', 'write first bytes'),
  'the journal lacks its last record': withJournal((journal) => ({ ...journal, records: journal.records.slice(0, -1) })),
  'the journal has the new bytes for the old ones': withJournal((journal) => ({
    ...journal,
    records: journal.records.map(({ position, before, after }) => ({ position, before: after, after: before })),
  })),
  'the journal has no whole blocks': withJournal(exact),
  'the journal says that the image is live': withJournal((journal) => ({ ...journal, live: true })),
  'the journal names no marks': withJournal((journal) => ({ ...journal, markers: [] })),
};

const withFileSystem = (change: (fileSystem: FileSystem) => FileSystem): Steps => ({
  recover: (fileSystem, force) => {
    REAL_STEPS.recover(change(fileSystem), force);
  },
  read: (fileSystem) => REAL_STEPS.read(change(fileSystem)),
});

/** `fileSystem` with some calls replaced. */
function changed(fileSystem: FileSystem, calls: Partial<FileSystem>): FileSystem {
  return new Proxy(fileSystem, {
    get(target, name) {
      const replaced: unknown = Reflect.get(calls, name);
      return replaced ?? (Reflect.get(target, name) as (...args: unknown[]) => unknown).bind(target);
    },
  });
}

/** Gives whatever is read of a journal the digest that it ought to have. */
function withRightDigest(fileSystem: FileSystem): FileSystem {
  return changed(fileSystem, {
    read: (descriptor, into, position) => {
      const count = fileSystem.read(descriptor, into, position);
      if (Buffer.from(into.subarray(0, 7)).toString('latin1') === 'KDHPJNL') {
        into.fill(0, 128, 160);
        into.set(createHash('sha256').update(into).digest(), 128);
      }
      return count;
    },
  });
}

const IN_RECOVERING: Record<string, Steps> = {
  'the digest of the journal is not checked': withFileSystem(withRightDigest),
  'readers ignore the journal': {
    ...REAL_STEPS,
    read: (fileSystem) => {
      const bytes = new Uint8Array(Number(fileSystem.statusIn(0, IMAGE)?.size));
      fileSystem.read(fileSystem.open(IMAGE_PATH, 'read'), bytes, 0);
      return bytes;
    },
  },
  'a whole journal is thrown away': {
    ...REAL_STEPS,
    recover: (fileSystem) => {
      fileSystem.removeIn(fileSystem.openDirectory(FOLDER), JOURNAL);
    },
  },
  'recovery only finishes patches': {
    ...REAL_STEPS,
    recover: (fileSystem) => {
      recover(openTarget(fileSystem, IMAGE_PATH), { rollForward: true });
    },
  },
  'recovery writes less than all': withFileSystem((fileSystem) =>
    changed(fileSystem, {
      write: (descriptor, bytes, position) => {
        fileSystem.write(descriptor, bytes.subarray(0, bytes.length / 2), position);
      },
    }),
  ),
  'recovery keeps the journal': withFileSystem((fileSystem) => changed(fileSystem, { removeIn: () => undefined })),
};

const isFirstByte = (operation: Operation): boolean => operation.kind === 'write' && operation.bytes.length === 1;

const IN_CUT_RECOVERY: Record<string, (operations: Operations) => Operation[]> = {
  'recovery makes no marks': (operations) => operations.slice(operations.findIndex((operation) => !isFirstByte(operation)) + 1),
  'recovery does not sync the marks': (operations) => {
    const sync = operations.findIndex(({ kind }) => kind === 'sync');
    return operations.filter((_, index) => index !== sync);
  },
  'recovery writes first bytes before bodies': (operations) => [
    ...operations.filter(isFirstByte),
    ...operations.filter((operation) => !isFirstByte(operation)),
  ],
  'recovery does not sync the image': (operations) => operations.filter(({ kind }) => kind !== 'sync'),
  'recovery removes the journal first': (operations) => [
    ...operations.filter(({ kind }) => kind === 'remove' || kind === 'sync-directory'),
    ...operations.filter(({ kind }) => kind !== 'remove' && kind !== 'sync-directory'),
  ],
  'recovery removes the journal before the sync': (operations) => [
    ...operations.filter(({ kind }) => kind === 'write'),
    ...operations.filter(({ kind }) => kind === 'remove'),
    ...operations.filter(({ kind }) => kind === 'sync'),
  ],
};

const random = randomFrom(5);
const sampling = { random, samples: 30, exhaustive: 8 };
const examples = [example(1, 20), example(2, 6), example(3, 24, 3)];

/** The first problem, if there is one. */
function problemsOf(trace: Trace, steps: Steps = REAL_STEPS): readonly string[] {
  try {
    checkTrace(new Checker(trace.versions, steps, trace.machine, true), trace, sampling);
    return [];
  } catch (error) {
    if (error instanceof Found) return [error.message];
    throw error;
  }
}

/** Disks with the patch half way through: bodies are being written, or first bytes, and then readers see the new structures already. */
function interrupted({ start, operations }: Trace): Disk[] {
  const [early, late]: [Disk[], Disk[]] = [[], []];
  powerCuts(start, operations, sampling, ({ disk }, done, damage) => {
    if (done > 6 && done < operations.length - 3 && early.length < 12 && random() < 0.2) early.push(disk());
    if (done === operations.length - 3 && damage === 'dropped' && late.length < 8) late.push(disk());
  });
  return [...early, ...late];
}

const stackTraceLimit = Error.stackTraceLimit;
beforeAll(() => {
  Error.stackTraceLimit = 0;
});
afterAll(() => {
  Error.stackTraceLimit = stackTraceLimit;
});

describe('the model', () => {
  test('finds nothing in what the real code does', () => {
    for (const each of examples) {
      const trace = commitTrace(each);
      expect(inOrder(trace.operations, STEPS)).toEqual(trace.operations);
      expect(problemsOf(trace)).toEqual([]);
      expect(problemsOf(undoTrace(each))).toEqual([]);
      for (const disk of interrupted(trace)) {
        const checker = new Checker(trace.versions);
        checkRecovery(checker, disk, 2, REAL_STEPS, sampling, 1);
        expect(checker.problems).toEqual([]);
      }
    }
  }, 300_000);

  test.each(Object.entries(IN_PATCHING))('finds that %s', (_, mistaken) => {
    const isFound = examples.some((each) => {
      const trace = commitTrace(each);
      return problemsOf({ ...trace, operations: mistaken(trace.operations) }).length > 0;
    });
    expect(isFound).toBe(true);
  });

  test.each([
    ['stays', without('remove journal', 'sync removal')],
    ['comes back after a power cut', without('sync removal')],
  ])('finds no harm in a journal that %s once everything is written', (_, harmless) => {
    for (const each of examples) {
      const trace = commitTrace(each);
      expect(problemsOf({ ...trace, operations: harmless(trace.operations) })).toEqual([]);
    }
  });

  test.each(Object.entries(IN_RECOVERING))('finds that %s', (_, steps) => {
    expect(examples.some((each) => problemsOf(commitTrace(each), steps).length > 0)).toBe(true);
  });

  test.each(Object.entries(IN_CUT_RECOVERY))('finds that %s', (_, mistaken) => {
    const isFound = examples.some((each) => {
      const trace = commitTrace(each);
      const checker = new Checker(trace.versions);
      return interrupted(trace).some((disk) => {
        checkRecovery(checker, disk, 2, REAL_STEPS, sampling, 1, mistaken);
        return checker.problems.length > 0;
      });
    });
    expect(isFound).toBe(true);
  });

  test('finds that a patch that failed is rolled back without a sync', () => {
    const trace = commitTrace(example(1, 20), { failing: { call: 'sync', index: 4 } });
    expect(problemsIn(trace)).toEqual([]);
    const last = trace.operations.findLastIndex(({ kind }) => kind === 'sync');
    expect(problemsIn({ ...trace, operations: trace.operations.filter((_, index) => index !== last) })).not.toEqual([]);

    function problemsIn(each: Trace): readonly string[] {
      const checker = new Checker(each.versions);
      checkTrace(checker, each, sampling);
      return checker.problems;
    }
  });

  test('finds that nothing was read back from a disk that lies', () => {
    const { versions, patch } = example(1, 20);
    const patched = (honest: boolean): { error: unknown; image: Uint8Array } => {
      const model = new ModelFileSystem(copied(diskWith(versions.before)));
      let lie: { bytes: Uint8Array; position: number } | undefined;
      const lying = changed(model, {
        write: (descriptor, bytes, position) => {
          const isFirst = lie === undefined && bytes.length > 1 && position > 0;
          if (isFirst) lie = { bytes: bytes.slice(), position };
          model.write(descriptor, isFirst ? bytes.map((byte, at) => (at === 0 ? byte ^ 1 : byte)) : bytes, position);
        },
        read: (descriptor, into, position) => {
          const count = model.read(descriptor, into, position);
          if (!honest && lie?.position === Number(position)) into.set(lie.bytes.subarray(0, into.length));
          return count;
        },
      });
      let error: unknown;
      try {
        commitPatch(openTarget(lying, IMAGE_PATH), patch, { live: false });
      } catch (thrown) {
        error = thrown;
      }
      return { error, image: model.contents(IMAGE) ?? new Uint8Array() };
    };
    const real = patched(true);
    expect(String(real.error)).toContain('reads back differently');
    expect(Buffer.compare(real.image, versions.before)).toBe(0);
    const blind = patched(false);
    expect(blind.error).toBeUndefined();
    expect(Buffer.compare(blind.image, versions.after)).not.toBe(0);
    const judged = new Checker(versions).judged(diskWith(blind.image), 2);
    expect(judged.version).toContain('torn');
  });
});
