import type { HotplugEvent } from '../machine/events/event-reader.js';
import { changeToJson, type Change, type ChangeJson } from '../machine/change.js';

/** What a watch is told: an event of its input, or what it saw of a guest itself. */
export type WatchEvent =
  HotplugEvent | { readonly line: undefined; readonly text: string; readonly source: 'qmp'; readonly changes: readonly Change[] };

/**
 * - `applied`; `planned` where nothing is to be written
 * - `nothing to do`: the image is so already, or another event of the same burst overtakes this one
 * - `ignored`: no event of memory or CPUs
 * - `refused`: understood, and not made
 * - `malformed`: not understood
 * - `failed`: reading or writing failed
 */
export type EventOutcome = 'applied' | 'planned' | 'nothing to do' | 'ignored' | 'refused' | 'malformed' | 'failed';

/** What became of one event. */
export interface EventReport {
  readonly event: WatchEvent;
  readonly outcome: EventOutcome;
  /** What the event came to, whether it was made or not. */
  readonly changes: readonly Change[];
  readonly reason: string;
}

/** The write that a burst came to. */
export interface BurstWrite {
  /** From 1. */
  readonly number: number;
  /** How long the guest stood still for it, where it was paused. */
  readonly pausedMs: number | undefined;
}

/** A report as `watch --json` prints it. */
export interface EventReportJson {
  line: number | null;
  source: WatchEvent['source'];
  event: string;
  /** Whether nothing came or went, as `udevadm trigger` makes events. */
  synthetic: boolean;
  outcome: EventOutcome;
  changes: ChangeJson[];
  reason: string | null;
  write: number | null;
  pausedMs?: number;
}

export function reportToJson({ event, outcome, changes, reason }: EventReport, write: BurstWrite | undefined): EventReportJson {
  const written = outcome === 'applied' ? write : undefined;
  return {
    line: event.line ?? null,
    source: event.source,
    event: event.text,
    synthetic: event.source === 'udev' && event.udev.isSynthetic,
    outcome,
    changes: changes.map(changeToJson),
    reason: reason === '' ? null : reason,
    write: written?.number ?? null,
    ...(written?.pausedMs === undefined ? {} : { pausedMs: written.pausedMs }),
  };
}
