import { printable } from '../../errors.js';
import { reportToJson, type EventOutcome } from '../../watch/event.js';
import { jsonText } from '../../text/json-text.js';
import type { Console } from '../console.js';
import type { Outcome } from '../outcome.js';
import type { PatchedBurst } from './patch-burst.js';
import { renderEvent } from '../render/render-event.js';

/** What each outcome makes of the exit code; the first one that happened counts. */
const WORST: readonly (readonly [EventOutcome, Outcome])[] = [
  ['failed', 'io'],
  ['refused', 'refused'],
  ['malformed', 'usage'],
];

/** Prints what became of events, one line each, and keeps what the command came to. */
export class EventPrinter {
  private readonly happened = new Set<EventOutcome>();

  private readonly console: Console;
  private readonly isJson: boolean;

  constructor(console: Console, isJson: boolean) {
    this.console = console;
    this.isJson = isJson;
  }

  get outcome(): Outcome {
    return WORST.find(([outcome]) => this.happened.has(outcome))?.[1] ?? 'done';
  }

  print({ reports, write }: PatchedBurst): void {
    for (const report of reports) {
      this.happened.add(report.outcome);
      if (this.isJson) this.console.print(jsonText(reportToJson(report, write)));
      else
        this.console.result(
          () => ({}),
          (theme) => renderEvent(report, theme),
        );
    }
    if (write === undefined) return;
    const made = reports.filter(({ outcome }) => outcome === 'applied').length;
    const paused = write.pausedMs === undefined ? '' : `, guest paused for ${write.pausedMs} ms`;
    this.console.note(`${printable(write.path)}: ${made} ${made === 1 ? 'event' : 'events'} in one write of ${write.bytes} bytes${paused}`);
  }
}
