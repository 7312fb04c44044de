import { KdumpError } from '../errors.js';
import { byStart, contains, formatRange, intersection, overlaps, type Range } from '../memory/range.js';
import { excerpt } from '../text/excerpt.js';

/** A resource of /proc/iomem with the resources inside it. */
export interface IomemEntry {
  readonly range: Range;
  readonly name: string;
  /** 0 at the top level. */
  readonly depth: number;
  readonly children: readonly IomemEntry[];
}

/** A piece of a range, and the innermost resource that it lies in. */
export interface NestedPiece {
  readonly range: Range;
  readonly entry: IomemEntry;
}

/** Longest text, in characters. */
export const MAX_IOMEM_TEXT: number = 2 * 1024 * 1024;
const LONGEST_LINE = 1024;
const LINE = /^( *)([0-9a-f]{1,16})-([0-9a-f]{1,16}) : ?(.*)$/;
const FORMAT = '"START-END : name" with hexadecimal addresses, indented by two blanks a level';

interface OpenEntry extends IomemEntry {
  readonly children: OpenEntry[];
}

/**
 * /proc/iomem as a tree. A line is `START-END : name`: hexadecimal without 0x, END inclusive, two blanks more for each level
 * (kernel/resource.c, r_show).
 *
 * @returns the top-level resources in the order of the text
 * @throws KdumpError `input`, with the line number in `segment`, for text of another form, a resource that is not inside the one it is
 *   nested in, one that overlaps another of its level, addresses that are all zero (as the kernel shows them to readers without
 *   CAP_SYS_ADMIN), or no System RAM
 */
export function parseIomem(text: string): IomemEntry[] {
  if (text.length > MAX_IOMEM_TEXT) {
    throw new KdumpError('input', 'memory map is too long', { found: `${text.length} characters`, expected: `at most ${MAX_IOMEM_TEXT}` });
  }
  const top: OpenEntry[] = [];
  const open: OpenEntry[] = [];
  const lines = new Map<IomemEntry, number>();
  let allZero = true;
  let ram = false;
  let number = 0;
  for (const line of text.split('\n')) {
    number += 1;
    if (line.trim() === '') continue;
    const entry = parseLine(line.endsWith('\r') ? line.slice(0, -1) : line, number);
    lines.set(entry, number);
    if (entry.depth > open.length) throw atLine(number, 'indented too far', `${entry.depth * 2} blanks`, `at most ${open.length * 2}`);
    open.length = entry.depth;
    const parent = open.at(-1);
    if (parent !== undefined && !contains(parent.range, entry.range)) {
      throw atLine(
        number,
        'resource is not inside the one it is nested in',
        formatRange(entry.range),
        `inside ${formatRange(parent.range)} (${excerpt(parent.name)})`,
      );
    }
    (parent?.children ?? top).push(entry);
    open.push(entry);
    allZero &&= entry.range.start === 0n && entry.range.end === 1n;
    ram ||= isSystemRam(entry);
  }
  if (top.length > 0 && allZero) {
    throw new KdumpError('input', 'all addresses of the memory map are zero, as the kernel shows them without privilege', {
      found: '00000000-00000000 on every line',
      remedy: 'read /proc/iomem as root',
    });
  }
  refuseOverlaps(top, lines);
  if (!ram) throw new KdumpError('input', 'no System RAM in the memory map', { expected: 'the contents of /proc/iomem' });
  return top;
}

/**
 * All System RAM, at whatever depth, ascending; adjacent ranges stay apart as the kernel keeps them.
 *
 * `System RAM (kmem)`, `System RAM (virtio_mem)` and the like count: a driver added that memory, and the kernel dumps it as any other
 * (mm/memory_hotplug.c, add_memory_driver_managed). `System RAM (boot alias)` is other memory a second time.
 */
export function systemRam(entries: readonly IomemEntry[]): Range[] {
  return rangesOf(entries, isSystemRam);
}

