import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { KdumpError } from '../../src/errors.js';
import type { FileSystem } from '../../src/file/file-system.js';
import { journalNameOf } from '../../src/journal/find-journal.js';
import { commitPatch } from '../../src/patch/commit.js';
import { recover } from '../../src/patch/recover.js';
import { closeTarget, openTarget } from '../../src/patch/target.js';
import { saveUndo, undoPatch } from '../../src/patch/undo.js';
import { runHere } from '../helpers/run-here.js';
import { fixtureImage } from '../helpers/fixtures.js';
import { failingCalls } from './failing-calls.js';
import { diskWith, FOLDER, IMAGE, IMAGE_PATH, ModelFileSystem, type Disk } from '../helpers/model-file-system.js';
import { Checker, copied, type Versions } from './power-cut-model.js';
import { commitTrace, example, type Example } from './traces.js';

const ERRORS = ['EIO', 'ENOSPC', 'EDQUOT', 'EROFS', 'EPERM', 'EACCES', 'EINTR', 'ESTALE', 'EFBIG'] as const;

interface Scenario {
  readonly name: string;
  readonly versions: Versions;
  readonly start: Disk;
  readonly sparse?: boolean;
  /** Changes the image from `before` to `after`, or throws. */
  readonly action: (fileSystem: FileSystem) => void;
}

const small = example(1, 6);
const large = example(2, 24);

function patching({ patch }: Example, live = false): (fileSystem: FileSystem) => void {
  return (fileSystem) => {
    const target = openTarget(fileSystem, IMAGE_PATH);
    try {
      recover(target);
      commitPatch(target, patch, { live });
    } finally {
      closeTarget(target);
    }
  };
}

/** The disk in the middle of a patch: whole journal, some of the new bytes. */
function interrupted(each: Example, operations: number): Disk {
  const fileSystem = new ModelFileSystem(copied(diskWith(each.versions.before)));
  let done = 0;
  const stopping = failingCalls(fileSystem, (call) => {
    done += ['write', 'sync', 'removeIn'].includes(call) ? 1 : 0;
    return done > operations ? 'EIO' : undefined;
  });
  expect(() => {
    patching(each)(stopping);
  }).toThrow();
  return fileSystem.disk;
}

/** The disk with an undo file beside the patched image. */
function patchedWithUndo({ versions, patch }: Example): Disk {
  const fileSystem = new ModelFileSystem(copied(diskWith(versions.before)));
  const target = openTarget(fileSystem, IMAGE_PATH);
  saveUndo(fileSystem, `${FOLDER}/undo`, target, patch, false);
  commitPatch(target, patch, { live: false });
  return fileSystem.disk;
}

const turned = ({ before, after, structures }: Versions): Versions => ({ before: after, after: before, structures });

const recovering = (fileSystem: FileSystem, rollForward = false): void => {
  const target = openTarget(fileSystem, IMAGE_PATH);
  try {
    recover(target, { rollForward });
  } finally {
    closeTarget(target);
  }
};

/** Runs a whole command, and turns its exit code into an error. */
function commandLine(...args: string[]): (fileSystem: FileSystem) => void {
  return (fileSystem) => {
    const { status, stderr } = runHere(args, { fileSystem });
    if (status === 5) throw new KdumpError('io', stderr);
    expect({ status, stderr }).toEqual({ status: 0, stderr: expect.any(String) as string });
  };
}

function tiny(): Scenario {
  const before = Uint8Array.from(readFileSync(fixtureImage('tiny-ppc64')));
  const action = commandLine('apply', IMAGE_PATH, '--add-memory', '0x90000000+16M');
  const fileSystem = new ModelFileSystem(copied(diskWith(before)));
  action(fileSystem);
  const after = fileSystem.contents(IMAGE) ?? new Uint8Array();
  return { name: 'apply', versions: { before, after, structures: [] }, start: diskWith(before), action };
}

