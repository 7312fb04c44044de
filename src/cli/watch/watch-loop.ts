import { KdumpError, printable } from '../../errors.js';
import { readMachineState } from '../../machine/read-machine-state.js';
import { EventReader } from '../../machine/events/event-reader.js';
import { needsImage } from '../../watch/resolve.js';
import { failureOf, type EventReport, type WatchEvent } from '../../watch/event.js';
import { reportWithoutImage } from '../../watch/plan-burst.js';
import type { Context } from '../command.js';
import type { WatchOptions } from '../options/watch-options.js';
import { DeviceWatch } from '../guest/device-watch.js';
import { openGuest } from '../guest/guest-session.js';
import type { Outcome } from '../outcome.js';
import { EndSignals } from './end-signals.js';
import { openPatcher, type BurstPatcher } from './patch-burst.js';
import { EventPrinter } from './print-events.js';

const SETTLE_MS = 50;
/** A stream that never falls silent is written at least so often. */
const LONGEST_WAIT_MS = 1000;
/** Most events in one burst. */
const MAX_BURST = 4096;
/** Waits before another attempt, for an image that somebody else is at, or that is being loaded anew. */
const RETRY_MS = [200, 400, 800, 1600];
const INTERVAL_MS = 1000;

/**
 * Applies events until standard input ends, or the guest does, or a signal comes; what has come by then is applied first.
 *
 * @throws KdumpError when the image cannot be opened at the start
 */
export async function watch(context: Context, image: string | undefined, given: WatchOptions): Promise<Outcome> {
  const { iomem, deviceTree, cpus } = given;
  // Memory comes and goes, the crashkernel ranges stay while a machine runs.
  const options = { ...given, machine: readMachineState(context.fileSystem, { iomem, deviceTree, cpus }) };
  const guest = options.qmp === undefined ? undefined : await openGuest(context, options.qmp, image, options);
  try {
    const printer = new EventPrinter(context.console, options.json === true);
    const signals = new EndSignals();
    const patcher = openPatcher(context, guest ?? image ?? '', options, signals);
    const loop = new WatchLoop(patcher, printer, signals, options.settle ?? SETTLE_MS);
    if (guest !== undefined) {
      const onChange = (): void => {
        patcher.compareGuest();
        loop.wake();
      };
      const devices = new DeviceWatch(guest, context, options.interval ?? INTERVAL_MS, patcher.isChangedByOthers, onChange);
      guest.qmp.onClose(() => {
        loop.stop();
      });
      await devices.start();
    }
    await loop.run(guest === undefined, () => {
      context.console.note(`watching ${printable(patcher.path)}`);
    });
    return printer.outcome;
  } finally {
    guest?.qmp.close();
  }
}

/** Collects events into bursts, and has one burst at a time written. */
class WatchLoop {
  private readonly reader = new EventReader();
  private pending: WatchEvent[] = [];
  private isWoken = false;
  private isEnding = false;
  private firstAt = 0;
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> | undefined;
  private finished: () => void = () => undefined;
  private failed: (error: unknown) => void = () => undefined;

  private readonly patcher: BurstPatcher;
  private readonly printer: EventPrinter;
  private readonly signals: EndSignals;
  private readonly settleMs: number;

  constructor(patcher: BurstPatcher, printer: EventPrinter, signals: EndSignals, settleMs: number) {
    this.patcher = patcher;
    this.printer = printer;
    this.signals = signals;
    this.settleMs = settleMs;
  }

  /**
   * @param endsWithInput else a signal or `stop` ends it
   * @param onReady is called once no event and no signal can get lost any more
   */
  async run(endsWithInput: boolean, onReady: () => void): Promise<void> {
    const { stdin } = process;
    const stop = (): void => {
      this.stop();
    };
    const done = new Promise<void>((resolve, reject) => {
      this.finished = resolve;
      this.failed = reject;
    });
    this.signals.listen(stop);
    stdin.on('data', this.onData);
    stdin.once('end', () => {
      this.onEnd(endsWithInput);
    });
    stdin.once('error', (error) => {
      this.offer([
        {
          source: 'unknown',
          line: 0,
          text: 'standard input',
          error: new KdumpError('io', 'cannot read standard input', { found: error.message }),
        },
      ]);
      this.onEnd(endsWithInput);
    });
    // A terminal is for whoever sits there, not for events, where there is another source of them.
    if (!endsWithInput && stdin.isTTY) stdin.pause();
    onReady();
    if (this.isWoken) this.schedule();
    if (this.isEnding) stop();
    try {
      await done;
    } finally {
      this.signals.unlisten();
      clearTimeout(this.timer);
      stdin.off('data', this.onData);
      stdin.destroy();
    }
  }

  /** There is something to look at that is no event of the input. */
  wake(): void {
    this.isWoken = true;
    this.schedule();
  }

  /** What has come is applied, and that is all. */
  stop(): void {
    if (!this.isEnding) this.pending.push(...this.reader.end());
    this.isEnding = true;
    this.flush();
  }

  private readonly onData = (bytes: Uint8Array): void => {
    this.offer(this.reader.push(bytes));
  };

  private onEnd(isAll: boolean): void {
    if (isAll) this.stop();
    else this.offer(this.reader.end());
  }

  private offer(events: readonly WatchEvent[]): void {
    if (this.isEnding || events.length === 0) return;
    if (this.pending.length === 0) this.firstAt = performance.now();
    this.pending.push(...events);
    if (this.pending.length >= MAX_BURST) {
      process.stdin.pause();
      this.flush();
    } else this.schedule();
  }

  private schedule(): void {
    if (this.running !== undefined) return;
    clearTimeout(this.timer);
    const left = this.firstAt + LONGEST_WAIT_MS - performance.now();
    const wait = this.pending.length === 0 ? this.settleMs : Math.max(0, Math.min(this.settleMs, left));
    this.timer = setTimeout(() => {
      this.flush();
    }, wait);
  }

  private flush(): void {
    clearTimeout(this.timer);
    if (this.running !== undefined) return;
    this.running = this.writeAll().then(
      () => {
        this.running = undefined;
        if (this.isEnding) this.finished();
      },
      (error: unknown) => {
        this.failed(error);
      },
    );
  }

  /** Writes bursts until nothing is left that came meanwhile. */
  private async writeAll(): Promise<void> {
    while (this.pending.length > 0 || this.isWoken) {
      const burst = this.pending.splice(0, MAX_BURST);
      this.isWoken = false;
      await this.write(burst);
      if (this.pending.length < MAX_BURST && process.stdin.isPaused() && !process.stdin.isTTY) process.stdin.resume();
    }
  }

  private async write(burst: WatchEvent[]): Promise<void> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        this.printer.print(await this.patcher.patch(burst));
        return;
      } catch (error) {
        if (!(error instanceof KdumpError)) throw error;
        const wait = RETRY_MS[attempt];
        if (wait === undefined || (this.isEnding && attempt > 0 && error.kind !== 'io')) {
          this.printer.print({ reports: failures(burst, error), write: undefined });
          return;
        }
        await new Promise((resolve) => setTimeout(resolve, wait));
        // What came meanwhile may be what overtakes it.
        burst.push(...this.pending.splice(0, MAX_BURST));
      }
    }
  }
}

function failures(burst: readonly WatchEvent[], error: KdumpError): EventReport[] {
  if (burst.length === 0) return [failureOf({ source: 'qmp', line: undefined, text: 'devices', changes: [] }, error)];
  return burst.map((event) => (needsImage(event) ? failureOf(event, error) : reportWithoutImage(event)));
}
