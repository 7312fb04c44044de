import { KdumpError, hex } from '../errors.js';
import { ADDRESS_SPACE_END, SMALLEST_PAGE, formatRange } from '../memory/range.js';
import { excerpt } from '../text/excerpt.js';
import { MAX_SEGMENTS } from './segment.js';

/** A segment as a log has it (struct kexec_segment, include/uapi/linux/kexec.h). */
export interface KexecLogSegment {
  /** Physical address. */
  readonly mem: bigint;
  /** Bytes of memory. */
  readonly memsz: bigint;
  /** Bytes that were given for it; the rest of the memory was zeroed. */
  readonly bufsz: bigint;
}

/** What {@link parseKexecLog} finds; `segmentTable` of {@link OpenImageOptions} takes it as it is. */
export interface KexecLog {
  /** Ascending by address. */
  readonly segments: readonly KexecLogSegment[];
  /** Where the purgatory or kernel is entered, where the log says. */
  readonly entry: bigint | undefined;
  /** The other complete loads of the log that may be for a crash, latest first: one of them counts where this one is not what memory holds. */
  readonly others?: readonly KexecLog[];
}

/** Longest text, in characters. */
export const MAX_KEXEC_LOG: number = 4 * 1024 * 1024;
// A longer line is none of those that count, and would cost time to look at.
const LONGEST_LINE = 1024;

/** include/uapi/linux/kexec.h: the flag of a load for a crash; include/linux/kexec.h: its type. */
const KEXEC_ON_CRASH = 1n;
const KEXEC_TYPE_CRASH = 1;

