import { copyFileSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { Random } from '../fuzz/random.js';
import { Capture, type Guest } from '../helpers/capture-image.js';
import { hastyFileSystem, runHere } from '../helpers/run-here.js';
import type { RunResult } from '../helpers/run.js';
import { scratchFolder } from '../helpers/run.js';
import { expectSame, listedOf, loadsOf, removableLoads, stateOf, withPages, type Range, type State } from './model.js';

/*
 * Random sequences of changes on the images of real guests, held against a model of pages and CPU ids.
 */

/** Of all guests, in each of the two modes. */
const SEQUENCES = 300;
const MOST_STEPS = 6;
const GRAIN = 1n << 24n;
/** Room for memory to come, above all that the guests had. */
const NEW_MEMORY: Range = { start: 0x100000000n, end: 0x120000000n };

const GUESTS: readonly Guest[] = [
  'ppc64le-6.12-64k',
  'ppc64le-6.12-4k',
  'x86_64-6.12-kexec-load',
  'x86_64-6.12-file-load',
  'aarch64-6.12',
  'riscv64-6.12',
];
type Mode = 'default' | 'linux';

interface Step {
  readonly args: readonly string[];
  /** What the image has to say afterwards; several where both are right. */
  readonly next: readonly State[];
}

const folder = scratchFolder();
/** Nobody else has the images in use: other processes are not looked at, which takes longer than all the rest. */
const fileSystem = { ...hastyFileSystem, list: (path: string) => (path === '/proc' ? [] : hastyFileSystem.list(path)) };
const run = (args: readonly string[]): RunResult & { status: number } => runHere(args, { fileSystem });
const seen = { made: 0, nothing: 0, refused: 0 };

/** Tests of random sequences on the image of each guest. */
export function modelSequences(mode: Mode): void {
  afterAll(() => {
    // Were nearly all refused, nothing would have been tried.
    console.info(`changes made ${seen.made}, nothing to do ${seen.nothing}, refused ${seen.refused}`);
    expect(seen.made).toBeGreaterThan(seen.refused + seen.nothing);
  });

  describe.each(GUESTS)('%s', (guest) => {
    const base = new Capture(guest, 'as-captured', 0x2000).packedImage(folder).path;
    const { crashKernel, elfcorehdr } = JSON.parse(run(['inspect', base, '--json']).stdout) as {
      crashKernel: { start: string; size: number };
      elfcorehdr: { kernelText: { start: string; size: number } | null; memory: { start: string; size: number; kind: string }[] };
    };
    const rangeOf = ({ start, size }: { start: string; size: number }): Range => ({
      start: BigInt(start),
      end: BigInt(start) + BigInt(size),
    });
    /** What is neither added nor removed: the capture kernel's memory, and the kernel text, which a PT_LOAD of its own lists. */
    const kept = [crashKernel, ...(elfcorehdr.kernelText === null ? [] : [elfcorehdr.kernelText])].map(rangeOf);
    const isKept = ({ start, end }: Range): boolean => kept.some((range) => start < range.end && end > range.start);
    // Firmware, which kexec-tools lists in whole pages and a rebuild at its exact size, and the backup, which the kernel's rebuild drops on x86_64.
    const unclear = elfcorehdr.memory.filter(({ kind }) => kind !== 'ram').map(rangeOf);

    const count = Math.ceil(SEQUENCES / GUESTS.length);
    test(`${count} sequences: each step as the model, plan = apply, all at once = one by one, undone to the byte`, () => {
      const random = new Random(GUESTS.indexOf(guest) * 2 + (mode === 'linux' ? 2 : 1));
      for (let sequence = 0; sequence < count; sequence += 1) runSequence(`${guest} ${mode} ${sequence}`, mode, random);
    });

    function runSequence(name: string, mode: Mode, random: Random): void {
      const image = join(folder, `${guest}-${mode}.now`);
      const compat = mode === 'linux' ? ['--compat', 'linux'] : [];
      copyFileSync(base, image);
      const made: { args: readonly string[]; undo: string; before: Buffer }[] = [];
      let state = stateOf(image, NEW_MEMORY.end);
      const steps = 1 + random.below(MOST_STEPS);
      for (let step = 0; step < steps; step += 1) {
        const { args, next } = nextStep(image, state, mode, random);
        const what = `${name}, step ${step}: ${args.join(' ')}`;
        const undo = `${image}.${step}.undo`;
        const before = readFileSync(image);
        const planned = run(['plan', image, '--json', ...args, ...compat]);
        const applied = run(['apply', image, '--json', '--save-undo', undo, ...args, ...compat]);
        expect(applied.status, `${what}: ${applied.stderr}`).toBe(planned.status);
        const after = readFileSync(image);
        if (applied.status !== 0) {
          expect(applied.status, what).toBe(4);
          expect(after.equals(before), what).toBe(true);
          if (!next.includes(state)) expect.fail(`${what}: ${applied.stderr}`);
          seen.refused += 1;
          continue;
        }
        if (applied.stdout.replace('"applied": true', '"applied": false') !== planned.stdout)
          expect(JSON.parse(applied.stdout), what).toEqual(JSON.parse(planned.stdout));
        const now = stateOf(image, NEW_MEMORY.end);
        const expected = next.find(({ pages }) => pages.equals(now.pages)) ?? next[0];
        expectSame(now, expected as State, unclear, what);
        expect(after.length, what).toBe(before.length);
        if (after.equals(before)) seen.nothing += 1;
        else {
          seen.made += 1;
          made.push({ args, undo, before });
        }
        state = now;
      }
      checkAtOnce(
        name,
        image,
        compat,
        made.map(({ args }) => args),
        state,
      );
      for (const { undo, before } of made.reverse()) {
        expect(run(['undo', image, undo]).status, name).toBe(0);
        if (!readFileSync(image).equals(before)) expect.fail(`${name}: ${undo} does not lead back to the byte`);
        rmSync(undo);
      }
    }

    /** All changes in one command, into a copy, come to the same as one after the other. */
    function checkAtOnce(
      name: string,
      image: string,
      compat: readonly string[],
      changes: readonly (readonly string[])[],
      state: State,
    ): void {
      if (changes.length === 0) return;
      const copy = `${image}.copy`;
      const args = changes.flat().filter((arg) => arg !== '--prune-cpus');
      const { status, stderr } = run(['apply', base, '-o', copy, '--overwrite', '--prune-cpus', ...args, ...compat]);
      expect({ status, stderr: status === 0 ? '' : stderr }, `${name}: ${args.join(' ')}`).toEqual({ status: 0, stderr: '' });
      expectSame(stateOf(copy, NEW_MEMORY.end), state, unclear, `${name}, at once`);
      // The kernel's bytes depend on which event came last.
      if (compat.length === 0) expect(loadsOf(copy), name).toEqual(loadsOf(image));
    }

    function nextStep(image: string, state: State, mode: Mode, random: Random): Step {
      const oftenAs = (percent: number): boolean => random.below(100) < percent;
      const range = (inside: Range): Range => {
        const room = Number((inside.end - inside.start) / GRAIN);
        const first = random.below(room);
        const length = 1 + random.below(Math.min(room - first, 12));
        return { start: inside.start + BigInt(first) * GRAIN, end: inside.start + BigInt(first + length) * GRAIN };
      };
      const option = (name: string, { start, end }: Range): string[] => [name, `0x${start.toString(16)}+0x${(end - start).toString(16)}`];
      if (state.cpus !== null && oftenAs(25)) {
        const id = random.below(8);
        const [added, removed] = [new Set([...state.cpus, id]), new Set([...state.cpus].filter((each) => each !== id))];
        // A CPU that no connector or no crash notes are there for cannot be added, nor the last one removed.
        return oftenAs(60)
          ? { args: ['--add-cpu', String(id)], next: [{ ...state, cpus: added }, state] }
          : { args: ['--remove-cpu', String(id), '--prune-cpus'], next: [{ ...state, cpus: removed }, state] };
      }
      const loads = removableLoads(image).filter((load) => load.end - load.start >= GRAIN && !isKept(load));
      if (oftenAs(40) && loads.length > 0) {
        const removed = oftenAs(90) ? range(random.pick(loads)) : range(NEW_MEMORY);
        const gone = withPages(state, removed, 0);
        // The kernel leaves removed memory listed on x86_64, and looks for one range that holds all of it elsewhere.
        const next = listedOf(state, removed) !== 'all' ? [state] : mode === 'linux' ? [gone, state] : [gone];
        return { args: option('--remove-memory', removed), next };
      }
      const added = oftenAs(90) ? range(NEW_MEMORY) : range({ start: 0n, end: NEW_MEMORY.end });
      const isNew = listedOf(state, added) === 'none' && !isKept(added);
      return { args: option('--add-memory', added), next: [isNew ? withPages(state, added, 1) : state] };
    }
  });
}
