import { KdumpError, printable } from '../../errors.js';
import { excerpt } from '../../text/excerpt.js';
import { formatChange, type Change } from '../change.js';
import { parseChanges } from '../changes.js';
import { looksLikeDlpar, parseDlpar, type DlparRequest } from './dlpar.js';
import { LineSplitter, MAX_EVENT_LINE, type InputLine } from './lines.js';
import { UdevReader, type UdevEvent, type UdevItem } from './udev.js';

/** One event of the stream, not yet resolved. `line` is where it begins; `text` is what to call it on one line. */
export type HotplugEvent = { readonly line: number; readonly text: string } & (
  | { readonly source: 'udev'; readonly udev: UdevEvent }
  | { readonly source: 'dlpar'; readonly dlpar: DlparRequest }
  | { readonly source: 'change'; readonly change: Change }
  /** Nothing that could be read, or understood: why. */
  | { readonly source: 'unknown'; readonly error: KdumpError }
);

const EXPECTED = 'a udev event, a change as JSON, or a DLPAR string';

/** Reads events of all kinds, mixed line by line, from a stream that arrives in pieces. Never throws: what is wrong is an event, too. */
export class EventReader {
  private readonly lines = new LineSplitter();
  private readonly udev = new UdevReader();

  push(bytes: Uint8Array): HotplugEvent[] {
    return this.lines.push(bytes).flatMap((line) => this.take(line));
  }

  /** What the end of the stream completes. A line that it cuts counts only where it is certain to be whole. */
  end(): HotplugEvent[] {
    const last = this.lines.end();
    return [...(last === undefined ? [] : this.take(last)), ...this.endOfUdev()];
  }

  private take(line: InputLine): HotplugEvent[] {
    const text = line.text.trimEnd();
    if (line.state === 'too long') {
      return [
        ...this.endOfUdev(),
        wrong(line, new KdumpError('usage', 'line is too long', { found: excerpt(text), expected: `at most ${MAX_EVENT_LINE} bytes` })),
      ];
    }
    if (line.state === 'whole' && this.udev.isForMe(text)) return udevEvents(this.udev.take({ ...line, text }));
    // Of a udev event that is cut, the lines before tell whether it is whole.
    const belongsToCutEvent = line.state === 'cut' && this.udev.isOpen && this.udev.isForMe(text);
    const open = this.endOfUdev();
    if (text === '' || belongsToCutEvent) return open;
    return [...open, ...otherEvents({ ...line, text: text.trimStart() })];
  }

  private endOfUdev(): HotplugEvent[] {
    return udevEvents(this.udev.end());
  }
}

function udevEvents(item: UdevItem | undefined): HotplugEvent[] {
  if (item === undefined) return [];
  const { line, event, error } = item;
  if (event === undefined) return [{ source: 'unknown', line, text: 'udev event', error }];
  const { action, subsystem, devicePath } = event;
  const device = devicePath.slice(devicePath.lastIndexOf('/') + 1);
  const text = short(`${action} ${subsystem === 'memory' || subsystem === 'cpu' ? '' : `${subsystem} `}${device}`);
  return [{ source: 'udev', line, udev: event, text }];
}

function otherEvents(line: InputLine): HotplugEvent[] {
  const { number, text, state } = line;
  try {
    if (text.startsWith('{')) {
      return parseChanges(text, number).map((change) => ({ source: 'change', line: number, change, text: formatChange(change) }));
    }
    if (looksLikeDlpar(text)) return [{ source: 'dlpar', line: number, dlpar: parseDlpar(text, state === 'cut'), text: short(text) }];
    if (state === 'cut') {
      throw new KdumpError('usage', 'the input ends in the middle of a line', { found: excerpt(text), expected: 'a line end behind it' });
    }
    throw new KdumpError('usage', 'not an event', { found: excerpt(text), expected: EXPECTED });
  } catch (error) {
    if (!(error instanceof KdumpError)) throw error;
    return [wrong(line, error)];
  }
}

function wrong({ number, text }: InputLine, error: KdumpError): HotplugEvent {
  return { source: 'unknown', line: number, text: short(text), error };
}

function short(text: string): string {
  return printable(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}
