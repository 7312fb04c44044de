import type { FindingCode } from '../codes.js';
import { hex, printable } from '../errors.js';
import { alignDown, alignUp } from '../bytes/align.js';
import { PT_NOTE } from '../elf/constants.js';
import { elfcorehdrSize } from '../elf/elfcorehdr.js';
import type { FdtNode } from '../fdt/fdt.js';
import type { LiveDeviceTree } from '../machine/device-tree.js';
import { segmentNamed, type KdumpImage } from '../image/image.js';
import { segmentRange } from '../kexec/segment.js';
import { SMALLEST_PAGE, byStart, contains, formatRange, overlaps, type Range } from '../memory/range.js';
import { common, firstEndingAfter, merged } from '../memory/range-set.js';
import { crashMemoryOf, isOneByteTooLong, type CrashMemory } from '../description/crash-memory.js';
import { deviceMemoryOf } from '../description/device-memory.js';
import { isCpuType } from '../arch/cpu-nodes.js';
import type { Finding, Severity } from './finding.js';
import { capacityOf, knownCpus } from '../description/capacity.js';
import { formatSize } from '../text/numbers.js';

/**
 * What can be said against an image from its elfcorehdr and FDT, without reading the large segments: everything that the capture kernel,
 * purgatory or makedumpfile would choke on. What they refuse outright was an error when the image was opened.
 *
 * @param deviceTree the live tree, which may know memory of devices that the FDT does not
 */
export function soundFindings(image: KdumpImage, deviceTree?: LiveDeviceTree): Finding[] {
  const crash = crashMemoryOf(image);
  return [
    ...misplacedNotes(crash),
    ...memoryFindings(image, crash),
    ...deviceMemoryFindings(crash, deviceMemoryOf(image, deviceTree)),
    ...backupFindings(image, crash),
    ...placeFindings(image),
    ...lackFindings(image),
    ...(image.fdt === null ? [] : [...reservationFindings(image), ...chosenFindings(image), ...cpuFindings(image)]),
    ...roomFindings(image),
  ];
}

/** What images of an architecture always have: not seen, it is lost or was overlooked, and nobody can say that the image is sound. */
function lackFindings({ architecture, fdt, purgatory }: KdumpImage): Finding[] {
  const findings: Finding[] = [];
  if (architecture.hasFdt && fdt === null)
    findings.push(
      finding(
        'error',
        'fdt-missing',
        `no FDT was found, which every ${architecture.name} image has: the capture kernel does not boot without`,
      ),
    );
  if (architecture.alwaysHasPurgatory === true && purgatory === null)
    findings.push(
      finding(
        'error',
        'purgatory-missing',
        `no purgatory was found, which every ${architecture.name} image has: it starts the capture kernel`,
      ),
    );
  return findings;
}

/** Kernel addresses have the top bit set, but for s390x. */
const KERNEL_HALF = 1n << 63n;

function finding(severity: Severity, code: FindingCode, message: string): Finding {
  return { severity, code, message };
}

function deviceMemoryFindings({ ranges }: CrashMemory, device: readonly Range[]): Finding[] {
  if (device.length === 0) return [];
  return common(
    ranges.map(({ range }) => range),
    device,
  ).map((range) =>
    finding(
      'error',
      'device-memory-listed',
      `coherent device memory ${formatRange(range)} is listed: its link is down after a crash, and the machine stops when the capture kernel reads it`,
    ),
  );
}

function misplacedNotes(crash: CrashMemory): Finding[] {
  const findings: Finding[] = [];
  if (crash.notes.length === 0)
    findings.push(finding('error', 'no-notes', 'there is no PT_NOTE in front: the capture kernel finds no registers and no vmcoreinfo'));
  if (crash.others.some(({ type }) => type === PT_NOTE)) {
    findings.push(
      finding(
        'error',
        'notes-not-first',
        'a PT_NOTE lies behind a PT_LOAD: the capture kernel merges the notes as if all were in front (merge_note_headers_elf64)',
      ),
    );
  }
  return findings;
}

