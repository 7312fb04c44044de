import { KdumpError } from '../errors.js';
import type { ByteOrder } from '../bytes/byte-order.js';
import { RecordFormat } from '../bytes/record.js';
import { PT_LOAD, PT_NOTE } from '../elf/constants.js';
import type { ProgramHeader } from '../elf/records.js';
import type { InputFile } from '../file/input-file.js';

/** Elf64_Nhdr (ELF-64 object file format): name and contents follow, each padded to 4 bytes. */
const noteFormat = new RecordFormat([
  ['namesz', 4],
  ['descsz', 4],
  ['type', 4],
] as const);

/** Types of notes named `CORE`, of include/uapi/linux/elf.h and fs/proc/kcore.c. */
const NT_TASKSTRUCT = 4;
const NT_AUXV = 6;
const NT_FILE = 0x46494c45;
const NT_SIGINFO = 0x53494749;

const MAX_NOTES = 1 << 16;
const KERNEL_HALF = 1n << 63n;

/**
 * Refuses ELF core files whose PT_LOADs say nothing of physical memory: core dumps of processes, and the /proc/kcore of Linux before 4.11, which
 * left every p_paddr zero (464920104bf7, "/proc/kcore: update physical address for kcore ram and text").
 *
 * @throws KdumpError `input`
 */
export function refuseWithoutAddresses(file: InputFile, programHeaders: readonly ProgramHeader[], order: ByteOrder): void {
  const types = noteTypes(file, programHeaders, order);
  const loads = programHeaders.filter(({ type, memsz }) => type === PT_LOAD && memsz > 0n);
  const saysNothing = loads.length > 1 && loads.every(({ paddr }) => paddr === 0n);
  const isProcess = [NT_AUXV, NT_FILE, NT_SIGINFO].some((type) => types.has(type));
  const isKernel = types.has(NT_TASKSTRUCT) || loads.some(({ vaddr }) => vaddr >= KERNEL_HALF);
  if (isProcess || (saysNothing && !isKernel)) {
    throw new KdumpError('input', 'a core dump of a process, not of memory', {
      file: file.path,
      found: `${loads.length} PT_LOADs at addresses of a process`,
      expected: 'PT_LOADs with physical addresses',
      remedy: 'give the memory of the machine: /proc/kcore, or a dump of the guest (dump-guest-memory, virsh dump --memory-only)',
    });
  }
  if (saysNothing) {
    throw new KdumpError('input', "this kernel's kcore does not say where memory lies", {
      file: file.path,
      found: `${loads.length} PT_LOADs, all with p_paddr 0, as Linux before 4.11 writes them`,
      expected: 'physical addresses in p_paddr',
      remedy: 'take the memory of a guest from its host (dump-guest-memory), or make an image of the segments with pack',
    });
  }
}

/** Types of the notes named CORE, as far as they lie in the first 64 KiB of each PT_NOTE. */
function noteTypes(file: InputFile, programHeaders: readonly ProgramHeader[], order: ByteOrder): Set<number> {
  const types = new Set<number>();
  // A dump has one PT_NOTE; more are of an elfcorehdr, and point into memory.
  const note = programHeaders.find(({ type }) => type === PT_NOTE);
  if (note === undefined || note.offset >= file.size) return types;
  const left = [note.filesz, file.size - note.offset, BigInt(MAX_NOTES)].reduce((a, b) => (a < b ? a : b));
  const bytes = Buffer.from(file.read(note.offset, Number(left)));
  for (let at = 0; at + noteFormat.size <= bytes.length;) {
    const { namesz, descsz, type } = noteFormat.parseOne(bytes, at, order);
    const name = at + noteFormat.size;
    if (bytes.toString('latin1', name, name + Math.min(namesz, 5)) === 'CORE\0') types.add(type);
    at = name + 4 * Math.ceil(namesz / 4) + 4 * Math.ceil(descsz / 4);
  }
  return types;
}
