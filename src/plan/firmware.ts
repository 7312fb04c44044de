import { byStart, overlaps, type Range } from '../memory/range.js';
import { isStretch, storedEndingAfter, type RangePiece, type StoredRanges } from '../memory/range-list.js';

/**
 * Adds the firmware's memory as add_mem_range() of arch/powerpc/kexec/ranges.c does: a range that overlaps one in the list extends that one,
 * without joining it to its neighbours; else it is appended. Then ascending, unmerged.
 *
 * @param ram pieces of a RangeList
 * @param stated what the FDT describes
 * @param listed what the elfcorehdr lists as firmware: what the FDT does not describe of it stays
 */
export function withFirmware(
  ram: readonly RangePiece[],
  stored: StoredRanges,
  stated: readonly Range[],
  listed: readonly Range[],
): RangePiece[] {
  const pieces = [...ram];
  const appended: Range[] = [];
  const kept = listed.filter((range) => !stated.some((each) => overlaps(each, range)));
  for (const firmware of [...stated, ...kept]) {
    const at = separateOverlapping(pieces, stored, firmware);
    const place = at >= 0 ? at : appended.findIndex((range) => overlaps(range, firmware));
    const list: RangePiece[] = at >= 0 ? pieces : appended;
    const hit = list[place] as Range | undefined;
    if (hit === undefined) appended.push(firmware);
    else {
      list[place] = {
        start: firmware.start < hit.start ? firmware.start : hit.start,
        end: firmware.end > hit.end ? firmware.end : hit.end,
      };
    }
  }
  for (const range of appended.sort(byStart)) insert(pieces, stored, range);
  return pieces;
}

/** The first range of `pieces` that shares an address with `range`. */
export function firstOverlapping(pieces: readonly RangePiece[], stored: StoredRanges, range: Range): Range | undefined {
  for (const piece of pieces) {
    const index = isStretch(piece) ? storedEndingAfter(stored, piece, range.start) : 0;
    const found = !isStretch(piece) ? piece : index < piece.to ? stored.at(index) : undefined;
    if (found !== undefined && overlaps(found, range)) return found;
  }
  return undefined;
}

/** Makes a piece of its own of the first range that shares an address with `range`. @returns where it is, -1 where there is none */
function separateOverlapping(pieces: RangePiece[], stored: StoredRanges, range: Range): number {
  for (const [at, piece] of pieces.entries()) {
    if (!isStretch(piece)) {
      if (overlaps(piece, range)) return at;
      continue;
    }
    const index = storedEndingAfter(stored, piece, range.start);
    if (index === piece.to || !overlaps(stored.at(index), range)) continue;
    const before = index > piece.from ? [{ from: piece.from, to: index }] : [];
    const after = index + 1 < piece.to ? [{ from: index + 1, to: piece.to }] : [];
    pieces.splice(at, 1, ...before, stored.at(index), ...after);
    return at + before.length;
  }
  return -1;
}

/** Puts `range` behind all that start at or before it; it shares no address with any. */
function insert(pieces: RangePiece[], stored: StoredRanges, range: Range): void {
  const at = pieces.findIndex((piece) => (isStretch(piece) ? stored.at(piece.to - 1) : piece).start > range.start);
  const piece = pieces[at];
  if (piece === undefined) pieces.push(range);
  else if (!isStretch(piece)) pieces.splice(at, 0, range);
  else {
    const index = storedEndingAfter(stored, piece, range.start);
    const before = index > piece.from ? [{ from: piece.from, to: index }] : [];
    pieces.splice(at, 1, ...before, range, { from: index, to: piece.to });
  }
}
