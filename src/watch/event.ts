import type { HotplugEvent } from '../machine/events/event-reader.js';
import type { ErrorCode, KdumpErrorKind } from '../codes.js';
import type { KdumpError } from '../errors.js';
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
  /** What keeps it from being made, where it is refused, malformed or failed. */
  readonly error?: KdumpError;
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
  /** Of what keeps it from being made, as in the document of a command that fails; null where nothing does. */
  code: ErrorCode | null;
  kind: KdumpErrorKind | null;
  write: number | null;
  pausedMs?: number;
}

export function reportToJson({ event, outcome, changes, reason, error }: EventReport, write: BurstWrite | undefined): EventReportJson {
  const written = outcome === 'applied' ? write : undefined;
  return {
    line: event.line ?? null,
    source: event.source,
    event: event.text,
    synthetic: event.source === 'udev' && event.udev.isSynthetic,
    outcome,
    changes: changes.map(changeToJson),
    reason: reason === '' ? null : reason,
    code: error?.code ?? null,
    kind: error?.kind ?? null,
    write: written?.number ?? null,
    ...(written?.pausedMs === undefined ? {} : { pausedMs: written.pausedMs }),
  };
}

/** The report of an event that `error` keeps from being made. */
export function failureOf(event: WatchEvent, error: KdumpError, changes: readonly Change[] = []): EventReport {
  return { event, outcome: OUTCOMES[error.kind], changes, reason: error.message, error };
}

const OUTCOMES: Record<KdumpErrorKind, EventOutcome> = { usage: 'malformed', input: 'refused', refused: 'refused', io: 'failed' };