const VALUE = '(0x[0-9a-fA-F]{1,16}|0|\\(nil\\))';
/** kexec/kexec.c, print_segments. */
const FIELD = new RegExp(`\\bsegment\\[(\\d{1,9})\\]\\.(buf|bufsz|mem|memsz)\\s*=\\s*(?:${VALUE}(?![0-9a-zA-Z])|)`);
/** kernel/kexec_file.c; before 6.8 it says "Loading segment 0:". The buffer's address may be hashed into anything. */
const KERNEL_SEGMENT = new RegExp(
  `\\bkexec(?:_file)?: (?:segment\\[(\\d{1,9})\\]|Loading segment (\\d{1,9})): buf=\\S* bufsz=${VALUE} mem=${VALUE} memsz=${VALUE}(?![0-9a-zA-Z])`,
);
const KERNEL_SEGMENT_START = /\bkexec(?:_file)?: (?:segment\[\d|Loading segment \d)/;
const LOAD = new RegExp(`\\bkexec_load: entry = ${VALUE}(?: flags = (0x[0-9a-fA-F]{1,16}|0)\\b)?`);
const KERNEL_LINE = /\bkexec(?:_file)?: /;
const FAILED = /\bkexec_load failed\b/;
const COUNT = /\bnr_segments = (\d{1,9})\b/;
const KERNEL_ENTRY = /\bkexec(?:_file)?_load: type:(\d{1,9}), start:(0x[0-9a-f]{1,16})\b/;

interface PartialSegment {
  readonly line: number;
  buf?: bigint;
  bufsz?: bigint;
  mem?: bigint;
  memsz?: bigint;
}

interface Load {
  readonly line: number;
  readonly segments: Map<number, PartialSegment>;
  count: number | undefined;
  entry: bigint | undefined;
  crash: boolean | undefined;
  failed: boolean;
}

/**
 * The segments of the last complete load in the output of `kexec -d`, or in a kernel log with the `kexec_file: segment[…]` lines of
 * kexec_file_load. All other lines are ignored, and so is a load for a reboot where there is one for a crash. Not every log says which is which:
 * the other loads that may be for a crash come as `others`.
 *
 * @throws KdumpError `input`, with the line number in `segment`: no complete load, or one whose segments overlap, are not page-aligned,
 *   have more buffer than memory, are empty or pass 2^64, or are more than 16
 */
export function parseKexecLog(text: string): KexecLog {
  if (text.length > MAX_KEXEC_LOG) {
    throw new KdumpError('input', 'kexec log is too long', { found: `${text.length} characters`, expected: `at most ${MAX_KEXEC_LOG}` });
  }
  const loads = readLoads(text);
  const complete = loads.filter((load) => gapOf(load) === undefined);
  const last = complete.findLast(({ crash }) => crash !== false) ?? complete.at(-1) ?? loads.at(-1);
  if (last === undefined) {
    throw new KdumpError('input', 'no segment in the kexec log', {
      expected: 'segment[0].mem = 0x… lines of kexec -d, or kexec_file: segment[0]: lines of the kernel',
      remedy: 'load the image with kexec -d (with -s: look in the kernel log)',
    });
  }
  const gap = gapOf(last);
  if (gap !== undefined) throw atLine(...gap);
  const others = complete.filter((load) => load !== last && load.crash !== false).reverse();
  return {
    segments: checkedSegments(last),
    entry: last.entry,
    ...(others.length === 0 ? {} : { others: others.slice(0, MAX_LOADS).flatMap(otherLoad) }),
  };
}

/** More loads than anybody tries one after the other; all are looked at in the memory. */
const MAX_LOADS = 64;

/** A load that is damaged cannot be the one that counts. */
function otherLoad(load: Load): KexecLog[] {
  try {
    return [{ segments: checkedSegments(load), entry: load.entry }];
  } catch (error) {
    if (error instanceof KdumpError) return [];
    throw error;
  }
}

function readLoads(text: string): Load[] {
  const loads: Load[] = [];
  let number = 0;
  for (const line of text.split('\n')) {
    number += 1;
    if (line.length <= LONGEST_LINE) readLine(line, number, loads);
  }
  return loads;
}

function readLine(line: string, number: number, loads: Load[]): void {
  const begin = (): Load => {
    const load: Load = { line: number, segments: new Map(), count: undefined, entry: undefined, crash: undefined, failed: false };
    loads.push(load);
    return load;
  };
  const load = loads.at(-1);
  const [, entry, flags] = LOAD.exec(line) ?? [];
  if (entry !== undefined) {
    const started = begin();
    started.entry = parseValue(entry);
    if (flags !== undefined) started.crash = (BigInt(flags) & KEXEC_ON_CRASH) !== 0n;
    return;
  }
  if (FAILED.test(line)) {
    (load ?? begin()).failed = true;
    return;
  }
  const [, count] = COUNT.exec(line) ?? [];
  if (count !== undefined) {
    const fresh = load === undefined || (load.segments.size > 0 && !isReprint(load, line)) ? begin() : load;
    fresh.count = Number(count);
    return;
  }
  const [, type, start] = KERNEL_ENTRY.exec(line) ?? [];
  if (type !== undefined && load !== undefined) {
    load.entry = parseValue(start);
    load.crash = Number(type) === KEXEC_TYPE_CRASH;
    return;
  }
  const fields = line.includes('egment') ? readFields(line, number) : undefined;
  if (fields === undefined) return;
  if (load === undefined) addFields(begin(), fields, number);
  else if (!isReprint(load, line)) addFields(load.failed || repeats(load, fields) ? begin() : load, fields, number);
}

/** Whether `line` is of the table that kexec prints a second time when a load failed. */
function isReprint(load: Load, line: string): boolean {
  return load.failed && !KERNEL_LINE.test(line);
}

interface Fields {
  readonly index: number;
  readonly values: Partial<Record<'buf' | 'bufsz' | 'mem' | 'memsz', bigint>>;
}

function readFields(line: string, number: number): Fields | undefined {
  const kernel = KERNEL_SEGMENT.exec(line);
  if (kernel !== null) {
    return {
      index: Number(kernel[1] ?? kernel[2]),
      values: { buf: 0n, bufsz: parseValue(kernel[3]), mem: parseValue(kernel[4]), memsz: parseValue(kernel[5]) },
    };
  }
  const user = FIELD.exec(line);
  if (user?.[3] !== undefined) return { index: Number(user[1]), values: { [user[2] ?? '']: parseValue(user[3]) } };
  if (user !== null || KERNEL_SEGMENT_START.test(line)) {
    throw atLine(number, 'damaged segment line', excerpt(line.trim()), 'hexadecimal values after =');
  }
  return undefined;
}

function repeats(load: Load, { index, values }: Fields): boolean {
  const segment = load.segments.get(index);
  return segment !== undefined && Object.keys(values).some((name) => segment[name as keyof Fields['values']] !== undefined);
}

function addFields(load: Load, { index, values }: Fields, line: number): void {
  if (index >= MAX_SEGMENTS) {
    throw atLine(line, 'too many segments', `segment[${index}]`, `at most ${MAX_SEGMENTS}, which is all the kernel takes`);
  }
  const segment = load.segments.get(index) ?? { line };
  Object.assign(segment, values);
  load.segments.set(index, segment);
}

/** What is missing from the load, or undefined where it is complete. */
function gapOf(load: Load): Gap | undefined {
  if (load.failed) return [load.line, 'kexec could not load the image', 'kexec_load failed', 'a load that succeeded'];
  const count = load.count ?? load.segments.size;
  if (load.segments.size === 0) return [load.line, 'load without segments', 'none', 'at least one'];
  for (let index = 0; index < Math.max(count, load.segments.size); index += 1) {
    const segment = load.segments.get(index);
    if (segment === undefined) {
      return [load.line, 'incomplete load', `${load.segments.size} segments without segment[${index}]`, `${count} segments`];
    }
    for (const name of ['mem', 'memsz', 'bufsz'] as const) {
      if (segment[name] === undefined) return [segment.line, 'incomplete segment', `segment[${index}] without ${name}`, 'all of its lines'];
    }
  }
  if (load.segments.size > count) return [load.line, 'load with too many segments', `${load.segments.size}`, `${count}`];
  return undefined;
}

function checkedSegments(load: Load): KexecLogSegment[] {
  const segments = [...load.segments.values()]
    .map(({ line, mem = 0n, memsz = 0n, bufsz = 0n }) => ({ line, mem, memsz, bufsz }))
    .sort((a, b) => (a.mem < b.mem ? -1 : a.mem > b.mem ? 1 : a.line - b.line));
  segments.forEach(({ line, mem, memsz, bufsz }, index) => {
    // The kernel refuses others (sanity_check_segment_list in kernel/kexec_core.c).
    if (mem % SMALLEST_PAGE !== 0n) throw atLine(line, 'segment does not begin on a page', hex(mem), `a multiple of ${hex(SMALLEST_PAGE)}`);
    if (memsz === 0n) throw atLine(line, 'segment without memory', 'memsz 0', 'at least one byte');
    if (bufsz > memsz) throw atLine(line, 'segment has more buffer than memory', `bufsz ${hex(bufsz)}`, `at most memsz ${hex(memsz)}`);
    if (mem + memsz > ADDRESS_SPACE_END)
      throw atLine(line, 'segment passes the end of the address space', hex(mem + memsz), 'at most 2^64');
    const before = segments[index - 1];
    if (before !== undefined && before.mem + before.memsz > mem) {
      throw atLine(
        line,
        'overlapping segments',
        formatRange({ start: mem, end: mem + memsz }),
        `a start of at least ${hex(before.mem + before.memsz)}, the end of the segment of line ${before.line}`,
      );
    }
  });
  return segments.map(({ mem, memsz, bufsz }) => ({ mem, memsz, bufsz }));
}

function parseValue(text: string | undefined): bigint {
  return text === undefined || text === '(nil)' ? 0n : BigInt(text);
}

type Gap = Parameters<typeof atLine>;

function atLine(line: number, problem: string, found: string, expected: string): KdumpError {
  return new KdumpError('input', problem, { segment: `line ${line}`, found, expected });
}