function memoryFindings(image: KdumpImage, crash: CrashMemory): Finding[] {
  const findings: Finding[] = [];
  for (const { kind, range, programHeader } of crash.ranges) {
    if (kind === 'ram' && isOneByteTooLong(programHeader)) {
      findings.push(
        finding(
          'warning',
          'one-byte-too-long',
          `memory ${formatRange(range)} is listed one byte too long (p_memsz ${hex(programHeader.memsz)}), as Linux 6.12 to 7.2 on ppc64 writes the rest of a range it removed memory from`,
        ),
      );
    }
    if (kind === 'ram' && programHeader.vaddr < KERNEL_HALF && image.architecture.name !== 's390x') {
      findings.push(
        finding(
          'warning',
          'not-linear-map',
          `memory ${formatRange(range)} has p_vaddr ${hex(programHeader.vaddr)}, which is no address of the kernel: tools that look memory up by it will not find it`,
        ),
      );
    }
    if (programHeader.filesz !== programHeader.memsz) {
      findings.push(
        finding(
          'warning',
          'partial-load',
          `memory ${formatRange(range)} has a p_filesz of ${hex(programHeader.filesz)}: the rest reads as zeros in the dump`,
        ),
      );
    }
  }
  const sorted = [...crash.ranges].sort((a, b) => byStart(a.range, b.range));
  sorted.forEach((one, index) => {
    const next = sorted[index + 1];
    if (next === undefined) return;
    if (overlaps(one.range, next.range)) {
      findings.push(finding('error', 'overlapping-memory', `memory ${formatRange(one.range)} and ${formatRange(next.range)} overlap`));
    } else if (one.kind !== 'backup' && next.kind !== 'backup' && sharePage(one.range, next.range)) {
      findings.push(
        finding(
          'warning',
          'shared-page',
          `memory ${formatRange(one.range)} and ${formatRange(next.range)} meet inside a page, which the dump will hold twice (the capture kernel rounds to pages)`,
        ),
      );
    }
  });
  const crashKernels = merged(image.crashKernelRanges);
  for (const { kind, range } of crash.ranges) {
    const crashKernel = crashKernels[firstEndingAfter(crashKernels, range.start)];
    if (kind !== 'ram' || crashKernel === undefined || !overlaps(range, crashKernel)) continue;
    findings.push(
      finding(
        'error',
        'crashkernel-listed',
        `memory ${formatRange(range)} overlaps the crashkernel range ${formatRange(crashKernel)}: the capture kernel would dump itself`,
      ),
    );
  }
  return findings;
}

/** Rounded outwards as the vmcore reader does (process_ptload_program_headers_elf64 in fs/proc/vmcore.c). */
function sharePage(one: Range, next: Range): boolean {
  return alignUp(one.end, SMALLEST_PAGE) > alignDown(next.start, SMALLEST_PAGE);
}

function backupFindings(image: KdumpImage, crash: CrashMemory): Finding[] {
  return crash.ranges.flatMap(({ kind, range, programHeader }): Finding[] => {
    if (kind !== 'backup') return [];
    const at = { start: programHeader.offset, end: programHeader.offset + programHeader.filesz };
    const segment = segmentNamed(image, 'backup') ?? image.segments.find((each) => contains(segmentRange(each), at));
    const what = `the backup of ${formatRange(range)} is to be read at ${hex(at.start)}`;
    if (segment === undefined) return [finding('error', 'backup-missing', `${what}, where no segment is`)];
    if (!contains(segmentRange(segment), at)) {
      return [finding('error', 'backup-elsewhere', `${what}, but the purgatory keeps it in ${formatRange(segmentRange(segment))}`)];
    }
    return [];
  });
}

function placeFindings({ segments, crashKernel }: KdumpImage): Finding[] {
  if (crashKernel === null) return [];
  return segments
    .filter((segment) => !contains(crashKernel, segmentRange(segment)) && segment.address >= 0x100000n && segment.name !== 'other')
    .map((segment) =>
      finding(
        'error',
        'segment-outside-crashkernel',
        `${segment.name} at ${formatRange(segmentRange(segment))} is outside the crashkernel range ${formatRange(crashKernel)}`,
      ),
    );
}

function reservationFindings(image: KdumpImage): Finding[] {
  const { segment, tree } = image.fdt as NonNullable<KdumpImage['fdt']>;
  const { elfcorehdr } = image;
  const used = BigInt(elfcorehdrSize(elfcorehdr.contents.programHeaders.length));
  const findings: Finding[] = [];
  const reserved = tree.reservations.find(({ address }) => address === elfcorehdr.segment.address);
  if (reserved !== undefined && reserved.size < used) {
    findings.push(
      finding(
        'error',
        'elfcorehdr-not-reserved',
        `the memory reservation block keeps ${hex(reserved.size)} bytes of the elfcorehdr clear, which has ${hex(used)}: the capture kernel may overwrite the rest before reading it`,
      ),
    );
  } else if (reserved !== undefined && reserved.size < elfcorehdr.segment.memsz) {
    findings.push(
      finding(
        'info',
        'elfcorehdr-reservation-short',
        `the FDT reserves ${formatSize(reserved.size)} of the elfcorehdr's ${formatSize(elfcorehdr.segment.memsz)}: enough for now, and apply reserves more when the elfcorehdr grows`,
      ),
    );
  }
  const own = tree.reservations.find(({ address }) => address === segment.address);
  if (own !== undefined && own.size < BigInt(tree.usedSize)) {
    findings.push(
      finding(
        'error',
        'fdt-not-reserved',
        `the memory reservation block keeps ${hex(own.size)} bytes of the FDT clear, which has ${hex(tree.usedSize)}`,
      ),
    );
  }
  return findings;
}

