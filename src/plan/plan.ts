import { KdumpError, within } from '../errors.js';
import { alignUp } from '../bytes/align.js';
import { equalBytes } from '../bytes/compare.js';
import { elfcorehdrSize, parseElfcorehdrIn, programHeaderCapacity, tableOf, writeElfcorehdr } from '../elf/elfcorehdr.js';
import type { ProgramHeaderTable } from '../elf/program-header-table.js';
import type { KdumpImage } from '../image/image.js';
import { crashKernelOf, otherBoot } from '../check/crash-kernel.js';
import { crashMemoryOf } from '../description/crash-memory.js';
import { systemRam, type IomemEntry } from '../machine/iomem.js';
import type { MachineCpus } from '../machine/machine-cpus.js';
import { formatRange } from '../memory/range.js';
import { subtract } from '../memory/range-set.js';
import type { Change, CpuChange, MemoryChange } from '../machine/change.js';
import type { Finding } from '../check/finding.js';
import { planCpus, type CpuPlanOptions, type DerivedProperty } from './plan-cpus.js';
import { planDigest, type DigestOutcome } from './plan-digest.js';
import { planFdt } from './plan-fdt.js';
import { planMemory, type ChangeEffect, type MemoryPlanOptions } from './plan-memory.js';
import { planNotes } from './plan-notes.js';
import type { SegmentPlan } from './segment-plan.js';

/** How a change is to be planned. `force` goes on wherever a refusal says that it is forcible. */
export interface PlanOptions extends CpuPlanOptions, MemoryPlanOptions {
  /**
   * The machine's /proc/iomem, where it is known: what it has reserved for the capture kernel is not added, and what is no System RAM there only with
   * `force`.
   */
  readonly iomem?: readonly IomemEntry[] | undefined;
  /** The machine's CPUs, where they are known: of an image without FDT, which counts CPUs as Linux does, they say where an added one keeps its crash notes. */
  readonly cpus?: MachineCpus | undefined;
}

/** What is to be written, all of it computed and checked. */
export interface Plan {
  readonly image: KdumpImage;
  readonly changes: readonly { readonly change: Change; readonly effect: ChangeEffect }[];
  /** The segments that changes can touch: elfcorehdr, FDT, and the purgatory where its digest covers one of them. */
  readonly segments: readonly SegmentPlan[];
  readonly derived: readonly DerivedProperty[];
  readonly digest: DigestOutcome;
  readonly findings: readonly Finding[];
}

/** Whether nothing would be written. */
export function isNothingToDo(plan: Plan): boolean {
  return plan.segments.every(({ before, after }) => equalBytes(before, after));
}

/** More than e_phnum can count; a larger segment's tail is never used. */
const MAX_ELFCOREHDR = BigInt(elfcorehdrSize(0xffff));

/**
 * What `changes`, in their order, come to in the bytes of `image`. Reads the elfcorehdr, the FDT and the purgatory, and the segments that the
 * digest covers only where it has to change. Writes nothing.
 *
 * @throws KdumpError `refused` when a change conflicts with the image or does not fit, the machine in `options` is not the image's, or the digest
 *   could not be brought right; `input` when
 *   the image is damaged
 */
export function planHotplug(image: KdumpImage, changes: readonly Change[], options: PlanOptions = {}): Plan {
  return within({ file: image.memory.path }, () => plan(image, changes, options));
}

