import { hex, printable } from '../../errors.js';
import { elfcorehdrSize } from '../../elf/elfcorehdr.js';
import { crashMemoryOf, type CrashMemory, type CrashMemoryRange } from '../../description/crash-memory.js';
import type { Finding } from '../../check/finding.js';
import { capacityOf, fdtFreeSize, knownCpus } from '../../description/capacity.js';
import { coveredSegments, type DigestStatus } from '../../check/verify-digest.js';
import type { KdumpImage } from '../../image/image.js';
import { CONTAINERS } from '../../container/recognise.js';
import { segmentRange } from '../../kexec/segment.js';
import { byStart, formatRange, sameRange, sizeOf, type Range } from '../../memory/range.js';
import { totalSize } from '../../memory/range-set.js';
import { formatSize } from '../../text/numbers.js';
import { idList } from '../../text/id-list.js';
import { drawMap, drawPlace } from './draw-map.js';
import { renderFindings } from './render-findings.js';
import { columns, fold, restLine, wrapped } from './table.js';
import type { Theme } from './theme.js';

/** Lines of ranges on a terminal without --verbose, so that the usual image fits a screen. */
const MOST_RANGES = 10;
/** Of each kind. */
const MOST_FINDINGS = 2;
const INDENT = '  ';
/** Narrower, a bar says nothing. */
const NARROWEST_BAR = 10;
/** From here on there is room for what is rarely needed. */
const WIDE = 120;

/** What `inspect` says to people: what it is, is it sound, what a dump covers, which CPUs, how much room is left; and where the segments are. */
export function renderInspect(image: KdumpImage, digest: DigestStatus, findings: readonly Finding[], theme: Theme): string {
  const page = image.pageSize === null ? '' : `, ${formatSize(image.pageSize)} pages`;
  const crash = crashMemoryOf(image);
  const name = printable(image.memory.path);
  return [
    wrapped(`${name}: ${CONTAINERS[image.format].imageName}, ${image.architecture.name}${page}`, theme).replace(name, theme.heading),
    soundLine(image, digest, findings, theme),
    ...renderFindings(
      findings.filter(({ severity }) => severity !== 'info'),
      theme,
      MOST_FINDINGS,
    ),
    '',
    ...memoryLines(image, crash, theme),
    '',
    ...cpuLines(image, crash, theme),
    ...roomLines(image, theme),
    '',
    ...segmentLines(image, theme),
    ...image.provenance.map((note) => theme.faint(wrapped(`(${note})`, theme))),
  ].join('\n');
}

function soundLine(image: KdumpImage, digest: DigestStatus, findings: readonly Finding[], theme: Theme): string {
  const isSound = findings.every(({ severity }) => severity !== 'error');
  const verdict = isSound ? 'Sound' : 'Not sound';
  const covers = coveredSegments(image);
  const what = covers.length === 0 ? '' : ` of ${covers.join(', ')}:`;
  const how = image.purgatory === null ? '' : `; digest${what} ${digest}${digest === 'unchecked' ? ' (--verify)' : ''}`;
  return wrapped(verdict + how, theme).replace(verdict, isSound ? theme.added : theme.removed);
}

function memoryLines(image: KdumpImage, { ranges, vmcoreinfo, kernelText }: CrashMemory, theme: Theme): string[] {
  const sorted = [...ranges].sort((a, b) => byStart(a.range, b.range));
  const total = totalSize(sorted.map(({ range }) => range));
  const heading = 'Memory in the dump';
  const facts = [
    `${formatSize(total)} in ${ranges.length} ${ranges.length === 1 ? 'range' : 'ranges'}`,
    vmcoreinfo === null ? 'no vmcoreinfo' : `vmcoreinfo at ${hex(vmcoreinfo.paddr)}`,
    ...(kernelText === null ? [] : [`kernel text at ${hex(kernelText.paddr)}`]),
  ];
  const { shown, rest } = fold(sorted, MOST_RANGES, theme);
  const map = drawMap(
    sorted.map(({ range }) => range),
    image.crashKernelRanges,
    theme.columns - 2 * INDENT.length,
    theme,
  );
  return [
    wrapped(`${heading}  ${facts.join(', ')}`, theme).replace(heading, theme.heading),
    ...map.map((line) => INDENT + line),
    ...columns(shown.map(memoryRow), [1]),
    ...(rest.length === 0 ? [] : [restLine(`${INDENT}and ${rest.length} more, ${sizeInAll(rest)}`, theme)]),
  ];
}