function chosenFindings(image: KdumpImage): Finding[] {
  const { facts } = image.fdt as NonNullable<KdumpImage['fdt']>;
  const { segment, contents } = image.elfcorehdr;
  const findings: Finding[] = [];
  if (facts.elfcorehdr !== null && facts.elfcorehdr.address !== segment.address) {
    findings.push(
      finding(
        'error',
        'elfcorehdr-elsewhere',
        `${facts.elfcorehdr.source} says ${hex(facts.elfcorehdr.address)}, the elfcorehdr is at ${hex(segment.address)}`,
      ),
    );
  }
  const stated = facts.elfcorehdr?.size ?? null;
  const used = BigInt(elfcorehdrSize(contents.programHeaders.length));
  if (stated !== null && stated < used) {
    findings.push(
      finding(
        'error',
        'elfcorehdr-size-stated-short',
        `${facts.elfcorehdr?.source ?? ''} states ${hex(stated)} bytes, the elfcorehdr has ${hex(used)}`,
      ),
    );
  }
  const initrd = segmentNamed(image, 'initrd');
  if (facts.initrd !== null && (initrd === undefined || !contains(segmentRange(initrd), facts.initrd))) {
    findings.push(
      finding(
        'error',
        'initrd-elsewhere',
        `the FDT places the initrd at ${formatRange(facts.initrd)}, ${initrd === undefined ? 'where no initrd segment is' : `the segment is ${formatRange(segmentRange(initrd))}`}`,
      ),
    );
  }
  return findings;
}

/** What the capture kernel needs of every CPU node (early_init_dt_scan_cpus in arch/powerpc/kernel/prom.c). */
function cpuFindings(image: KdumpImage): Finding[] {
  const { tree } = image.fdt as NonNullable<KdumpImage['fdt']>;
  const parent = tree.node('/cpus');
  if (parent === undefined) return [finding('error', 'no-cpus', 'the FDT has no /cpus node: the capture kernel does not boot')];
  const findings = cpuNodesOf(parent).flatMap((node): Finding[] => {
    const missing = ['reg', 'device_type'].filter((name) => node.property(name) === undefined);
    return missing.length === 0
      ? []
      : [
          finding(
            'error',
            'cpu-node-cut-short',
            `CPU node ${printable(node.name)} has no ${missing.join(' and no ')}: it was cut short, as the kernel leaves it when the FDT has no more room`,
          ),
        ];
  });
  if (findings.length > 0) return findings;
  const cpus = knownCpus(image);
  if (cpus.length === 0) findings.push(finding('error', 'no-cpus', 'the FDT describes no CPU: the capture kernel does not boot'));
  const seen = new Map<number, string>();
  for (const { node, threads } of cpus) {
    for (const id of threads) {
      const other = seen.get(id);
      if (other !== undefined)
        findings.push(finding('error', 'duplicate-cpu', `CPU ${id} is described by ${printable(other)} and ${printable(node.name)}`));
      seen.set(id, node.name);
    }
  }
  return findings;
}

/** Nodes that are meant to be CPUs: by device_type, or by the name that others with it have. */
function cpuNodesOf(parent: FdtNode): FdtNode[] {
  const children = parent.children();
  const baseOf = (node: FdtNode): string => node.name.replace(/@.*$/s, '');
  const bases = new Set(children.filter((node) => isCpuType(node.property('device_type'))).map(baseOf));
  return children.filter((node) => isCpuType(node.property('device_type')) || bases.has(baseOf(node)));
}

function roomFindings(image: KdumpImage): Finding[] {
  const { memoryRanges, cpus } = capacityOf(image);
  const findings: Finding[] = [];
  if (memoryRanges === 0)
    findings.push(
      finding(
        'warning',
        'elfcorehdr-full',
        'no further memory range fits the elfcorehdr: reload the kdump image with a larger reservation before memory is added',
      ),
    );
  if (cpus === 0)
    findings.push(
      finding(
        'warning',
        'fdt-full',
        'no further CPU node fits the FDT: reload the kdump image with a larger reservation before a CPU is added',
      ),
    );
  return findings;
}
