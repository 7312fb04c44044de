import { readFileSync } from 'node:fs';
import { applyPlan } from '../../src/patch/apply.js';
import { commitPatch, type Patch } from '../../src/patch/commit.js';
import { openForPatching } from '../../src/patch/open-for-patching.js';
import { closeTarget, openTarget } from '../../src/patch/target.js';
import { saveUndo, undoPatch } from '../../src/patch/undo.js';
import { planHotplug } from '../../src/plan/plan.js';
import { rangeOfSize } from '../../src/memory/range.js';
import type { FileSystem } from '../../src/file/file-system.js';
import { fixtureImage } from '../helpers/fixtures.js';
import { failingCalls, type Call } from './failing-calls.js';
import { diskWith, FOLDER, IMAGE_PATH, JOURNAL, ModelFileSystem, type Disk, type Machine } from '../helpers/model-file-system.js';
import { copied, randomFrom, type Structure, type Trace, type Version, type Versions } from './power-cut-model.js';

/** A made-up image of a few structures, and a patch of it. */
export interface Example {
  readonly versions: Versions;
  readonly patch: Patch;
}

/** @param sectors size of the image; structures take most of it and cross block boundaries where it is long enough */
export function example(seed: number, sectors: number, structures = 2): Example {
  const random = randomFrom(seed);
  const size = sectors * 512 - Math.floor(random() * 100);
  const before = Uint8Array.from({ length: size }, () => 1 + Math.floor(random() * 150));
  const after = before.slice();
  const step = Math.floor(size / structures);
  const places: Structure[] = Array.from({ length: structures }, (_, i) => ({ start: i * step + 16, end: (i + 1) * step - 16 }));
  for (const { start, end } of places) {
    const runs = 1 + Math.floor(random() * 3);
    for (let i = 0; i < runs; i += 1) {
      const from = start + 1 + Math.floor(random() * (end - start - 1));
      const to = Math.min(end, from + 1 + Math.floor(random() * 900));
      for (let at = from; at < to; at += 1) after[at] = 151 + Math.floor(random() * 14);
    }
    // Some first bytes change, too.
    if (random() < 0.3) after[start] = 255;
  }
  return {
    versions: { before, after, structures: places },
    patch: { runs: runsOf(before, after), markers: places.map(({ start }) => start) },
  };
}

function runsOf(before: Uint8Array, after: Uint8Array): { position: number; before: Uint8Array; after: Uint8Array }[] {
  const runs: { position: number; before: Uint8Array; after: Uint8Array }[] = [];
  for (let at = 0; at < before.length; at += 1) {
    if (before[at] === after[at]) continue;
    let end = at;
    while (end < before.length && before[end] !== after[end]) end += 1;
    runs.push({ position: at, before: before.slice(at, end), after: after.slice(at, end) });
    at = end;
  }
  return runs;
}

/** What `action` does to the image of `disk`, whether it throws or not. */
function traceOf(disk: Disk, machine: Machine, action: (fileSystem: FileSystem) => void): { fileSystem: ModelFileSystem; error: unknown } {
  const fileSystem = new ModelFileSystem(copied(disk), machine);
  try {
    action(fileSystem);
  } catch (error) {
    return { fileSystem, error };
  }
  return { fileSystem, error: undefined };
}

export interface CommitTraceOptions {
  readonly live?: boolean;
  readonly sparse?: boolean;
  /** Of the calls of this kind, the one that fails, or the first of all that do. */
  readonly failing?: { readonly call: Call; readonly index: number; readonly forever?: boolean };
}

function isHit({ index, forever = false }: NonNullable<CommitTraceOptions['failing']>, number: number): boolean {
  return forever ? number >= index : number === index;
}

/** The operations of `commitPatch`. */
export function commitTrace({ versions, patch }: Example, { live = false, sparse = false, failing }: CommitTraceOptions = {}): Trace {
  const machine = { boot: 1, sparse };
  const start = diskWith(versions.before);
  let seen = 0;
  const { fileSystem, error } = traceOf(start, machine, (real) => {
    const used =
      failing === undefined
        ? real
        : failingCalls(real, (call) => (call === failing.call && isHit(failing, (seen += 1)) ? 'EIO' : undefined));
    const target = openTarget(used, IMAGE_PATH);
    commitPatch(target, patch, { live });
  });
  if ((error !== undefined) !== (failing !== undefined)) throw new Error('unexpected outcome', { cause: error });
  const isNew = Buffer.compare(fileSystem.contents('image') ?? new Uint8Array(), versions.after) === 0;
  // A last sync that fails is an error, which says that the change is made but that a power cut may take it back.
  // Where nothing can be written any more the journal stays, and the new bytes may be on the disk, all of them too.
  const isLeft = fileSystem.contents(JOURNAL) !== undefined;
  const result: Version[] = error === undefined ? ['after'] : isNew || isLeft ? ['before', 'after'] : ['before'];
  return { versions, start, operations: fileSystem.operations, machine, result, live };
}

/** The operations of `undoPatch` of what `commitTrace` does. */
export function undoTrace({ versions, patch }: Example): Trace {
  const machine = { boot: 1 };
  const undoFile = `${FOLDER}/undo`;
  const prepared = new ModelFileSystem(copied(diskWith(versions.before)), machine);
  const target = openTarget(prepared, IMAGE_PATH);
  saveUndo(prepared, undoFile, target, patch, false);
  commitPatch(target, patch, { live: false });
  const start = copied(prepared.disk);
  const { fileSystem, error } = traceOf(start, machine, (real) => {
    undoPatch(openTarget(real, IMAGE_PATH), undoFile);
  });
  if (error !== undefined) throw new Error('unexpected', { cause: error });
  const turned = { ...versions, before: versions.after, after: versions.before };
  return { versions: turned, start, operations: fileSystem.operations, machine, result: ['after'], live: false };
}

/** The operations of `applyPlan` on a real, small image. */
export function planTrace(): Trace {
  const machine = { boot: 1 };
  const before = Uint8Array.from(readFileSync(fixtureImage('tiny-ppc64')));
  const start = diskWith(before);
  let structures: Structure[] = [];
  const { fileSystem, error } = traceOf(start, machine, (real) => {
    const { target, image } = openForPatching(real, IMAGE_PATH);
    const plan = planHotplug(image, [{ action: 'add', memory: rangeOfSize(0x90000000n, 0x10000000n) }]);
    structures = plan.segments
      .filter(({ name }) => name !== 'purgatory')
      .map(({ address, before: bytes }) => {
        const position = target.memory.fileOffset(address, 1);
        return { start: position, end: position + bytes.length };
      });
    applyPlan(target, plan);
    closeTarget(target);
  });
  if (error !== undefined) throw error instanceof Error ? error : new Error('unexpected', { cause: error });
  const after = Uint8Array.from(fileSystem.contents('image') ?? []);
  return { versions: { before, after, structures }, start, operations: fileSystem.operations, machine, result: ['after'], live: false };
}
