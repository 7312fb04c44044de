import { KdumpError } from '../../src/errors.js';
import { closeTarget, openTarget } from '../../src/patch/target.js';
import { recover } from '../../src/patch/recover.js';
import { readCommitted } from '../../src/journal/read-committed.js';
import type { FileSystem } from '../../src/file/file-system.js';
import {
  IMAGE,
  IMAGE_INODE,
  IMAGE_PATH,
  JOURNAL,
  ModelFileSystem,
  overwritten,
  type Disk,
  type Machine,
  type Operation,
} from '../helpers/model-file-system.js';

/**
 * What a power cut does to what was not forced to the disk. Of that, any subset may have arrived, and the rest is
 *
 * - `dropped`: as before; a new file ends behind the last sector that arrived
 * - `zeros`: a new file has its full size, with zeros
 * - `garbage`: the sectors hold anything
 * - `block`: so do all sectors of the 4096-byte blocks around them, even those that had arrived
 */
export type Damage = 'dropped' | 'zeros' | 'garbage' | 'block';

const DAMAGES: readonly Damage[] = ['dropped', 'zeros', 'garbage', 'block'];
const SECTOR = 512;
const BLOCK = 4096;
const GARBAGE = 0xa5;
/** How many of the states are recovered with further power cuts. */
const RECOVERED = 0.002;

/** Repeatable numbers from 0 up to 1. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A free operation: part of a sector, or a change of the directory. */
type Unit = { readonly kind: 'data'; readonly inode: number; readonly position: number; readonly bytes: Uint8Array } | DirectoryUnit;
interface DirectoryUnit {
  readonly kind: 'directory';
  readonly operation: Operation;
}

/** What a power cut leaves; equal keys mean equal disks. */
interface CutDisk {
  readonly key: string | undefined;
  readonly disk: () => Disk;
}

let bases = 0;

interface Sampling {
  readonly random: () => number;
  /** Random subsets where there are too many to visit all. */
  readonly samples: number;
  /** Up to this many free operations, every subset is visited. */
  readonly exhaustive: number;
}

/**
 * Visits what may be on the disk after a power cut behind each operation: what a later sync forced is there, of everything else any subset is.
 * Syncing a file does not bring its name to the disk.
 */
