import { hex } from '../../errors.js';
import { elfcorehdrSize } from '../../elf/elfcorehdr.js';
import type { ProgramHeader } from '../../elf/records.js';
import { textOf } from '../../fdt/cells.js';
import { crashMemoryOf } from '../../description/crash-memory.js';
import type { CheckResult } from '../../check/check.js';
import { notLoaded } from '../../check/kernel-word.js';
import type { Compared } from '../../check/compare-state.js';
import type { ImageDifference } from '../../check/diff.js';
import type { Finding } from '../../check/finding.js';
import type { Plan } from '../../plan/plan.js';
import { bytesChanged } from '../../plan/segment-plan.js';
import { capacityOf, fdtFreeSize, knownCpus } from '../../description/capacity.js';
import { coveredSegments, type DigestStatus } from '../../check/verify-digest.js';
import type { KdumpImage } from '../../image/image.js';
import { changeToJson } from '../../machine/change.js';
import { sizeOf, type Range } from '../../memory/range.js';
import { sizeToJson } from '../../text/numbers.js';
import type { SyncAdvice } from '../../report/subject.js';
import { sha256 } from '../../image/digest.js';

/** Null where the file does not hold it. */
function offsetToJson(offset: bigint | null): number | string | null {
  return offset === null ? null : sizeToJson(offset);
}

function rangeToJson(range: Range): { start: string; size: number | string } {
  return { start: hex(range.start), size: sizeToJson(sizeOf(range)) };
}

export function inspectToJson(image: KdumpImage, digest: DigestStatus, findings: readonly Finding[]): object {
  const { memory, segments, crashKernel, crashKernelRanges, pageSize, elfcorehdr, fdt, purgatory } = image;
  const crash = crashMemoryOf(image);
  const model = fdt?.tree.root.property('model');
  const noteToJson = ({ paddr, memsz }: ProgramHeader): object => ({ address: hex(paddr), size: sizeToJson(memsz) });
  return {
    file: memory.path,
    format: image.format,
    ...kernelToJson(image),
    architecture: image.architecture.name,
    byteOrder: image.architecture.byteOrder,
    pageSize: pageSize === null ? null : Number(pageSize),
    entry: image.entry === null ? null : hex(image.entry),
    crashKernel: crashKernel === null ? null : rangeToJson(crashKernel),
    crashKernelRanges: crashKernelRanges.map(rangeToJson),
    segments: segments.map(({ name, address, memsz, bufsz }) => ({
      name,
      address: hex(address),
      memsz: sizeToJson(memsz),
      bufsz: bufsz === null ? null : sizeToJson(bufsz),
      fileOffset: offsetToJson(memory.placeOf(address)),
    })),
    elfcorehdr: {
      address: hex(elfcorehdr.segment.address),
      memsz: sizeToJson(elfcorehdr.segment.memsz),
      usedSize: elfcorehdrSize(elfcorehdr.contents.programHeaders.length),
      programHeaders: elfcorehdr.contents.programHeaders.length,
      cpuNotes: crash.cpuNotes.length,
      vmcoreinfo: crash.vmcoreinfo === null ? null : noteToJson(crash.vmcoreinfo),
      kernelText:
        crash.kernelText === null
          ? null
          : { start: hex(crash.kernelText.paddr), size: sizeToJson(crash.kernelText.memsz), virtualAddress: hex(crash.kernelText.vaddr) },
      memory: crash.ranges.map(({ kind, range, programHeader }) => ({
        ...rangeToJson(range),
        kind,
        fileOffset: offsetToJson(memory.placeOf(programHeader.offset)),
      })),
      totalMemory: sizeToJson(crash.ranges.reduce((sum, { range }) => sum + sizeOf(range), 0n)),
    },
    fdt:
      fdt === null
        ? null
        : {
            address: hex(fdt.segment.address),
            memsz: sizeToJson(fdt.segment.memsz),
            totalSize: fdt.tree.header.totalSize,
            usedSize: fdt.tree.usedSize,
            freeSize: fdtFreeSize(fdt),
            model: model === undefined ? null : textOf(model),
            bootargs: fdt.facts.bootargs,
            cpus: knownCpus(image).map(({ node, id, threads }) => ({ name: node.name, id, threads })),
          },
    purgatory: purgatory === null ? null : { digest, covers: coveredSegments(image) },
    capacity: capacityOf(image),
    interrupted: image.isInterrupted,
    provenance: image.provenance,
    findings,
  };
}

