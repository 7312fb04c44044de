import { KdumpError } from '../errors.js';
import { PT_NOTE } from '../elf/constants.js';
import { P_PADDR, type ProgramHeaderTable } from '../elf/program-header-table.js';
import type { ProgramHeader } from '../elf/records.js';
import type { KdumpImage } from '../image/image.js';
import type { CpuChange } from '../machine/change.js';
import { crashTableOf } from '../description/crash-table.js';
import { MADE, type ChangeEffect } from './plan-memory.js';
import { knownCpus } from '../description/capacity.js';
import type { Finding } from '../check/finding.js';
import type { PlannedCpu } from './planned-cpus.js';

const STAYS: ChangeEffect = { made: false, reason: 'its PT_NOTE stays, as the kernel leaves it' };
const LISTED: ChangeEffect = { made: false, reason: 'its PT_NOTE is listed already' };
const NONE: ChangeEffect = { made: false, reason: 'no PT_NOTE' };

export interface NotesPlan {
  readonly table: ProgramHeaderTable;
  /** For each CPU change. */
  readonly effects: readonly ChangeEffect[];
  readonly findings: readonly Finding[];
}

/**
 * Puts the PT_NOTEs of added CPUs behind those of the others. The kernel lists every possible CPU from the start (for_each_possible_cpu in
 * crash_prepare_elf64_headers), kexec-tools those that sysfs shows: on PowerPC all possible ones, too, elsewhere those that are present, so that a
 * CPU is without a note where there are more CPUs than notes. On PowerPC that says nothing: an FDT may describe more threads than a kernel with
 * `nr_cpus=` uses, and a CPU that it brings up is one of the possible ones.
 *
 * @param table what the PT_NOTEs are put into
 * @param cpus the CPU nodes as they will be; the live tree may bring more of them than the changes name
 * @throws KdumpError `refused` when a CPU has no note and the change does not say where its crash notes are
 */
export function planNotes(
  image: KdumpImage,
  changes: readonly CpuChange[],
  table: ProgramHeaderTable,
  cpus: readonly Pick<PlannedCpu, 'threads'>[],
): NotesPlan {
  if (changes.length === 0) return { table, effects: [], findings: [] };
  const before = knownCpus(image).flatMap(({ threads }) => threads);
  const withNode = new Set(before);
  const { cpuNoteCount } = crashTableOf(image);
  const listed = new Set(Array.from({ length: cpuNoteCount }, (_, index) => table.value(index, P_PADDR)));
  const added: ProgramHeader[] = [];
  const noteCount = (): number => cpuNoteCount + added.length;
  const listsPossible = image.architecture.listsPossibleCpus === true;
  /** Whether CPU `id` has one of the notes, which it then takes. */
  const take = (id: number): boolean => {
    // Without an FDT the id is the kernel's CPU number, and the notes come in its order. With one, a note to spare is that of a CPU whose node was
    // taken out; that it is this CPU's is known only where the kernel lists all that may ever come.
    const hasNote = image.fdt === null ? id < noteCount() : withNode.has(id) || (listsPossible && withNode.size < noteCount());
    if (!hasNote && !listsPossible) {
      throw new KdumpError('refused', `cannot add CPU ${id}: the elfcorehdr lists no crash notes for it`, {
        segment: 'elfcorehdr',
        found: `PT_NOTEs for ${noteCount()} CPUs, which were present when the image was loaded`,
        expected: 'one for each CPU',
        remedy:
          'give --cpus, its /sys/devices/system/cpu, or "crashNotes" with address and size in a change file, or reload the kdump image',
      });
    }
    withNode.add(id);
    return hasNote;
  };
  const effects = changes.map(({ action, cpu }): ChangeEffect => {
    if (action === 'remove') {
      if (image.fdt === null && cpu.id >= noteCount()) {
        throw new KdumpError('refused', `cannot remove CPU ${cpu.id}`, {
          segment: 'elfcorehdr',
          found: `PT_NOTEs for ${noteCount()} CPUs`,
          expected: `at most ${noteCount() - 1}`,
        });
      }
      return STAYS;
    }
    if (cpu.crashNotes !== undefined) {
      if (listed.has(cpu.crashNotes.address)) return LISTED;
      listed.add(cpu.crashNotes.address);
      added.push(noteFor(cpu.crashNotes));
      withNode.add(cpu.id);
      return MADE;
    }
    return take(cpu.id) ? LISTED : NONE;
  });
  const after = new Set(cpus.flatMap(({ threads }) => threads));
  if (!listsPossible) for (const id of after) take(id);
  const findings = after.size > before.length && after.size > noteCount() ? [fewerNotes(noteCount(), after.size)] : [];
  if (added.length === 0) return { table, effects, findings };
  return { findings, table: table.assembled([{ from: 0, to: cpuNoteCount }, ...added, { from: cpuNoteCount, to: table.length }]), effects };
}

function fewerNotes(notes: number, threads: number): Finding {
  return {
    severity: 'warning',
    code: 'fewer-notes-than-cpus',
    message: `the FDT then describes ${threads} CPUs, and the elfcorehdr has notes for ${notes}: of any other the dump lacks the registers`,
  };
}

/** As crash_prepare_elf64_headers() writes it. */
function noteFor({ address, size }: { address: bigint; size: bigint }): ProgramHeader {
  return { type: PT_NOTE, flags: 0, offset: address, vaddr: 0n, paddr: address, filesz: size, memsz: size, align: 0n };
}
