import { KdumpError } from '../errors.js';
import { merged } from '../memory/range-set.js';
import type { Range } from '../memory/range.js';
import type { Mapping } from '../text/numbers.js';

const ENTRY = /^ {2}([0-9a-f]{16})-([0-9a-f]{16}) \(prio -?[0-9]+, ([a-z/ -]+)\): (.*?)(?: @([0-9a-f]{16}))?(?: KVM)?$/;

/** A line of a flat view. */
interface Entry {
  readonly range: Range;
  readonly kind: string;
  readonly name: string;
  readonly offset: bigint;
}

/**
 * Where the memory backend called `region` lies in the guest's physical memory, from `info mtree -f` of QEMU's monitor: the flat view of the
 * address space `memory`, whose lines are `START-END (prio N, KIND): NAME @OFFSET`, hexadecimal, END inclusive, without `@` at offset 0.
 *
 * @returns the pieces in ascending order, neighbours joined
 * @throws KdumpError `input` when the text has another form, or does not map the region
 */
export function mappingsOf(text: string, region: string): Mapping[] {
  const lines = linesOfMemory(text);
  if (lines === undefined) throw unreadable('no flat view of the address space "memory"');
  const mappings: Mapping[] = [];
  for (const entry of lines.map(entryOf)) {
    if (entry?.kind !== 'ram' || entry.name !== region) continue;
    const piece = { fileOffset: entry.offset, address: entry.range.start, size: entry.range.end - entry.range.start };
    const before = mappings.at(-1);
    if (before !== undefined && before.address + before.size === piece.address && before.fileOffset + before.size === piece.fileOffset) {
      mappings[mappings.length - 1] = { ...before, size: before.size + piece.size };
    } else mappings.push(piece);
  }
  if (mappings.length === 0) throw unreadable(`nothing of the memory backend ${region}`);
  return mappings;
}

/**
 * All physical addresses that have anything behind them, RAM or not, from the same text. What is in none of them is certainly no memory.
 *
 * @returns null where a line is not understood, or RAM is nowhere: then it is not known what else there is
 */
export function mappedRanges(text: string): readonly Range[] | null {
  const entries = (linesOfMemory(text) ?? []).map(entryOf);
  if (!entries.some((entry) => entry?.kind === 'ram')) return null;
  const ranges = entries.flatMap((entry) => (entry === undefined ? [] : [entry.range]));
  return ranges.length < entries.length ? null : merged(ranges);
}

/** The lines of mapped ranges in the address space `memory`. */
function linesOfMemory(text: string): string[] | undefined {
  return text
    .replaceAll('\r', '')
    .split(/\n(?=FlatView #)/)
    .find((each) => /^FlatView #[0-9]+$/m.test(each) && /^ AS "memory", root: system$/m.test(each))
    ?.split('\n')
    .filter((line) => line.startsWith('  '));
}

function entryOf(line: string): Entry | undefined {
  const [, first, last, kind, name, offset = '0'] = ENTRY.exec(line) ?? [];
  if (first === undefined || last === undefined || kind === undefined || name === undefined) return undefined;
  const range = { start: BigInt(`0x${first}`), end: BigInt(`0x${last}`) + 1n };
  return range.start >= range.end ? undefined : { range, kind, name, offset: BigInt(`0x${offset}`) };
}

function unreadable(found: string): KdumpError {
  return new KdumpError('input', 'the monitor does not tell where the RAM file lies in memory', {
    segment: 'info mtree -f',
    found,
    remedy: 'name the RAM file, with --base or --map',
  });
}
