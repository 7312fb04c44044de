import { printable } from '../../errors.js';
import { formatChange } from '../../machine/change.js';
import type { EventOutcome, EventReport } from '../../watch/event.js';
import type { Theme } from './theme.js';

const WIDTH = Math.max(...(['nothing to do'] satisfies EventOutcome[]).map((each) => each.length));
const SHOWN = 3;

/** What became of an event, on one line: `applied        line 3  online memory8: add memory 0x80000000-0x8fffffff (256 MiB)`. */
export function renderEvent({ event, outcome, changes, reason }: EventReport, theme: Theme): string {
  const isMade = outcome === 'applied' || outcome === 'planned';
  const shown = changes.slice(0, SHOWN).map(formatChange);
  const made = [...shown, ...(changes.length > SHOWN ? [`${changes.length - SHOWN} more`] : [])].join(', ');
  const where = event.line === undefined ? event.source : `line ${event.line}`;
  // A change is called by what it does already.
  const detail = isMade ? [event.text === made ? '' : made, reason === '' ? '' : `(${reason})`].filter(Boolean).join(' ') : reason;
  return `${coloured(outcome, theme)}  ${where}  ${event.text}${detail === '' ? '' : `: ${printable(detail)}`}`;
}

function coloured(outcome: EventOutcome, theme: Theme): string {
  const text = outcome.padEnd(WIDTH);
  switch (outcome) {
    case 'applied':
    case 'planned':
      return theme.added(text);
    case 'nothing to do':
    case 'ignored':
      return theme.faint(text);
    case 'refused':
    case 'malformed':
    case 'failed':
      return theme.removed(text);
  }
}