export function powerCuts(
  start: Disk,
  operations: readonly Operation[],
  { random, samples, exhaustive }: Sampling,
  visit: (cut: CutDisk, done: number, damage: Damage) => void,
): void {
  const names = new Map(start.names);
  const durable = new Map(start.data);
  const sizes = new Map([...start.data].map(([inode, bytes]) => [inode, bytes.length]));
  let units: Unit[] = [];
  let base = (bases += 1);
  const force = (forced: (unit: Unit) => boolean): void => {
    base = bases += 1;
    for (const unit of units.filter(forced)) applyUnit(unit, names, durable);
    units = units.filter((unit) => !forced(unit));
  };
  visitSubsets(0);
  operations.forEach((operation, index) => {
    if (operation.kind === 'write') {
      units.push(...sectorsOf(operation));
      const end = operation.position + operation.bytes.length;
      sizes.set(operation.inode, Math.max(end, sizes.get(operation.inode) ?? 0));
    } else if (operation.kind === 'sync') force((unit) => unit.kind === 'data' && unit.inode === operation.inode);
    else if (operation.kind === 'sync-directory') force((unit) => unit.kind === 'directory');
    else {
      if (operation.kind === 'create') durable.set(operation.inode, new Uint8Array());
      units.push({ kind: 'directory', operation });
    }
    visitSubsets(index + 1);
  });

  function visitSubsets(done: number): void {
    const count = units.length;
    const inImage = units.some((unit) => unit.kind === 'data' && unit.inode === IMAGE_INODE);
    const inOthers = units.some((unit) => unit.kind === 'data' && unit.inode !== IMAGE_INODE);
    const damages = DAMAGES.filter(
      (damage) => damage === 'dropped' || (damage === 'zeros' ? inOthers : damage === 'garbage' ? inImage || inOthers : inImage),
    );
    const idle = count <= exhaustive ? idleUnits() : undefined;
    subsets(count, { random, samples, exhaustive }, (keep, complete) => {
      for (const damage of complete ? DAMAGES.slice(0, 1) : damages) {
        visit({ key: idle === undefined ? undefined : keyOf(keep, damage, idle), disk: () => cut(keep, damage) }, done, damage);
      }
    });
  }

  /** Units that write what is there already, as far as each sector is written once only. */
  function idleUnits(): Uint8Array | undefined {
    const seen = new Set<number>();
    const idle = new Uint8Array(units.length);
    for (const [index, unit] of units.entries()) {
      if (unit.kind === 'directory') continue;
      const place = unit.inode * 2 ** 32 + Math.floor(unit.position / SECTOR);
      if (seen.has(place)) return undefined;
      seen.add(place);
      const there = durable.get(unit.inode) ?? new Uint8Array();
      idle[index] = unit.bytes.every((byte, i) => byte === (there[unit.position + i] ?? 0)) ? 1 : 0;
    }
    return idle;
  }

  /** Equal for equal disks, so that most of them need not be made. */
  function keyOf(keep: Uint8Array, damage: Damage, idle: Uint8Array): string {
    let mask = 0;
    let size = 0;
    for (let i = 0; i < keep.length; i += 1) {
      const unit = units[i] as Unit;
      const kept = keep[i] === 1;
      if (kept && damage === 'dropped' && unit.kind === 'data') size = Math.max(size, unit.position + unit.bytes.length);
      if (kept && (idle[i] === 0 || damage === 'garbage' || damage === 'block')) mask |= 1 << i;
    }
    // How long a file is shows the operations that have come, too.
    return `${base}:${units.length}:${damage}:${mask}:${size}`;
  }

  function cut(keep: Uint8Array, damage: Damage): Disk {
    const cutNames = new Map(names);
    units.forEach((unit, index) => {
      if (unit.kind === 'directory' && keep[index] === 1) applyToNames(unit.operation, cutNames);
    });
    const data = new Map<number, Uint8Array>();
    for (const inode of cutNames.values()) {
      let bytes: Uint8Array = (durable.get(inode) ?? new Uint8Array()).slice();
      const size = sizes.get(inode) ?? bytes.length;
      if (damage !== 'dropped' && size > bytes.length) bytes = overwritten(bytes, new Uint8Array(size - bytes.length), bytes.length);
      for (let index = 0; index < units.length; index += 1) {
        const unit = units[index] as Unit;
        if (unit.kind === 'data' && unit.inode === inode && keep[index] === 1) bytes = overwritten(bytes, unit.bytes, unit.position);
      }
      if (damage === 'garbage' || damage === 'block') {
        const unitSize = damage === 'garbage' ? SECTOR : BLOCK;
        for (let index = 0; index < units.length; index += 1) {
          const unit = units[index] as Unit;
          if (unit.kind !== 'data' || unit.inode !== inode || keep[index] === 1) continue;
          const from = unit.position - (unit.position % unitSize);
          bytes.fill(GARBAGE, from, from + unitSize);
        }
      }
      data.set(inode, bytes);
    }
    return { names: cutNames, data };
  }
}

/** Visits what is there when the process is killed: every operation before is done, and a write up to any sector. */
export function kills(start: Disk, operations: readonly Operation[], visit: (disk: Disk, done: number) => void): void {
  const names = new Map(start.names);
  const data = new Map([...start.data].map(([inode, bytes]) => [inode, bytes.slice()]));
  const show = (done: number): void => {
    visit({ names: new Map(names), data: new Map([...data].map(([inode, bytes]) => [inode, bytes.slice()])) }, done);
  };
  show(0);
  operations.forEach((operation, index) => {
    if (operation.kind === 'write') {
      const sectors = sectorsOf(operation);
      sectors.forEach((unit, at) => {
        applyUnit(unit, names, data);
        if (at < sectors.length - 1) show(index);
      });
    } else if (operation.kind === 'create') {
      data.set(operation.inode, new Uint8Array());
      applyToNames(operation, names);
    } else applyToNames(operation, names);
    show(index + 1);
  });
}

function sectorsOf({ inode, position, bytes }: Extract<Operation, { kind: 'write' }>): Extract<Unit, { kind: 'data' }>[] {
  const sectors: Extract<Unit, { kind: 'data' }>[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = Math.min(bytes.length, at + SECTOR - ((position + at) % SECTOR));
    sectors.push({ kind: 'data', inode, position: position + at, bytes: bytes.subarray(at, end) });
    at = end;
  }
  return sectors;
}

