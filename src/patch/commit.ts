import { randomBytes } from 'node:crypto';
import type { ErrorCode } from '../codes.js';
import { KdumpError } from '../errors.js';
import { equalBytes } from '../bytes/compare.js';
import type { InputFile } from '../file/input-file.js';
import { bootIdOf, journalNameOf } from '../journal/find-journal.js';
import { encodeJournal, type Journal, type JournalRecord } from '../journal/journal.js';
import { isStillInPlace, type PatchTarget } from './target.js';

/** What is written: exact runs, ascending and disjoint, and the first byte of each structure that is made invalid meanwhile. */
export interface Patch {
  readonly runs: readonly JournalRecord[];
  readonly markers: readonly number[];
}

export interface CommitOptions {
  /** Somebody maps the file, such as a running guest: not a byte is written that does not change. */
  readonly live: boolean;
}

const SECTOR = 4096;

/** A patch whose journal is on the disk already. */
export interface PreparedPatch {
  /**
   * Writes it, reads it back and removes the journal.
   *
   * @throws KdumpError `refused` when the bytes to be patched changed since; `io`: the image is as it was, or the message says that `recover`
   *   makes it so
   */
  write(): void;
  /** Brings the end of the patch to the disk. @throws KdumpError `io` */
  finish(): void;
  /** Gives it up unwritten. @throws KdumpError `io` */
  abandon(): void;
}

/**
 * Writes `patch` so that whatever happens the file has all of it or none: a rollback journal beside the file reaches the disk before the first
 * byte of the image is written, and is removed once everything was read back.
 *
 * While bytes change, the first byte of each structure is zero: nobody can take a half-written header for a whole one.
 *
 * @throws KdumpError `refused` when the file changed since it was read; `io` otherwise: the image is as it was, or the message says that
 *   `recover` makes it so
 */
export function commitPatch(target: PatchTarget, patch: Patch, options: CommitOptions): void {
  const prepared = preparePatch(target, patch, options);
  prepared.write();
  prepared.finish();
}

/**
 * Everything of {@link commitPatch} that can be done while a guest still runs.
 *
 * @param isRepeated the bytes to be patched are looked at once more in `write`, which is long after
 * @throws KdumpError as {@link commitPatch}
 */
export function preparePatch(target: PatchTarget, patch: Patch, { live }: CommitOptions, isRepeated = false): PreparedPatch {
  const { fileSystem, file, directory, name, status } = target;
  refuseChanged(target, patch);
  const runs = withMarkerBytes(target, patch);
  const records = live ? runs : widened(target, runs);
  writeJournal(target, {
    kind: 'journal',
    live,
    transaction: randomBytes(16),
    image: status,
    bootId: bootIdOf(fileSystem),
    records,
    markers: patch.markers,
  });
  const write = (): void => {
    let touched = false;
    try {
      if (isRepeated) refuseChanged(target, { ...patch, runs });
      // A hole may turn out not to fit the disk: filling it with what it holds already finds out while nothing is at stake.
      if (!live && status.allocated < status.size) writeAll(target, sideOf(records, 'before'));
      touched = true;
      writeMarked(target, sideOf(runs, 'after'), patch.markers, live);
      if (!isStillInPlace(target)) {
        throw new KdumpError('io', 'the file was replaced while it was patched', {
          code: 'changed',
          file: file.path,
          remedy: 'the file that has this name now was not touched',
        });
      }
      fileSystem.removeIn(directory, journalNameOf(name));
    } catch (error) {
      throw rolledBack(target, touched ? records : [], patch.markers, live, error);
    }
  };
  const finish = (): void => {
    try {
      fileSystem.sync(directory);
    } catch (error) {
      throw withRemedy(error, 'the change is made and read back; only a power cut now could still take it back');
    }
  };
  const abandon = (): void => {
    fileSystem.removeIn(directory, journalNameOf(name));
    fileSystem.sync(directory);
  };
  return { write, finish, abandon };
}

function refuseChanged({ file }: PatchTarget, { runs }: Patch): void {
  for (const { position, before } of runs) {
    if (!equalBytes(file.read(position, before.length), before)) {
      throw new KdumpError('refused', 'the image changed while the change was planned', {
        file: file.path,
        offset: position,
        found: 'other bytes than before',
        remedy: 'nothing was written; stop whoever else writes to it and try again',
      });
    }
  }
}

const MARKER = Uint8Array.of(0);

export interface Write {
  readonly position: number;
  readonly bytes: Uint8Array;
}

/** A failing disk may damage the rest of a sector that it writes, so the journal holds whole ones. */
function widened({ file }: PatchTarget, runs: readonly JournalRecord[]): JournalRecord[] {
  const blocks: { start: number; end: number }[] = [];
  for (const { position, before } of runs) {
    const start = position - (position % SECTOR);
    const end = Math.min(Number(file.size), Math.ceil((position + before.length) / SECTOR) * SECTOR);
    const last = blocks.at(-1);
    if (last !== undefined && start <= last.end) last.end = Math.max(last.end, end);
    else blocks.push({ start, end });
  }
  return blocks.map(({ start, end }) => {
    const before = file.read(start, end - start);
    const after = Uint8Array.from(before);
    for (const run of runs) if (run.position >= start && run.position < end) after.set(run.after, run.position - start);
    return { position: start, before, after };
  });
}

