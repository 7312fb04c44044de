import { copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { nodeFileSystem } from '../../src/file/node-file-system.js';
import { node, prop } from '../fdt/build.js';
import { Random } from '../fuzz/random.js';
import { cpuNode } from '../helpers/build-image.js';
import { numaBlob } from '../helpers/numa-tree.js';
import { hastyFileSystem, runHere } from '../helpers/run-here.js';
import type { RunResult } from '../helpers/run.js';
import { scratchFolder } from '../helpers/run.js';
import {
  expectSame,
  listedOf,
  loadsOf,
  regionsOf,
  removableLoads,
  stateOf,
  withNodes,
  withPages,
  type Range,
  type State,
} from './model.js';
import { SUBJECTS, type Subject } from './model-subjects.js';

/*
 * Random sequences of changes on the images of real guests, and on built ones of machines with NUMA nodes, held against a model of pages and CPU ids.
 */

/** Of all subjects, in each of the two modes; fewer for a look. */
const SEQUENCES = Number(process.env.KDUMP_HOTPLUG_MODEL_SEQUENCES ?? 5000);
const MOST_STEPS = 6;
const NODES = 4;

type Mode = 'default' | 'linux';

interface Step {
  readonly args: readonly string[];
  /** What the image has to say afterwards; several where both are right. */
  readonly next: readonly State[];
}

const folder = scratchFolder();
const ofProc = new Map<string, Uint8Array>();
/**
 * Nobody else has the images in use, nor is anything mounted meanwhile: other processes and the kernel are not asked, and none is started, which
 * would take longer than all the rest.
 */
const fileSystem = {
  ...hastyFileSystem,
  list: (path: string) => (path === '/proc' ? [] : nodeFileSystem.list(path)),
  lock: () => true,
  openUnnamed: () => undefined,
  readAhead: () => undefined,
  readStart(path: string, limit: number): Uint8Array {
    if (!path.startsWith('/proc/')) return nodeFileSystem.readStart(path, limit);
    const bytes = ofProc.get(path) ?? nodeFileSystem.readStart(path, limit);
    ofProc.set(path, bytes);
    return bytes;
  },
};
const run = (args: readonly string[]): RunResult & { status: number } => runHere(args, { fileSystem });
const seen = { made: 0, nothing: 0, refused: 0 };

/** Tests of random sequences on each image. */
export function modelSequences(mode: Mode): void {
  afterAll(() => {
    // Were nearly all refused, nothing would have been tried.
    console.info(`changes made ${seen.made}, nothing to do ${seen.nothing}, refused ${seen.refused}`);
    expect(seen.made).toBeGreaterThan(seen.refused + seen.nothing);
  });

  const count = Math.ceil(SEQUENCES / SUBJECTS.length);
  test.each(SUBJECTS.map((subject) => [subject.name, subject] as const))(
    `%s, ${count} sequences: each step as the model, plan = apply, all at once = one by one, undone to the byte`,
    (name, subject) => {
      const sequences = new Sequences(subject, mode);
      for (let sequence = 0; sequence < count; sequence += 1) sequences.run(`${name} ${mode} ${sequence}`);
    },
  );
}

class Sequences {
  private readonly random: Random;
  private readonly base: string;
  private readonly compat: readonly string[];
  /** What is neither added nor removed: the capture kernel's memory, the kernel text, which a PT_LOAD of its own lists, and memory nodes. */
  private readonly kept: readonly Range[];
  /** Firmware, which kexec-tools lists in whole pages and a rebuild at its exact size, and the backup, which the kernel's rebuild drops on x86_64. */
  private readonly unclear: readonly Range[];

  private readonly subject: Subject;
  private readonly mode: Mode;

  constructor(subject: Subject, mode: Mode) {
    this.subject = subject;
    this.mode = mode;
    this.random = new Random(SUBJECTS.indexOf(subject) * 2 + (mode === 'linux' ? 2 : 1));
    this.base = subject.make(folder);
    this.compat = mode === 'linux' ? ['--compat', 'linux'] : [];
    const { crashKernel, elfcorehdr } = JSON.parse(run(['inspect', this.base, '--json']).stdout) as {
      crashKernel: { start: string; size: number };
      elfcorehdr: { kernelText: { start: string; size: number } | null; memory: { start: string; size: number; kind: string }[] };
    };
    const rangeOf = ({ start, size }: { start: string; size: number }): Range => ({
      start: BigInt(start),
      end: BigInt(start) + BigInt(size),
    });
    const text = elfcorehdr.kernelText === null ? [] : [rangeOf(elfcorehdr.kernelText)];
    const inNodes = BigInt(subject.tree?.inMemoryNodes ?? 0) * subject.grain;
    this.kept = [rangeOf(crashKernel), ...text, ...(inNodes > 0n ? [{ start: 0n, end: inNodes }] : [])];
    this.unclear = elfcorehdr.memory.filter(({ kind }) => kind !== 'ram').map(rangeOf);
  }

  run(name: string): void {
    const { subject, random, compat, unclear } = this;
    const image = join(folder, `${basename(this.base)}-${this.mode}.now`);
    copyFileSync(this.base, image);
    const made: { args: readonly string[]; undo: string; before: Buffer }[] = [];
    let before = readFileSync(image);
    let state: State = { ...this.stateOf(before), lmbs: subject.tree?.lmbs ?? null };
    let isRebuilt = false;
    const steps = 1 + random.below(MOST_STEPS);
    for (let step = 0; step < steps; step += 1) {
      const { args, next } = this.nextStep(before, state);
      const all = [...args, ...this.liveTree(next[0] as State), ...compat];
      const what = `${name}, step ${step}: ${args.join(' ')}`;
      const undo = `${image}.${step}.undo`;
      const planned = run(['plan', image, '--json', ...all]);
      const applied = run(['apply', image, '--json', '--save-undo', undo, ...all]);
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
      const now = this.stateOf(after);
      const expected = (next.find(({ pages }) => pages.equals(now.pages)) ?? next[0]) as State;
      expectSame(now, expected, unclear, what);
      expect(after.length, what).toBe(before.length);
      if (after.equals(before)) seen.nothing += 1;
      else {
        seen.made += 1;
        made.push({ args, undo, before });
      }
      // Until then memory is listed as kexec-tools listed it.
      isRebuilt ||= !now.pages.equals(state.pages);
      state = { ...now, lmbs: expected.lmbs };
      if (isRebuilt && state.lmbs !== null) expect(this.rangesOf(after), what).toEqual(regionsOf(this.withoutUnclear(state)));
      before = after;
    }
    this.checkAtOnce(
      name,
      image,
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
  private checkAtOnce(name: string, image: string, changes: readonly (readonly string[])[], state: State): void {
    if (changes.length === 0) return;
    // A live tree of today does not tell what a CPU was that came and went.
    const hasGone = ([option, id]: readonly string[]): boolean => option === '--add-cpu' && state.cpus?.has(Number(id)) === false;
    if (this.subject.tree !== undefined && changes.some(hasGone)) return;
    const copy = `${image}.copy`;
    const args = [...changes.flat().filter((arg) => arg !== '--prune-cpus'), '--prune-cpus', ...this.liveTree(state), ...this.compat];
    const { status, stderr } = run(['apply', this.base, '-o', copy, '--overwrite', ...args]);
    expect({ status, stderr: status === 0 ? '' : stderr }, `${name}: ${args.join(' ')}`).toEqual({ status: 0, stderr: '' });
    const made = readFileSync(copy);
    expectSame(this.stateOf(made), { ...state, lmbs: null }, this.unclear, `${name}, at once`);
    // The kernel's bytes depend on which event came last.
    if (this.mode === 'default') expect(loadsOf(made), name).toEqual(loadsOf(readFileSync(image)));
  }

  private nextStep(image: Buffer, state: State): Step {
    const { random, mode, subject } = this;
    const { grain, room } = subject;
    const oftenAs = (percent: number): boolean => random.below(100) < percent;
    const range = (inside: Range): Range => {
      const count = Number((inside.end - inside.start) / grain);
      const first = random.below(count);
      const length = 1 + random.below(Math.min(count - first, 12));
      return { start: inside.start + BigInt(first) * grain, end: inside.start + BigInt(first + length) * grain };
    };
    const option = (name: string, { start, end }: Range): string[] => [name, `0x${start.toString(16)}+0x${(end - start).toString(16)}`];
    if (state.cpus !== null && oftenAs(25)) {
      const id = random.below(8);
      const [added, removed] = [new Set([...state.cpus, id]), new Set([...state.cpus].filter((each) => each !== id))];
      // A CPU that no connector or no crash notes are there for cannot be added, nor the last one removed.
      if (oftenAs(60)) return { args: ['--add-cpu', String(id)], next: [{ ...state, cpus: added }, state] };
      return {
        args: ['--remove-cpu', String(id), '--prune-cpus'],
        next: removed.size > 0 ? [{ ...state, cpus: removed }, state] : [state],
      };
    }
    const removable = removableLoads(image)
      .flatMap((load) => outside(load, this.kept))
      .filter((load) => load.end - load.start >= grain);
    if (oftenAs(40) && removable.length > 0) {
      const removed = oftenAs(90) ? range(random.pick(removable)) : range(room);
      const gone = withNodes(withPages(state, removed, 0), removed, () => undefined);
      // The kernel leaves removed memory listed on x86_64, and looks for one range that holds all of it elsewhere.
      const next = listedOf(state, removed) !== 'all' ? [state] : mode === 'linux' ? [gone, state] : [gone];
      return { args: option('--remove-memory', removed), next };
    }
    const added = oftenAs(90) ? range(room) : range({ start: 0n, end: room.end });
    const isNew = listedOf(state, added) === 'none' && !this.kept.some(({ start, end }) => start < added.end && end > added.start);
    const listed = withNodes(withPages(state, added, 1), added, (previous) =>
      oftenAs(60) && previous !== undefined ? previous : random.below(NODES),
    );
    return { args: option('--add-memory', added), next: [isNew ? listed : state] };
  }

  private stateOf(image: Buffer): State {
    return stateOf(image, this.subject.room.end);
  }

  /** The RAM of the image, by address. */
  private rangesOf(image: Buffer): Range[] {
    return loadsOf(image)
      .filter(({ start, end }) => !this.unclear.some((range) => range.start === start && range.end === end))
      .sort((a, b) => (a.start < b.start ? -1 : 1));
  }

  private withoutUnclear(state: State): State {
    return this.unclear.reduce((left, range) => withPages(left, range, 0), state);
  }

  /** `--device-tree` with what a machine with NUMA nodes says in `state`; nothing for others. */
  private liveTree({ lmbs, cpus }: State): string[] {
    const { tree } = this.subject;
    if (tree === undefined || lmbs === null) return [];
    const path = join(folder, 'live.dtb');
    const nodes = [...(cpus ?? [])].sort().map((id) => cpuNode('ppc64le', id));
    const more = [node('cpus', prop('#address-cells', [1]), prop('#size-cells', [0]), ...nodes)];
    writeFileSync(path, numaBlob({ ...tree, lmbs, more }));
    return ['--device-tree', path];
  }
}

/** What of `range` none of `kept` holds. */
function outside(range: Range, kept: readonly Range[]): Range[] {
  return kept.reduce<Range[]>(
    (left, { start, end }) =>
      left.flatMap((each) =>
        end <= each.start || start >= each.end
          ? [each]
          : [
              { start: each.start, end: start },
              { start: end, end: each.end },
            ].filter((part) => part.start < part.end),
      ),
    [range],
  );
}