function applyUnit(unit: Unit, names: Map<string, number>, data: Map<number, Uint8Array>): void {
  if (unit.kind === 'directory') {
    applyToNames(unit.operation, names);
    return;
  }
  data.set(unit.inode, overwritten((data.get(unit.inode) ?? new Uint8Array()).slice(), unit.bytes, unit.position));
}

function applyToNames(operation: Operation, names: Map<string, number>): void {
  if (operation.kind === 'create' || operation.kind === 'link') names.set(operation.name, operation.inode);
  else if (operation.kind === 'remove') names.delete(operation.name);
  else if (operation.kind === 'rename') {
    const inode = names.get(operation.from);
    names.delete(operation.from);
    if (inode !== undefined) names.set(operation.to, inode);
  }
}

/** All subsets of `count` things, or where those are too many: all prefixes, singles and their complements, and random ones. */
function subsets(count: number, { random, samples, exhaustive }: Sampling, visit: (keep: Uint8Array, complete: boolean) => void): void {
  const keep = new Uint8Array(count);
  if (count <= exhaustive) {
    for (let mask = 0; mask < 2 ** count; mask += 1) {
      for (let i = 0; i < count; i += 1) keep[i] = (mask >> i) & 1;
      visit(keep, mask === 2 ** count - 1);
    }
    return;
  }
  for (let length = 0; length <= count; length += 1) {
    keep.fill(0).fill(1, 0, length);
    visit(keep, length === count);
  }
  for (let one = 0; one < count; one += 1) {
    keep.fill(0)[one] = 1;
    visit(keep, false);
    keep.fill(1)[one] = 0;
    visit(keep, false);
  }
  for (let i = 0; i < samples; i += 1) {
    const density = random();
    for (let at = 0; at < count; at += 1) keep[at] = random() < density ? 1 : 0;
    visit(keep, false);
  }
}

/** A structure of an image that readers look for: its first byte is never zero unless it is being changed. */
export interface Structure {
  readonly start: number;
  readonly end: number;
}

/** What an image may hold. */
export interface Versions {
  readonly before: Uint8Array;
  readonly after: Uint8Array;
  readonly structures: readonly Structure[];
}

export type Version = 'before' | 'after';

/** The steps of a checker that a seeded mistake replaces. */
export interface Steps {
  readonly recover: (fileSystem: FileSystem, force: boolean) => void;
  readonly read: (fileSystem: FileSystem) => Uint8Array;
}

export const REAL_STEPS: Steps = {
  recover(fileSystem, force) {
    const target = openTarget(fileSystem, IMAGE_PATH);
    try {
      recover(target, { force });
    } finally {
      closeTarget(target);
    }
  },
  read: (fileSystem) => readCommitted(fileSystem, IMAGE_PATH, (file) => file.read(0, Number(file.size))),
};

/** The first problem. */
export class Found extends Error {}

interface Verdict {
  /** The version of the image, or what is wrong. */
  readonly version: string;
  /** Readers and `recover` refuse it, since the disk holds what nobody wrote, and `recover --force` makes it so. */
  readonly isForced: boolean;
  readonly isMisleading: boolean;
}

/** Judges what is on the disk after a crash: it must read, and recover to, one of two versions of the image. */
export class Checker {
  /** States looked at, and how many of them with the eyes of a reader that knows nothing of journals, too. */
  states = 0;
  plainStates = 0;
  readonly problems: string[] = [];
  private readonly verdicts = new Map<number, Verdict>();
  private readonly known = new Map<string, Verdict>();

  readonly versions: Versions;
  private readonly steps: Steps;
  readonly machine: Machine;
  /** Throws {@link Found}. */
  private readonly stopsAtFirst: boolean;

  constructor(versions: Versions, steps: Steps = REAL_STEPS, machine: Machine = { boot: 1 }, stopsAtFirst = false) {
    this.versions = versions;
    this.steps = steps;
    this.machine = machine;
    this.stopsAtFirst = stopsAtFirst;
  }

  /** Number of states that differ. */
  get distinct(): number {
    return this.verdicts.size;
  }

