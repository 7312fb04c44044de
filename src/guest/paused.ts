import { KdumpError } from '../errors.js';
import { excerpt } from '../text/excerpt.js';
import { objectOf, type Qmp } from './qmp.js';
import { startWatchdog } from './watchdog.js';

export interface Paused<T> {
  readonly result: T;
  /** How long the guest stood still, in milliseconds: by QEMU's clock, else by ours. 0 where it did so before. */
  readonly pausedMs: number;
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** States in which the memory of a guest is on its way to or from elsewhere. */
const MOVING = ['inmigrate', 'finish-migrate', 'postmigrate', 'colo', 'save-vm', 'restore-vm'];
const MIGRATING = ['setup', 'active', 'pre-switchover', 'device', 'postcopy-active', 'postcopy-paused', 'postcopy-recover', 'wait-unplug'];

/**
 * Pauses the guest while `work` runs. Unless somebody else paused it, it is resumed whatever happens: after an error by this process, and
 * after its end, of whatever kind, by a watchdog that was started before the guest was paused. A signal waits until the guest runs again.
 *
 * @throws what `work` throws; KdumpError `io` when QEMU does not do as it is told; `refused` while the guest migrates
 */
export async function whilePaused<T>(qmp: Qmp, work: () => T): Promise<Paused<T>> {
  if (!(await isRunning(qmp))) return { result: work(), pausedMs: 0 };
  const watchdog = await startWatchdog(qmp);
  const signals = new DeferredSignals();
  const clock = new PauseClock(qmp);
  let failure: { error: unknown } | undefined;
  let result: T | undefined;
  let isOurs = true;
  try {
    clock.stopping();
    await qmp.execute('stop');
    // QEMU tells of a pause before it answers the command. Without that, somebody else paused the guest since it was asked whether it runs.
    isOurs = clock.hasStopped;
    result = work();
  } catch (error) {
    failure = { error };
  }
  try {
    if (isOurs) {
      await qmp.execute('cont');
      clock.resumed();
    }
    watchdog.dismiss();
  } catch (error) {
    // Somebody else's turn: it goes on trying when we cannot.
    watchdog.release();
    failure ??= { error };
  } finally {
    clock.end();
    await signals.end();
  }
  if (failure !== undefined) throw failure.error;
  return { result: result as T, pausedMs: isOurs ? clock.milliseconds : 0 };
}

/** @throws KdumpError `refused` while the guest migrates */
async function isRunning(qmp: Qmp): Promise<boolean> {
  const status = objectOf(await qmp.execute('query-status'));
  const migration = objectOf(await qmp.execute('query-migrate')).get('status');
  const state = status.get('status');
  const moving =
    typeof migration === 'string' && MIGRATING.includes(migration)
      ? migration
      : typeof state === 'string' && MOVING.includes(state)
        ? state
        : undefined;
  if (moving !== undefined) {
    throw new KdumpError('refused', 'the guest migrates, and what is written into its memory file now may not arrive', {
      file: qmp.path,
      found: excerpt(moving),
      remedy: 'try again when the migration has ended',
    });
  }
  const running = status.get('running');
  if (typeof running !== 'boolean')
    throw new KdumpError('io', 'QEMU does not tell whether the guest runs', { code: 'monitor', file: qmp.path });
  return running;
}

/** Measures from the event STOP to the event RESUME, which QEMU sends with the time when they happened. */
class PauseClock {
  private readonly times = new Map<string, number>();
  private readonly own = { start: 0, end: 0 };
  readonly end: () => void;

  constructor(qmp: Qmp) {
    this.end = qmp.onEvent(({ name, time }) => {
      if (name === 'STOP' || name === 'RESUME') this.times.set(name, time);
    });
  }

  stopping(): void {
    this.own.start = performance.now();
  }

  resumed(): void {
    this.own.end = performance.now();
  }

  /** Whether QEMU told so. */
  get hasStopped(): boolean {
    return this.times.has('STOP');
  }

  get milliseconds(): number {
    const byQemu = ((this.times.get('RESUME') ?? NaN) - (this.times.get('STOP') ?? NaN)) / 1000;
    return Math.round((byQemu >= 0 ? byQemu : this.own.end - this.own.start) * 10) / 10;
  }
}

/** Keeps signals that would end this process until the guest runs again; then they end it, unless somebody else listens for them. */
class DeferredSignals {
  private came: NodeJS.Signals | undefined;
  private readonly keep = (signal: NodeJS.Signals): void => {
    this.came ??= signal;
  };

  constructor() {
    for (const signal of SIGNALS) process.on(signal, this.keep);
  }

  async end(): Promise<void> {
    // Node hears of a signal only when it looks for events again.
    await new Promise((resolve) => setTimeout(resolve, 1));
    for (const signal of SIGNALS) process.off(signal, this.keep);
    if (this.came !== undefined && process.listenerCount(this.came) === 0) process.kill(process.pid, this.came);
  }
}
