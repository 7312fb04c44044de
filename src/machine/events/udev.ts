import { KdumpError } from '../../errors.js';
import { excerpt } from '../../text/excerpt.js';
import type { InputLine } from './lines.js';

/** An event of the kernel as `udevadm monitor` prints it. */
export interface UdevEvent {
  /** Such as `add`, `remove`, `online`, `offline`, `change`. */
  readonly action: string;
  readonly subsystem: string;
  /** Below /sys, such as `/devices/system/memory/memory32`. */
  readonly devicePath: string;
  /** Path of the device tree node that the kernel has for the device (of_device_uevent in drivers/of/device.c). */
  readonly nodePath: string | undefined;
  /**
   * Somebody wrote to the `uevent` file of the device, as `udevadm trigger` does: nothing came or went. The kernel marks such events with
   * SYNTH_UUID since Linux 4.13 (Documentation/ABI/testing/sysfs-uevent).
   */
  readonly isSynthetic: boolean;
}

const HEADER = /^(KERNEL|UDEV) *\[[0-9.]+\] +([a-z]+) +(\/\S+) +\(([^)\s]*)\)$/;
const PROPERTY = /^([A-Za-z_][A-Za-z0-9_.]*)=(.*)$/;
const PREAMBLE = /^(monitor will print the received events for:|UDEV - .*|KERNEL - .*)$/;
const KEPT = ['ACTION', 'DEVPATH', 'SUBSYSTEM', 'SEQNUM', 'OF_FULLNAME', 'SYNTH_UUID'] as const;
type Key = (typeof KEPT)[number];
/** Events whose second half, of the kernel or of udev, may still come. */
const MAX_WAITING = 4096;

interface Block {
  readonly line: number;
  readonly header:
    { readonly source: string; readonly action: string; readonly devicePath: string; readonly subsystem: string } | undefined;
  readonly properties: Map<Key, string>;
}

/** An event with the number of its first line, or what is wrong with it: a block that is no whole event is given up. */
export type UdevItem = { readonly line: number } & (
  { readonly event: UdevEvent; readonly error?: undefined } | { readonly event?: undefined; readonly error: KdumpError }
);

/**
 * Reads what `udevadm monitor`, with or without `--property`, prints, line by line. An event has a header, or properties, or both; a blank line, the
 * next header or the next `ACTION=` ends it. The kernel's and udev's report of one event count once.
 */
export class UdevReader {
  private block: Block | undefined;
  /** Source of the first report by its identity. */
  private readonly reported = new Map<string, string>();

  /** Whether the lines so far end inside an event. */
  get isOpen(): boolean {
    return this.block !== undefined;
  }

  /** Whether `text` is of the kind that this reads. A blank line is, only inside an event. */
  isForMe(text: string): boolean {
    return HEADER.test(text) || PREAMBLE.test(text) || PROPERTY.test(text) || (text === '' && this.block !== undefined);
  }

  /** @returns the event that this line brings to its end */
  take({ number, text }: InputLine): UdevItem | undefined {
    const header = HEADER.exec(text);
    if (header !== null) {
      const [, source = '', action = '', devicePath = '', subsystem = ''] = header;
      return this.next({ line: number, header: { source, action, devicePath, subsystem }, properties: new Map() });
    }
    if (text === '' || PREAMBLE.test(text)) return this.next(undefined);
    const [, key = '', value = ''] = PROPERTY.exec(text) ?? [];
    const begins = this.block === undefined || (key === 'ACTION' && this.block.properties.has('ACTION'));
    const block = begins ? { line: number, header: undefined, properties: new Map<Key, string>() } : (this.block as Block);
    if (isKept(key)) block.properties.set(key, value);
    return begins ? this.next(block) : undefined;
  }

  /** The event that was still open. */
  end(): UdevItem | undefined {
    return this.next(undefined);
  }

  private next(block: Block | undefined): UdevItem | undefined {
    const ended = this.block;
    this.block = block;
    if (ended === undefined) return undefined;
    const { line } = ended;
    try {
      const event = eventOf(ended);
      return this.isSecondReport(ended, event) ? undefined : { line, event };
    } catch (error) {
      if (!(error instanceof KdumpError)) throw error;
      return { line, error };
    }
  }

  private isSecondReport({ header, properties }: Block, { action, devicePath }: UdevEvent): boolean {
    if (header === undefined) return false;
    const identity = `${properties.get('SEQNUM') ?? ''} ${action} ${devicePath}`;
    const first = this.reported.get(identity);
    if (first !== undefined && first !== header.source) {
      this.reported.delete(identity);
      return true;
    }
    this.reported.set(identity, header.source);
    if (this.reported.size > MAX_WAITING) this.reported.delete(this.reported.keys().next().value as string);
    return false;
  }
}

function isKept(key: string): key is Key {
  return (KEPT as readonly string[]).includes(key);
}

function eventOf({ line, header, properties }: Block): UdevEvent {
  const fields = {
    ACTION: { given: properties.get('ACTION'), header: header?.action },
    DEVPATH: { given: properties.get('DEVPATH')?.replace(/^\/sys(?=\/)/, ''), header: header?.devicePath },
    SUBSYSTEM: { given: properties.get('SUBSYSTEM'), header: header?.subsystem },
  };
  for (const [name, each] of Object.entries(fields)) {
    if (each.given !== undefined && each.header !== undefined && each.given !== each.header) {
      throw wrongBlock(line, `header and ${name} of a udev event differ`, `${excerpt(each.header)} and ${excerpt(each.given)}`, 'the same');
    }
  }
  const value = (name: keyof typeof fields): string => {
    const found = fields[name].given ?? fields[name].header;
    if (found === undefined || found === '')
      throw wrongBlock(line, 'a udev event is not whole', `no ${name}`, 'ACTION, SUBSYSTEM and DEVPATH, then a blank line');
    return found;
  };
  return {
    action: value('ACTION'),
    devicePath: value('DEVPATH'),
    subsystem: value('SUBSYSTEM'),
    nodePath: properties.get('OF_FULLNAME'),
    isSynthetic: properties.has('SYNTH_UUID'),
  };
}

function wrongBlock(line: number, problem: string, found: string, expected: string): KdumpError {
  return new KdumpError('usage', problem, { segment: `line ${line}`, found, expected });
}