  /**
   * @param boot of the machine after the crash
   * @param allowed versions that the image may have after it
   * @param plain also for readers that know nothing of journals: each structure is whole, or is no structure; and nothing is refused
   */
  check({ key, disk }: CutDisk, boot: number, allowed: readonly Version[], plain: boolean, where: () => string): void {
    this.states += 1;
    if (plain) this.plainStates += 1;
    const verdict = this.verdictOf(disk, boot, key);
    // What is refused is for somebody to decide: either version will do.
    if (!(verdict.isForced ? ['before', 'after'] : (allowed as readonly string[])).includes(verdict.version))
      this.report(`${where()}: ${verdict.version}, where ${allowed.join(' or ')} is allowed`);
    else if (plain && verdict.isForced) this.report(`${where()}: refused`);
    else if (plain && verdict.isMisleading) this.report(`${where()}: a plain reader takes a half-written structure for a whole one`);
  }

  private verdictOf(make: () => Disk, boot: number, key: string | undefined): Verdict {
    const known = key === undefined ? undefined : this.known.get(key);
    if (known !== undefined) return known;
    const disk = make();
    const print = fingerprint(disk, boot);
    let verdict = this.verdicts.get(print);
    if (verdict === undefined) {
      verdict = { ...this.judged(disk, boot), isMisleading: this.misleads(disk) };
      this.verdicts.set(print, verdict);
    }
    if (key !== undefined) this.known.set(key, verdict);
    return verdict;
  }

  /** The version that the disk reads as and recovers to, or what is wrong with it. */
  judged(disk: Disk, boot: number): Omit<Verdict, 'isMisleading'> {
    const machine = { ...this.machine, boot };
    try {
      const reading = new ModelFileSystem(disk, machine);
      const read = unlessForeign(() => this.versionOf(this.steps.read(reading), 'read'));
      if (reading.operations.length > 0) return { version: 'reading wrote', isForced: false };
      const fileSystem = new ModelFileSystem(copied(disk), machine);
      const isForced = unlessForeign(() => (this.steps.recover(fileSystem, false), true)) === undefined;
      if (isForced && fileSystem.operations.length > 0) return { version: 'refused after a write', isForced };
      if (isForced) this.steps.recover(fileSystem, true);
      const version = this.versionOf(fileSystem.contents(IMAGE) ?? new Uint8Array(), 'recovered');
      if (fileSystem.contents(JOURNAL) !== undefined) return { version: 'a journal is left', isForced };
      if (read !== (isForced ? undefined : version))
        return { version: `read as ${read ?? 'foreign'}, but recovered to ${version}`, isForced };
      return { version, isForced };
    } catch (error) {
      return { version: String(error), isForced: false };
    }
  }

  private versionOf(image: Uint8Array, how: string): string {
    if (Buffer.compare(image, this.versions.before) === 0) return 'before';
    if (Buffer.compare(image, this.versions.after) === 0) return 'after';
    throw new Error(`torn when ${how}`);
  }

  /** Whether a reader that knows nothing of journals is misled: structures can be seen that are not all of one version. */
  misleads(disk: Disk): boolean {
    return this.isMisleading(disk.data.get(IMAGE_INODE) ?? new Uint8Array());
  }

  private isMisleading(image: Uint8Array): boolean {
    const { before, after, structures } = this.versions;
    const visible = structures.filter(({ start }) => image[start] !== 0);
    const isOf = (version: Uint8Array): boolean =>
      visible.every(({ start, end }) => Buffer.compare(image.subarray(start, end), version.subarray(start, end)) === 0);
    return !isOf(before) && !isOf(after);
  }

  private report(problem: string): void {
    if (this.stopsAtFirst) throw new Found(problem);
    if (this.problems.length < 20) this.problems.push(problem);
  }
}

/** What `action` returns; undefined where it refuses what somebody else wrote, or the disk. */
function unlessForeign<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch (error) {
    if (error instanceof KdumpError && /^somebody else wrote|, which is damaged$/.test(error.problem)) return undefined;
    throw error;
  }
}

export function copied(disk: Disk): Disk {
  return { names: disk.names, data: new Map([...disk.data].map(([inode, bytes]) => [inode, bytes.slice()])) };
}

/** 52 bits of what is in the directory. */
function fingerprint({ names, data }: Disk, boot: number): number {
  let low = boot + 1;
  let high = names.size;
  for (const [name, inode] of names) {
    const bytes = data.get(inode) ?? new Uint8Array();
    low = Math.imul(low ^ bytes.length, 0x9e3779b1) + name.length;
    const count = bytes.length >> 2;
    const words = new Int32Array(bytes.buffer, bytes.byteOffset, count);
    for (let at = 0; at < count; at += 1) {
      const word = words[at] as number;
      low = Math.imul(low ^ word, 0x01000193);
      low ^= low >>> 15;
      high = Math.imul((high + word) | 0, 0x85ebca6b);
      high ^= high >>> 13;
    }
    for (let at = count * 4; at < bytes.length; at += 1) {
      low = Math.imul(low ^ (bytes[at] ?? 0), 0x01000193);
      high = Math.imul((high + (bytes[at] ?? 0)) | 0, 0x85ebca6b);
    }
  }
  return (low >>> 0) * 2 ** 20 + (high & 0xfffff);
}