function memoryRow({ kind, range, programHeader }: CrashMemoryRange): string[] {
  const what = kind === 'ram' ? '' : kind === 'backup' ? `backup, contents at ${hex(programHeader.offset)}` : kind;
  return [INDENT + formatRange(range), formatSize(sizeOf(range)), what];
}

function sizeInAll(ranges: readonly CrashMemoryRange[]): string {
  return formatSize(totalSize(ranges.map(({ range }) => range)));
}

function cpuLines(image: KdumpImage, { cpuNotes }: CrashMemory, theme: Theme): string[] {
  const notes = `crash notes for ${cpuNotes.length}`;
  if (image.fdt === null) return [`${theme.heading('CPUs')}      ${notes}`];
  return [wrapped(`CPUs      ${cpuList(image)} in the FDT; ${notes}`, theme).replace('CPUs', theme.heading)];
}

/** The CPUs of the FDT by their threads: `0-1`, `4 cores with threads 0-31`. */
export function cpuList(image: KdumpImage): string {
  const cpus = knownCpus(image);
  const threads = cpus.flatMap((cpu) => cpu.threads);
  if (cpus.length === 0) return 'none';
  return `${threads.length === cpus.length ? '' : `${cpus.length} ${cpus.length === 1 ? 'core' : 'cores'} with threads `}${idList(threads)}`;
}

function roomLines(image: KdumpImage, theme: Theme): string[] {
  const { memoryRanges, cpus } = capacityOf(image);
  const { segment, contents } = image.elfcorehdr;
  const elfcorehdr = [
    `${memoryRanges} more memory ranges`,
    `elfcorehdr ${elfcorehdrSize(contents.programHeaders.length)} of ${segment.memsz} bytes`,
  ];
  const rows = [elfcorehdr];
  if (image.fdt !== null) {
    const { usedSize } = image.fdt.tree;
    rows.push([cpus === null ? '' : `${cpus} more CPUs`, `FDT ${usedSize} of ${usedSize + fdtFreeSize(image.fdt)} bytes`]);
  }
  return columns(rows).map((line, index) => `${index === 0 ? theme.heading('Room for') : '        '}  ${line}`);
}

function segmentLines({ segments, crashKernel, crashKernelRanges, entry }: KdumpImage, theme: Theme): string[] {
  const withSize = (range: Range): string => `${formatRange(range)} (${formatSize(sizeOf(range))})`;
  const others = crashKernelRanges.filter((range) => crashKernel === null || !sameRange(range, crashKernel));
  const where =
    crashKernel === null
      ? ''
      : ` in crashkernel ${withSize(crashKernel)}${others.length === 0 ? '' : `, reserved with ${others.map(withSize).join(', ')}`}`;
  const rows = columns(
    segments.map((segment) => [
      INDENT + segment.name,
      formatRange(segmentRange(segment)),
      formatSize(segment.memsz),
      ...(theme.columns < WIDE || segment.bufsz === null ? [] : [`${formatSize(segment.bufsz)} loaded`]),
    ]),
    [2, 3],
  );
  const longest = Math.max(...rows.map((row) => row.length));
  const room = theme.columns - longest - 2 * INDENT.length;
  const whole = crashKernel ?? spanOf(segments.map(segmentRange));
  return [
    `${theme.heading('Segments')}${where}${entry === null ? '' : `, entry ${hex(entry)}`}`,
    ...rows.map((row, index) => {
      const segment = segments[index];
      if (segment === undefined || room < NARROWEST_BAR) return row;
      const bar = drawPlace(segmentRange(segment), whole, room, theme);
      return bar === '' ? row : `${row.padEnd(longest)}${INDENT}${bar}`;
    }),
  ];
}

function spanOf(ranges: readonly Range[]): Range {
  return { start: ranges[0]?.start ?? 0n, end: ranges.at(-1)?.end ?? 1n };
}
