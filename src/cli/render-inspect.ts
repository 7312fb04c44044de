import { hex, printable } from '../errors.js';
import { elfcorehdrSize } from '../elf/elfcorehdr.js';
import { crashMemoryOf } from '../hotplug/crash-memory.js';
import type { Finding } from '../hotplug/finding.js';
import { capacityOf, fdtFreeSize, knownCpus } from '../hotplug/summary.js';
import { coveredSegments, type DigestStatus } from '../hotplug/verify-digest.js';
import type { KdumpImage } from '../image/image.js';
import { segmentRange } from '../image/segment.js';
import { formatRange, sizeOf } from '../memory/range.js';
import { formatSize } from '../text/numbers.js';
import { columns, idList } from './table.js';
import type { Theme } from './theme.js';

const FORMATS = { kdump: 'packed kdump image', 'elf-core': 'kdump image in an ELF memory dump', raw: 'kdump image in raw memory' };

/** What `inspect` says to people: what it is, what a dump covers, which CPUs, how much room is left, what is wrong. */
export function renderInspect(image: KdumpImage, digest: DigestStatus, findings: readonly Finding[], theme: Theme): string {
  const page = image.pageSize === null ? '' : `, ${formatSize(image.pageSize)} pages`;
  return [
    `${theme.heading(printable(image.memory.path))}: ${FORMATS[image.format]}, ${image.architecture.name}${page}`,
    '',
    ...segmentLines(image, theme),
    '',
    ...memoryLines(image, theme),
    '',
    ...cpuLines(image, theme),
    ...roomLines(image, theme),
    ...digestLines(image, digest, theme),
    ...renderFindings(
      findings.filter(({ severity }) => severity !== 'info'),
      theme,
    ),
    ...image.notes.map((note) => theme.faint(`(${note})`)),
  ].join('\n');
}

export function renderFindings(findings: readonly Finding[], theme: Theme): string[] {
  return findings.map(({ severity, code, message }) => `${theme.severity(severity)}: ${printable(message)} [${code}]`);
}

function segmentLines({ segments, crashKernel, entry }: KdumpImage, theme: Theme): string[] {
  const rows = segments.map((segment) => [
    `  ${segment.name}`,
    formatRange(segmentRange(segment)),
    formatSize(segment.memorySize),
    segment.bufferSize === null || segment.bufferSize === segment.memorySize ? '' : `${hex(segment.bufferSize)} loaded`,
  ]);
  const where = crashKernel === null ? '' : ` in crashkernel ${formatRange(crashKernel)} (${formatSize(sizeOf(crashKernel))})`;
  return [`${theme.heading('Segments')}${where}${entry === null ? '' : `, entry ${hex(entry)}`}`, ...columns(rows, [2])];
}

function memoryLines(image: KdumpImage, theme: Theme): string[] {
  const { ranges, cpuNotes, vmcoreinfo, kernelText } = crashMemoryOf(image);
  const total = ranges.reduce((sum, { range }) => sum + sizeOf(range), 0n);
  const rows = ranges.map(({ kind, range, programHeader }) => [
    `  ${formatRange(range)}`,
    formatSize(sizeOf(range)),
    kind === 'ram' ? '' : kind === 'backup' ? `backup, contents at ${hex(programHeader.offset)}` : kind,
  ]);
  const notes = [
    `${cpuNotes.length} CPU ${cpuNotes.length === 1 ? 'note' : 'notes'}`,
    vmcoreinfo === null ? 'no vmcoreinfo' : `vmcoreinfo at ${hex(vmcoreinfo.paddr)}`,
    ...(kernelText === null ? [] : [`kernel text at ${hex(kernelText.paddr)}`]),
  ];
  return [`${theme.heading('Memory in the dump')}  ${formatSize(total)}; ${notes.join(', ')}`, ...columns(rows, [1])];
}

function cpuLines(image: KdumpImage, theme: Theme): string[] {
  if (image.fdt === null) return [];
  const cpus = knownCpus(image);
  const threads = cpus.flatMap((cpu) => cpu.threads);
  const cores = threads.length === cpus.length ? '' : `, ${cpus.length} cores with threads ${idList(threads)}`;
  return [`${theme.heading('CPUs in the FDT')}     ${cpus.length === 0 ? 'none' : `${idList(cpus.map(({ id }) => id))}${cores}`}`];
}

function roomLines(image: KdumpImage, theme: Theme): string[] {
  const { memoryRanges, cpus } = capacityOf(image);
  const { segment, contents } = image.elfcorehdr;
  const fdt = image.fdt === null ? '' : `, FDT ${image.fdt.tree.usedSize} of ${image.fdt.tree.usedSize + fdtFreeSize(image.fdt)} bytes`;
  const room = `${memoryRanges} memory ranges${cpus === null ? '' : `, ${cpus} CPUs`}`;
  return [
    `${theme.heading('Room for')}            ${room}`,
    theme.faint(`                    elfcorehdr ${elfcorehdrSize(contents.programHeaders.length)} of ${segment.memorySize} bytes${fdt}`),
  ];
}

function digestLines(image: KdumpImage, digest: DigestStatus, theme: Theme): string[] {
  if (image.purgatory === null) return [];
  const covers = coveredSegments(image);
  const what = covers.length === 0 ? '' : `; covers ${covers.join(', ')}`;
  return [`${theme.heading("Purgatory's digest")}  ${digest}${digest === 'unchecked' ? ' (--verify checks it)' : ''}${what}`];
}