function plan(image: KdumpImage, given: readonly Change[], options: PlanOptions): Plan {
  const { cpus: machineCpus } = options;
  const changes = machineCpus === undefined || image.fdt !== null ? given : given.map((change) => withCrashNotes(change, machineCpus));
  const memoryChanges = changes.filter((change): change is MemoryChange => 'memory' in change);
  const cpuChanges = changes.filter((change): change is CpuChange => 'cpu' in change);
  const { refusesChanges } = image.architecture;
  if (refusesChanges !== undefined)
    throw new KdumpError('refused', 'images of this architecture are not changed', { found: refusesChanges });
  refuseOtherBoot(image, options);
  if (options.force !== true) refuseNoRam(image, memoryChanges, options);
  const memory = planMemory({ ...image, crashKernelRanges: crashKernelOf(image, options) }, memoryChanges, options);
  const cpus = planCpus(image, cpuChanges, options);
  const notes = planNotes(image, cpuChanges, memory.table, cpus.cpus);

  const findings: Finding[] = [...memory.findings, ...notes.findings];
  const elfcorehdr = planElfcorehdr(image, notes.table, options);
  const segments = [elfcorehdr];
  const fdt = planFdt(image, cpus.edits, elfcorehdrSize(notes.table.length), options.compat, findings);
  if (fdt !== undefined) segments.push(fdt);
  const digest = planDigest(image, segments, findings, options.force === true);
  if (digest.segment !== undefined) segments.push(digest.segment);

  // A CPU has a node and a note; where either is made, the change is.
  const cpuEffects = notes.effects.map((note, index) => (note.made || image.fdt === null ? note : (cpus.effects[index] ?? note)));
  const effects = { memory: memory.effects.values(), cpu: cpuEffects.values() };
  return {
    image,
    changes: changes.map((change) => ({ change, effect: effects['memory' in change ? 'memory' : 'cpu'].next().value as ChangeEffect })),
    segments,
    derived: cpus.derived,
    digest: digest.outcome,
    findings,
  };
}

/** A change that adds a CPU, and where its crash notes are if it does not say so itself. */
function withCrashNotes(change: Change, machine: MachineCpus): Change {
  if (!('cpu' in change) || change.action === 'remove' || change.cpu.crashNotes !== undefined) return change;
  const crashNotes = machine.crashNotes.get(change.cpu.id);
  return crashNotes === undefined ? change : { ...change, cpu: { ...change.cpu, crashNotes } };
}

/** What is true of one boot is not written into an image of another. */
function refuseOtherBoot(image: KdumpImage, options: PlanOptions): void {
  const found = otherBoot(image, options);
  if (found === null) return;
  throw new KdumpError('refused', 'the image is of another boot, or another machine', {
    found,
    remedy: 'take image and machine state from the same boot',
  });
}

/** Memory that /proc/iomem does not list as System RAM is a hole, or a device's: reading it for a dump can stop the machine. */
function refuseNoRam(image: KdumpImage, changes: readonly MemoryChange[], { iomem }: PlanOptions): void {
  if (iomem === undefined) return;
  const added = changes.filter(({ action }) => action === 'add').map(({ memory }) => memory);
  const [other] = subtract(added, [...systemRam(iomem), ...crashMemoryOf(image).ranges.map(({ range }) => range)]);
  if (other === undefined) return;
  throw new KdumpError('refused', `cannot add memory ${formatRange(other)}`, {
    segment: 'elfcorehdr',
    found: 'no System RAM there in the memory map of the machine',
    expected: 'System RAM in --iomem',
    forcible: true,
  });
}

function planElfcorehdr(image: KdumpImage, table: ProgramHeaderTable, { compat }: PlanOptions): SegmentPlan {
  const { segment, contents } = image.elfcorehdr;
  const capacity = programHeaderCapacity(segment.memsz);
  const unchanged = tableOf(contents);
  const used = elfcorehdrSize(unchanged.length);
  const needed = elfcorehdrSize(table.length);
  // The kernel counts one program header more, and rounds up to 4 KiB (crash_prepare_elf64_headers in kernel/crash_core.c).
  const kernelNeeds = alignUp(BigInt(elfcorehdrSize(table.length + 1)), 0x1000n);
  const fits = table.length <= capacity && (compat !== 'linux' || kernelNeeds <= segment.memsz || table === unchanged);
  if (!fits) {
    throw new KdumpError('refused', 'the change does not fit the elfcorehdr', {
      code: 'no-room',
      segment: 'elfcorehdr',
      found: `${table.length} program headers, which take ${compat === 'linux' ? kernelNeeds : needed} bytes`,
      expected: `at most ${segment.memsz} bytes (memsz), ${capacity} program headers`,
      remedy: 'reload the kdump image with a larger reservation (kexec --hotplug, or CONFIG_CRASH_MAX_MEMORY_RANGES)',
    });
  }
  const size = segment.memsz < MAX_ELFCOREHDR ? segment.memsz : MAX_ELFCOREHDR;
  const before = image.memory.read(segment.address, Number(size));
  const after = new Uint8Array(before);
  writeElfcorehdr(contents.header, table, after);
  if (needed < used) after.fill(0, needed, used);
  parseElfcorehdrIn(after);
  return { name: 'elfcorehdr', address: segment.address, before, after };
}