/** The memory reserved for the crash kernel, ascending: none, one, or two where a part lies below 4 GiB. */
export function crashKernelRanges(entries: readonly IomemEntry[]): Range[] {
  return rangesOf(entries, ({ name }) => name === 'Crash kernel');
}

/**
 * What lies in `range`: its pieces, ascending, each with the innermost resource that covers it. Addresses without a resource are left out.
 */
export function nestedIn(entries: readonly IomemEntry[], range: Range): NestedPiece[] {
  const pieces: NestedPiece[] = [];
  const touched = entries.flatMap((entry) => {
    const part = intersection(entry.range, range);
    return part === undefined ? [] : [{ entry, part }];
  });
  for (const { entry, part } of touched.sort((one, other) => byStart(one.entry.range, other.entry.range))) {
    let { start } = part;
    for (const piece of nestedIn(entry.children, part)) {
      if (piece.range.start > start) pieces.push({ range: { start, end: piece.range.start }, entry });
      pieces.push(piece);
      if (piece.range.end > start) start = piece.range.end;
    }
    if (start < part.end) pieces.push({ range: { start, end: part.end }, entry });
  }
  return pieces;
}

function parseLine(line: string, number: number): OpenEntry {
  if (line.length > LONGEST_LINE) throw atLine(number, 'line is too long', `${line.length} characters`, `at most ${LONGEST_LINE}`);
  const [, indent, first, last, name] = LINE.exec(line) ?? [];
  if (indent === undefined || first === undefined || last === undefined || name === undefined || indent.length % 2 !== 0) {
    throw atLine(number, 'not a line of /proc/iomem', excerpt(line), FORMAT);
  }
  const range = { start: BigInt(`0x${first}`), end: BigInt(`0x${last}`) + 1n };
  if (range.end <= range.start) throw atLine(number, 'resource ends before it starts', `${first}-${last}`, 'START at most END');
  return { range, name, depth: indent.length / 2, children: [] };
}

/** Whether a resource is memory of the kernel itself, not something in it. */
export function isSystemRam({ name }: IomemEntry): boolean {
  return name === 'System RAM' || (name.startsWith('System RAM (') && name !== 'System RAM (boot alias)');
}

function rangesOf(entries: readonly IomemEntry[], wanted: (entry: IomemEntry) => boolean): Range[] {
  const found = (entry: IomemEntry): Range[] => (wanted(entry) ? [entry.range] : entry.children.flatMap(found));
  return entries.flatMap(found).sort(byStart);
}

/**
 * The kernel's resources of one level never overlap (__request_resource in kernel/resource.c). It lists them by their number (r_start), so one that
 * comes while a program reads makes the next piece begin with lines that were read before, and is itself missing: such a text is no list of any
 * moment, and taking each line once would not make it one.
 */
function refuseOverlaps(siblings: readonly IomemEntry[], lines: ReadonlyMap<IomemEntry, number>): void {
  const lineOf = (entry: IomemEntry): number => lines.get(entry) ?? 0;
  const ascending = [...siblings].sort((a, b) => byStart(a.range, b.range));
  ascending.forEach((entry, index) => {
    const before = ascending[index - 1];
    if (before !== undefined && overlaps(before.range, entry.range)) {
      const [first, second] = lineOf(before) < lineOf(entry) ? [before, entry] : [entry, before];
      throw atLine(
        lineOf(second),
        'resource overlaps another one of its level',
        `${formatRange(second.range)} (${excerpt(second.name)}), and on line ${lineOf(first)} ${formatRange(first.range)} (${excerpt(first.name)})`,
        'each address once',
        'read /proc/iomem again: a list that changes while it is read has lines twice, and lacks others',
      );
    }
    refuseOverlaps(entry.children, lines);
  });
}

function atLine(line: number, problem: string, found: string, expected: string, remedy?: string): KdumpError {
  return new KdumpError('input', problem, { segment: `line ${line}`, found, expected, ...(remedy === undefined ? {} : { remedy }) });
}