/** @param compared what of the image was compared with a machine, where the changes come of that */
export function planToJson(plan: Plan, file: string, applied: boolean, compared?: Compared): object {
  return {
    file,
    applied,
    interrupted: plan.image.isInterrupted,
    changes: plan.changes.map(({ change, effect }) => ({
      ...changeToJson(change),
      made: effect.made,
      ...(effect.made ? {} : { reason: effect.reason }),
      ...(effect.isRefused === true ? { refused: true } : {}),
    })),
    segments: plan.segments.map((segment) => {
      const changed = bytesChanged(segment);
      const sha256Before = sha256(segment.before);
      return {
        name: segment.name,
        changed: changed > 0,
        bytesChanged: changed,
        sha256Before,
        sha256After: changed > 0 ? sha256(segment.after) : sha256Before,
      };
    }),
    digest: plan.digest,
    derived: plan.derived,
    findings: plan.findings,
    ...(compared === undefined ? {} : { compared }),
  };
}

/** Where what an image was compared with comes from: `kernel`, or a file; null where it was not compared. */
export interface StateFrom {
  readonly memory: string | null;
  readonly cpus: string | null;
}

/** Whether the kernel in the memory has the image loaded, and which kernel that is. */
function kernelToJson(image: KdumpImage): object {
  const { kernel } = image;
  return {
    loaded: kernel === null ? null : notLoaded(image) === null,
    kernel: kernel === null ? null : { release: kernel.info.release, buildId: kernel.info.buildId, hostName: kernel.nodeName },
  };
}

/** What `check` says of memory whose kernel has no image loaded: nothing was compared. */
export function notLoadedToJson(file: string, message: string): object {
  return {
    file,
    interrupted: null,
    loaded: false,
    kernel: null,
    sound: null,
    current: false,
    compared: { memory: false, cpus: false },
    stateFrom: { memory: null, cpus: null },
    digest: null,
    missingMemory: null,
    extraMemory: null,
    missingCpus: null,
    extraCpus: null,
    changedCpus: null,
    missingNotes: null,
    unknownNotes: null,
    sync: null,
    findings: [{ severity: 'error', code: 'not-loaded', message } satisfies Finding],
  };
}

export function checkToJson(image: KdumpImage, result: CheckResult, sync: SyncAdvice | null, stateFrom: StateFrom): object {
  return {
    file: image.memory.path,
    interrupted: image.isInterrupted,
    ...kernelToJson(image),
    sound: result.sound,
    current: result.current,
    compared: result.compared,
    stateFrom,
    digest: result.digest,
    missingMemory: listOf(result.missingMemory, rangeToJson),
    extraMemory: listOf(result.extraMemory, rangeToJson),
    missingCpus: result.missingCpus,
    extraCpus: result.extraCpus,
    changedCpus: result.changedCpus,
    missingNotes: listOf(result.missingNotes, ({ cpu, address, size }) => ({ cpu, address: hex(address), size: sizeToJson(size) })),
    unknownNotes: listOf(result.unknownNotes, rangeToJson),
    sync,
    findings: result.findings,
  };
}

/** Null stays null: what was not compared is no empty list. */
function listOf<T>(items: readonly T[] | null, toJson: (item: T) => object): object[] | null {
  return items === null ? null : items.map(toJson);
}

export function diffToJson(difference: ImageDifference): object {
  const cpu = ({ node, id, threads }: { node: { name: string }; id: number; threads: readonly number[] }): object => ({
    name: node.name,
    id,
    threads,
  });
  return {
    memory: { added: difference.memory.added.map(rangeToJson), removed: difference.memory.removed.map(rangeToJson) },
    cpus: { added: difference.cpus.added.map(cpu), removed: difference.cpus.removed.map(cpu), changed: difference.cpus.changed },
    otherSegments: difference.otherSegments,
    sameElfcorehdr: difference.sameElfcorehdr,
    sameFdt: difference.sameFdt,
  };
}