/** What the real code does to a disk: the operations of one run of it. */
export interface Trace {
  readonly versions: Versions;
  readonly start: Disk;
  readonly operations: readonly Operation[];
  readonly machine: Machine;
  /** Which versions are promised once all operations are done. */
  readonly result: readonly Version[];
  /** The image is somebody's memory: it does not outlive the machine, so nobody expects that of a power cut. */
  readonly live: boolean;
}

/** Whether a marker is as it was written: in a sector that may hold anything, it may be anything. */
function leavesMarkers(damage: Damage): boolean {
  return damage === 'dropped' || damage === 'zeros';
}

/** Number of operations after which the image first holds all that is new, though it may not be on the disk yet. */
function wholeAfter({ start, operations, versions: { before, after } }: Trace): number {
  const data = new Map([[IMAGE_INODE, (start.data.get(IMAGE_INODE) ?? before).slice()]]);
  const isWhole = (): boolean => Buffer.compare(data.get(IMAGE_INODE) ?? before, after) === 0;
  const found = operations.findIndex((operation) => {
    if (operation.kind !== 'write' || operation.inode !== IMAGE_INODE) return false;
    applyUnit({ ...operation, kind: 'data' }, new Map(), data);
    return isWhole();
  });
  return found < 0 ? operations.length : found + 1;
}

/** Cuts the power and kills the process everywhere in `trace`, and checks what is left. @returns some of the states */
export function checkTrace(checker: Checker, trace: Trace, sampling: Sampling): Disk[] {
  const { start, operations, result, machine } = trace;
  // The new image may be seen once all of it was written, and has to be once everything is done.
  const whole = wholeAfter(trace);
  const allowed = (done: number): readonly Version[] =>
    done === operations.length ? result : done < whole ? ['before'] : ['before', 'after'];
  const interesting: Disk[] = [];
  if (!trace.live) {
    powerCuts(start, operations, sampling, (disk, done, damage) => {
      checker.check(disk, machine.boot + 1, allowed(done), leavesMarkers(damage), () => `cut after ${done}, ${damage}`);
      // What holds garbage is refused, and shows less of recovery.
      if (sampling.random() < RECOVERED * (leavesMarkers(damage) ? 4 : 1)) interesting.push(disk.disk());
    });
  }
  kills(start, operations, (disk, done) => {
    checker.check({ key: undefined, disk: () => disk }, machine.boot, allowed(done), true, () => `killed after ${done}`);
  });
  return interesting;
}

/**
 * Cuts the power everywhere in the recovery of `disk`, `depth` times over. Readers that know nothing of journals are never misled on the way, but
 * where what was found misled them already.
 */
export function checkRecovery(
  checker: Checker,
  disk: Disk,
  boot: number,
  steps: Steps,
  sampling: Sampling,
  depth: number,
  mistaken = (operations: readonly Operation[]): readonly Operation[] => operations,
): void {
  const { version, isForced } = checker.judged(disk, boot);
  const allowed = [version] as Version[];
  const fileSystem = new ModelFileSystem(copied(disk), { boot });
  steps.recover(fileSystem, isForced);
  const operations = mistaken(fileSystem.operations);
  const deeper: Disk[] = [];
  const plain = !isForced && !checker.misleads(disk);
  powerCuts(disk, operations, sampling, (cut, done, damage) => {
    checker.check(cut, boot + 1, allowed, plain && leavesMarkers(damage), () => `recovery cut after ${done}, ${damage}`);
    if (sampling.random() < RECOVERED) deeper.push(cut.disk());
  });
  kills(disk, operations, (cut, done) => {
    checker.check({ key: undefined, disk: () => cut }, boot, allowed, plain, () => `recovery killed after ${done}`);
  });
  if (depth > 1) for (const cut of deeper.slice(0, 3)) checkRecovery(checker, cut, boot + 1, steps, sampling, depth - 1);
}
