import { KdumpError } from '../errors.js';
import { PT_NOTE } from '../elf/constants.js';
import type { ProgramHeader } from '../elf/records.js';
import type { KdumpImage } from '../image/image.js';
import type { CpuChange } from '../machine/change.js';
import { crashMemoryOf } from './crash-memory.js';
import type { ChangeEffect } from './plan-memory.js';
import { knownCpus } from './summary.js';

export interface NotesPlan {
  readonly programHeaders: readonly ProgramHeader[];
  /** For each CPU change. */
  readonly effects: readonly ChangeEffect[];
}

/**
 * Puts the PT_NOTEs of added CPUs behind those of the others. The kernel lists every possible CPU from the start (for_each_possible_cpu in
 * crash_prepare_elf64_headers), kexec-tools those that were present, so a note is missing only when there are more CPUs than notes.
 *
 * @param programHeaders what the PT_NOTEs are put into
 * @throws KdumpError `refused` when a CPU has no note and the change does not say where its crash notes are
 */
export function planNotes(image: KdumpImage, changes: readonly CpuChange[], programHeaders: readonly ProgramHeader[]): NotesPlan {
  const crash = crashMemoryOf(image);
  const cpuNotes = [...crash.cpuNotes];
  const listed = new Set(cpuNotes.map(({ paddr }) => paddr));
  const withNode = new Set(knownCpus(image).flatMap(({ threads }) => threads));
  const effects = changes.map(({ action, cpu }): ChangeEffect => {
    if (action === 'remove') {
      if (image.fdt === null && cpu.id >= cpuNotes.length) {
        throw new KdumpError('refused', `cannot remove CPU ${cpu.id}`, {
          segment: 'elfcorehdr',
          found: `PT_NOTEs for ${cpuNotes.length} CPUs`,
          expected: `at most ${cpuNotes.length - 1}`,
        });
      }
      return { made: false, reason: 'its PT_NOTE stays, as the kernel leaves it' };
    }
    if (cpu.crashNotes !== undefined) {
      if (listed.has(cpu.crashNotes.address)) return { made: false, reason: 'its PT_NOTE is listed already' };
      listed.add(cpu.crashNotes.address);
      cpuNotes.push(noteFor(cpu.crashNotes));
      withNode.add(cpu.id);
      return { made: true, reason: '' };
    }
    // Without an FDT the id is the kernel's CPU number, and the notes come in its order.
    const hasNote = image.fdt === null ? cpu.id < cpuNotes.length : withNode.has(cpu.id) || withNode.size < cpuNotes.length;
    if (!hasNote && image.architecture.listsPossibleCpus !== true) {
      throw new KdumpError('refused', `cannot add CPU ${cpu.id}: the elfcorehdr lists no crash notes for it`, {
        segment: 'elfcorehdr',
        found: `PT_NOTEs for ${cpuNotes.length} CPUs, which were present when the image was loaded`,
        expected: 'one for each CPU',
        remedy:
          'give "crashNotes" with address and size in a change file (/sys/devices/system/cpu/cpuN/crash_notes and crash_notes_size), or reload the kdump image',
      });
    }
    withNode.add(cpu.id);
    return { made: false, reason: hasNote ? 'its PT_NOTE is listed already' : 'no PT_NOTE' };
  });
  if (cpuNotes.length === crash.cpuNotes.length) return { programHeaders, effects };
  return { programHeaders: [...cpuNotes, ...programHeaders.slice(crash.cpuNotes.length)], effects };
}

/** As crash_prepare_elf64_headers() writes it. */
function noteFor({ address, size }: { address: bigint; size: bigint }): ProgramHeader {
  return { type: PT_NOTE, flags: 0, offset: address, vaddr: 0n, paddr: address, filesz: size, memsz: size, align: 0n };
}
