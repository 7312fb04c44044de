import { hex } from '../errors.js';
import { formatRange, sizeOf, type Range } from '../memory/range.js';
import { formatSize, sizeToJson } from '../text/numbers.js';
import type { CrashNotes } from './machine-cpus.js';

/** `add`: appeared or came online; `remove`: went away or was taken offline. */
export type ChangeAction = 'add' | 'remove';

/** System RAM that appeared or went away. */
export interface MemoryChange {
  readonly action: ChangeAction;
  readonly memory: Range;
  /** Its NUMA node, by Linux's number: the kernel joins ranges within one only (docs/rules.md). */
  readonly node?: number | undefined;
}

/** A CPU that appeared or went away. */
export interface CpuChange {
  readonly action: ChangeAction;
  readonly cpu: CpuOfChange;
}

/** Which CPU, and what is known of it. */
export interface CpuOfChange {
  /** As in `reg` of the CPU's node; at most 2^32 - 1. */
  readonly id: number;
  /** Properties of the CPU's node by name, as the bytes that the device tree holds. */
  readonly properties?: ReadonlyMap<string, Uint8Array>;
  /** Physical memory of the CPU's crash notes, where the elfcorehdr lists present CPUs only. */
  readonly crashNotes?: CrashNotes;
}

/** One hotplug event, as it is to be made in an image. */
export type Change = MemoryChange | CpuChange;

/** A change as `--json` prints it. It is also a change of a change file. */
export type ChangeJson =
  | { action: ChangeAction; memory: { start: string; size: number | string; node?: number } }
  | {
      action: ChangeAction;
      cpu: {
        id: number;
        properties?: Record<string, { hex: string }>;
        crashNotes?: { address: string; size: number | string };
      };
    };

/** One line for people: `add memory 0x80000000-0x8fffffff (256 MiB)`, `remove CPU 2`. */
export function formatChange(change: Change): string {
  return 'memory' in change
    ? `${change.action} memory ${formatRange(change.memory)} (${formatSize(sizeOf(change.memory))})`
    : `${change.action} CPU ${change.cpu.id}`;
}

/** The change in the one form that all its spellings come down to: addresses as `"0x…"`, properties as bytes. */
export function changeToJson(change: Change): ChangeJson {
  if ('memory' in change) {
    const { action, memory, node } = change;
    return { action, memory: { start: hex(memory.start), size: sizeToJson(sizeOf(memory)), ...(node === undefined ? {} : { node }) } };
  }
  const { id, properties, crashNotes } = change.cpu;
  return {
    action: change.action,
    cpu: {
      id,
      ...(properties === undefined
        ? {}
        : { properties: Object.fromEntries([...properties].map(([name, value]) => [name, { hex: Buffer.from(value).toString('hex') }])) }),
      ...(crashNotes === undefined ? {} : { crashNotes: { address: hex(crashNotes.address), size: sizeToJson(crashNotes.size) } }),
    },
  };
}