function writeJournal({ fileSystem, directory, name, status }: PatchTarget, journal: Journal): void {
  const bytes = encodeJournal(journal);
  const journalName = journalNameOf(name);
  const descriptor = fileSystem.openIn(directory, journalName, 'create');
  try {
    try {
      // Whoever may read the image may need the journal to read it rightly.
      fileSystem.setAttributes(descriptor, { user: status.user, group: status.group, mode: (status.mode & 0o444) | 0o600 });
      fileSystem.write(descriptor, bytes, 0);
      fileSystem.sync(descriptor);
    } finally {
      fileSystem.close(descriptor);
    }
    fileSystem.sync(directory);
  } catch (error) {
    fileSystem.removeIn(directory, journalName);
    throw error;
  }
}

function sideOf(records: readonly JournalRecord[], side: 'before' | 'after'): Write[] {
  return records.map((record) => ({ position: record.position, bytes: record[side] }));
}

function writeAll({ fileSystem, file }: PatchTarget, writes: readonly Write[], live = false): void {
  if (writes.length === 0) return;
  for (const { position, bytes } of writes) fileSystem.write(file.descriptor, bytes, position);
  // A guest's memory ends with the host, so it need not reach the disk; and all that the guest wrote would go there first, while it waits.
  if (!live) fileSystem.sync(file.descriptor);
}

/** The runs, and a run for each marker that lies in none: its byte ends as it began. */
function withMarkerBytes({ file }: PatchTarget, { runs, markers }: Patch): JournalRecord[] {
  const alone = markers.filter((marker) => !runs.some(({ position, after }) => marker >= position && marker < position + after.length));
  const added = alone.map((position): JournalRecord => {
    const byte = file.read(position, 1);
    return { position, before: byte, after: byte };
  });
  return [...runs, ...added].sort((a, b) => a.position - b.position);
}

/** What is written while the markers stand, and what replaces them in the end. */
function split(writes: readonly Write[], markers: readonly number[]): { bodies: Write[]; firstBytes: Write[] } {
  const bodies: Write[] = [];
  const firstBytes: Write[] = [];
  for (const { position, bytes: after } of writes) {
    let start = position;
    for (const marker of markers.filter((each) => each >= position && each < position + after.length).sort((a, b) => a - b)) {
      if (marker > start) bodies.push({ position: start, bytes: after.subarray(start - position, marker - position) });
      firstBytes.push({ position: marker, bytes: after.subarray(marker - position, marker - position + 1) });
      start = marker + 1;
    }
    if (start < position + after.length) bodies.push({ position: start, bytes: after.subarray(start - position) });
  }
  return { bodies, firstBytes };
}

/** Zeroes the markers, writes everything else, reads it back, and only then writes the first bytes: each step reaches the disk before the next. */
function writeMarked(target: PatchTarget, writes: readonly Write[], markers: readonly number[], live: boolean): void {
  const { bodies, firstBytes } = split(writes, markers);
  writeAll(
    target,
    markers.map((position) => ({ position, bytes: MARKER })),
    live,
  );
  writeAll(target, bodies, live);
  readBack(target.file, bodies);
  writeAll(target, firstBytes, live);
  readBack(target.file, firstBytes);
}

/** Whether `recover` would find something; where it cannot be told, it would. */
function hasJournal({ fileSystem, directory, name }: PatchTarget): boolean {
  try {
    return fileSystem.statusIn(directory, journalNameOf(name)) !== undefined;
  } catch {
    return true;
  }
}

/** @throws KdumpError `io` when the file does not hold `writes` */
export function readBack(file: InputFile, writes: readonly Write[]): void {
  for (const { position, bytes } of writes) {
    if (!equalBytes(file.read(position, bytes.length), bytes)) {
      throw new KdumpError('io', 'what was written reads back differently', { code: 'verify-failed', file: file.path, offset: position });
    }
  }
}

/** Puts the old bytes back after a failure; where that fails too, the journal stays for `recover`. */
function rolledBack(
  target: PatchTarget,
  records: readonly JournalRecord[],
  markers: readonly number[],
  live: boolean,
  error: unknown,
): unknown {
  try {
    writeBack(target, records, markers, 'before', live);
    return error;
  } catch {
    if (!hasJournal(target)) return error;
    return withRemedy(
      error,
      'the image is half written and its journal beside it is whole: run recover once the cause is gone',
      'interrupted',
    );
  }
}

function withRemedy(error: unknown, remedy: string, code?: ErrorCode): KdumpError {
  const { problem, details } = error instanceof KdumpError ? error : new KdumpError('io', String(error));
  return new KdumpError('io', problem, { ...details, ...(code === undefined ? {} : { code }), remedy, cause: error });
}

/** Writes one side of every record, and removes the journal once that is on the disk. */
export function writeBack(
  target: PatchTarget,
  records: readonly JournalRecord[],
  markers: readonly number[],
  side: 'before' | 'after',
  live: boolean,
): void {
  const { fileSystem, directory, name } = target;
  writeMarked(target, sideOf(records, side), records.length === 0 ? [] : markers, live);
  fileSystem.removeIn(directory, journalNameOf(name));
  fileSystem.sync(directory);
}