const plain = diskWith(small.versions.before);
const SCENARIOS: readonly Scenario[] = [
  { name: 'small', versions: small.versions, start: plain, action: patching(small) },
  { name: 'large', versions: large.versions, start: diskWith(large.versions.before), action: patching(large) },
  { name: 'live', versions: large.versions, start: diskWith(large.versions.before), action: patching(large, true) },
  { name: 'sparse', versions: large.versions, start: diskWith(large.versions.before), sparse: true, action: patching(large) },
  { name: 'after an interrupted patch', versions: small.versions, start: interrupted(small, 8), action: patching(small) },
  {
    name: 'after a patch that did not come far',
    versions: small.versions,
    start: diskWith(small.versions.before, new Uint8Array(5000)),
    action: patching(small),
  },
  { name: 'undo', versions: turned(large.versions), start: patchedWithUndo(large), action: undoing },
  { name: 'undo, small', versions: turned(small.versions), start: patchedWithUndo(small), action: undoing },
  {
    name: 'recover',
    versions: { ...large.versions, after: large.versions.before },
    start: interrupted(large, 8),
    action: recovering,
  },
  {
    name: 'recover, early',
    versions: { ...small.versions, after: small.versions.before },
    start: interrupted(small, 5),
    action: recovering,
  },
  {
    name: 'recover forward',
    versions: large.versions,
    start: interrupted(large, 8),
    action: (fileSystem) => {
      recovering(fileSystem, true);
    },
  },
  {
    name: 'undo file saved',
    versions: small.versions,
    start: plain,
    action: (fileSystem) => {
      const target = openTarget(fileSystem, IMAGE_PATH);
      saveUndo(fileSystem, `${FOLDER}/undo`, target, small.patch, false);
      commitPatch(target, small.patch, { live: false });
      closeTarget(target);
    },
  },
  tiny(),
];

function undoing(fileSystem: FileSystem): void {
  const target = openTarget(fileSystem, IMAGE_PATH);
  undoPatch(target, `${FOLDER}/undo`);
  closeTarget(target);
}

let cases = 0;
afterAll(() => {
  console.log(`${cases} failing calls`);
});

describe.each(SCENARIOS)('$name: every call fails', ({ versions, start, sparse = false, action }) => {
  const machine = { boot: 1, sparse };
  const calls = callsOf((fileSystem) => {
    action(fileSystem);
  });

  test.each(['once', 'for ever'] as const)('%s', (how) => {
    for (const code of ERRORS) for (let number = 1; number <= calls; number += 1) check(code, number, how === 'once');
  });

  function callsOf(whole: (fileSystem: FileSystem) => void): number {
    let count = 0;
    const fileSystem = new ModelFileSystem(copied(start), machine);
    whole(
      failingCalls(fileSystem, (_, number) => {
        count = number;
        return undefined;
      }),
    );
    expect(Buffer.compare(fileSystem.contents(IMAGE) ?? new Uint8Array(), versions.after)).toBe(0);
    return count;
  }

  function check(code: string, failing: number, once: boolean): void {
    cases += 1;
    const fileSystem = new ModelFileSystem(copied(start), machine);
    let failed = '';
    const used = failingCalls(fileSystem, (call, number) => {
      const fails = once ? number === failing : number >= failing;
      if (fails && failed === '') failed = call;
      return fails ? code : undefined;
    });
    let error: unknown;
    try {
      action(used);
    } catch (thrown) {
      error = thrown;
    }
    const where = `${code} of call ${failing}, ${failed}`;
    const image = fileSystem.contents(IMAGE) ?? new Uint8Array();
    const journal = fileSystem.contents(journalNameOf(IMAGE));
    if (error === undefined) {
      expect(Buffer.compare(image, versions.after), `${where}: success without the new bytes`).toBe(0);
      expect(journal, `${where}: success with a journal left`).toBeUndefined();
      return;
    }
    expect(error, where).toBeInstanceOf(KdumpError);
    const { kind, message } = error as KdumpError;
    expect(kind, where).toBe('io');
    const left = new Checker(versions).judged(fileSystem.disk, 1).version;
    expect(['before', 'after'], `${where}: ${message}`).toContain(left);
    const isOld = Buffer.compare(image, versions.before) === 0;
    const isNew = Buffer.compare(image, versions.after) === 0;
    const wasWhole = !start.names.has(journalNameOf(IMAGE));
    // A close that fails, too, hides the error before it.
    if (wasWhole && !isOld && !isNew && !message.includes('close')) expect(message, where).toContain('recover');
  }
});

test('a patch that fails is rolled back at once where that is possible', () => {
  for (const call of ['write', 'sync', 'removeIn'] as const) {
    for (let index = 1; index <= 4; index += 1) {
      if (call === 'removeIn' && index > 1) continue;
      const { operations, result } = commitTrace(large, { failing: { call, index } });
      expect(result).toEqual(['before']);
      const { disk } = replayed(operations);
      expect(disk.has(journalNameOf(IMAGE))).toBe(false);
    }
  }

  function replayed(operations: ReturnType<typeof commitTrace>['operations']): { disk: Set<string> } {
    const disk = new Set<string>();
    for (const operation of operations) {
      if (operation.kind === 'create') disk.add(operation.name);
      if (operation.kind === 'remove') disk.delete(operation.name);
    }
    return { disk };
  }
});
