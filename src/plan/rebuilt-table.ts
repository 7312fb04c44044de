import { KdumpError } from '../errors.js';
import { P_MEMSZ, P_PADDR, type ProgramHeaderTable, type TablePart } from '../elf/program-header-table.js';
import type { Range } from '../memory/range.js';
import { isStretch, type RangePiece } from '../memory/range-list.js';
import { loadFor } from '../description/crash-memory.js';
import type { RamRanges } from '../description/crash-ram.js';
import { KIND, hasNoAddress, indexesOf, isTooLongAt, type CrashTable } from '../description/crash-table.js';

/**
 * The program headers for the memory of `pieces`: those that stay as they are keep their bytes, the others are made as the kernel makes them.
 *
 * @throws KdumpError `refused` when one has to be made and no PT_LOAD tells where the kernel maps memory
 */
export function rebuiltTable(crash: CrashTable, ram: RamRanges, pieces: readonly RangePiece[], keepsBackup: boolean): ProgramHeaderTable {
  const parts = new Parts();
  parts.addRun(0, crash.noteCount);
  for (const kind of keepsBackup ? [KIND.kernelText, KIND.backup] : [KIND.kernelText]) {
    for (const index of indexesOf(crash, kind)) parts.addRun(index, index + 1);
  }
  const unchanged = unchangedLoads(crash, ram, pieces);
  for (const piece of pieces) {
    if (!isStretch(piece)) addLoad(parts, crash, piece, unchanged.get(piece.start));
    else {
      for (let at = piece.from; at < piece.to; at += 1) {
        const index = ram.indexAt(at);
        if (hasNoAddress(crash.table, index) || isTooLongAt(crash.table, index)) addLoad(parts, crash, ram.at(at), undefined);
        else parts.addRun(index, index + 1);
      }
    }
  }
  for (const index of indexesOf(crash, KIND.other)) parts.addRun(index, index + 1);
  return crash.table.assembled(parts.list);
}

function addLoad(parts: Parts, { table, linearOffset }: CrashTable, range: Range, index: number | undefined): void {
  if (index !== undefined && table.value(index, P_MEMSZ) === range.end - range.start && !hasNoAddress(table, index)) {
    parts.addRun(index, index + 1);
    return;
  }
  if (linearOffset === null) {
    throw new KdumpError('refused', 'no PT_LOAD tells where the kernel maps memory', {
      segment: 'elfcorehdr',
      remedy: 'reload the kdump image',
    });
  }
  parts.list.push(loadFor(range, linearOffset));
}

/** Indexes of the program headers of RAM and firmware that begin where one of `pieces` does. */
function unchangedLoads(crash: CrashTable, ram: RamRanges, pieces: readonly RangePiece[]): Map<bigint, number> {
  const starts = new Set(pieces.flatMap((piece) => (isStretch(piece) ? [] : [piece.start])));
  const found = new Map<bigint, number>();
  const add = (index: number): void => {
    const start = crash.table.value(index, P_PADDR);
    if (starts.has(start)) found.set(start, Math.max(index, found.get(start) ?? 0));
  };
  for (const start of starts) {
    const at = ram.lastStartingAtOrBefore(start);
    if (at >= 0) add(ram.indexAt(at));
  }
  for (const index of indexesOf(crash, KIND.firmware)) add(index);
  return found;
}

/** Parts of a new table, with runs that follow each other joined. */
class Parts {
  readonly list: TablePart[] = [];
  private last: { from: number; to: number } | undefined;

  addRun(from: number, to: number): void {
    if (from === to) return;
    if (this.last?.to === from && this.last === this.list.at(-1)) this.last.to = to;
    else this.list.push((this.last = { from, to }));
  }
}
