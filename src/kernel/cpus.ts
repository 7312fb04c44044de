import { KdumpError } from '../errors.js';
import type { KernelMemory } from './kernel-memory.js';

/** NR_CPUS is 8,192 at most in Kconfig of every architecture. */
const MAX_CPUS = 8192;

/** The CPUs of a machine by the kernel's numbers, ascending. */
export interface KernelCpus {
  readonly possible: readonly number[];
  readonly present: readonly number[];
  readonly online: readonly number[];
  /** Where the notes of each possible CPU are, physical; null where the kernel does not tell. */
  readonly crashNotes: ReadonlyMap<number, { readonly address: bigint; readonly size: bigint }> | null;
}

export interface CpuSymbols {
  readonly possible: bigint;
  readonly present: bigint;
  readonly online: bigint;
  readonly count: bigint;
  readonly crashNotes: bigint | undefined;
  readonly perCpuOffset: bigint | undefined;
}

/** @param notesSize bytes of the notes of one CPU */
export function readCpus(memory: KernelMemory, symbols: CpuSymbols, notesSize: number | undefined): KernelCpus {
  const count = memory.u32(symbols.count);
  if (count === 0 || count > MAX_CPUS) {
    throw new KdumpError('input', 'the kernel has an impossible number of CPUs', { found: String(count), expected: `at most ${MAX_CPUS}` });
  }
  const possible = readMask(memory, symbols.possible, count);
  return {
    possible,
    present: readMask(memory, symbols.present, count),
    online: readMask(memory, symbols.online, count),
    crashNotes:
      symbols.crashNotes === undefined || symbols.perCpuOffset === undefined || notesSize === undefined
        ? null
        : readCrashNotes(memory, possible, memory.u64(symbols.crashNotes), symbols.perCpuOffset, BigInt(notesSize)),
  };
}

/** struct cpumask: an array of longs, of which the first holds the first 64 CPUs. */
function readMask(memory: KernelMemory, address: bigint, count: number): number[] {
  const bytes = 8 * Math.ceil(count / 64);
  const view = memory.view(address, bytes);
  const cpus: number[] = [];
  for (let cpu = 0; cpu < count; cpu += 1) {
    const word = view.getBigUint64(8 * Math.floor(cpu / 64), memory.isLittleEndian);
    if (((word >> BigInt(cpu % 64)) & 1n) === 1n) cpus.push(cpu);
  }
  return cpus;
}

/** As crash_notes_show() in drivers/base/cpu.c tells them: per_cpu_ptr(crash_notes, cpu), physical. */
function readCrashNotes(
  memory: KernelMemory,
  cpus: readonly number[],
  notes: bigint,
  perCpuOffset: bigint,
  size: bigint,
): KernelCpus['crashNotes'] {
  return new Map(
    cpus.map((cpu) => {
      const address = BigInt.asUintN(64, notes + memory.u64(perCpuOffset + 8n * BigInt(cpu)));
      return [cpu, { address: memory.translate(address), size }];
    }),
  );
}
