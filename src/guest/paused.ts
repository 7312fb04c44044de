import { KdumpError } from '../errors.js';
import { excerpt } from '../text/excerpt.js';
import { objectOf, type Qmp } from './qmp.js';
import { startWatchdog } from './watchdog.js';

export interface Paused<T> {
  readonly result: T;
  /** How long the guest stood still, in milliseconds: by QEMU's clock, else by ours. 0 where it did so before. */
  readonly pausedMs: number;
}

/** How long a guest stands still at most, whatever becomes of this process. */
export const PAUSE_DEADLINE_S = 10;
/** No first byte is written later than this. What was begun may take the rest of the time, to be finished or rolled back. */
const LATEST_START_MS = 5000;
/** SIGTSTP too: a terminal's Ctrl-Z would stop this process in the pause. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGTSTP'] as const;
/** States in which the memory of a guest is on its way to or from elsewhere. */
const MOVING = ['inmigrate', 'finish-migrate', 'postmigrate', 'colo', 'save-vm', 'restore-vm'];
const MIGRATING = ['setup', 'active', 'pre-switchover', 'device', 'postcopy-active', 'postcopy-paused', 'postcopy-recover', 'wait-unplug'];

/**
 * Pauses the guest while `work` runs. Unless somebody else paused it, it is resumed whatever happens: after an error by this process, and
 * after its end, of whatever kind, by a watchdog that was started before the guest was paused. A signal waits until the guest runs again.
 * If this process is not done within {@link PAUSE_DEADLINE_S}, being stopped or waiting for a disk, the watchdog ends it and resumes the guest.
 *
 * @throws what `work` throws; KdumpError `io` when QEMU does not do as it is told, or not in time; `refused` while the guest migrates
 */
export async function whilePaused<T>(qmp: Qmp, work: () => T): Promise<Paused<T>> {
  if (!(await isRunning(qmp))) return { result: work(), pausedMs: 0 };
  const begin = performance.now();
  const watchdog = await startWatchdog(qmp, PAUSE_DEADLINE_S);
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
    if (!isOurs && (await isRunning(qmp))) throw new KdumpError('io', 'QEMU did not pause the guest', { file: qmp.path });
    refuseLate(qmp, performance.now() - begin);
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

/** @throws KdumpError `io` after a time in which this process was stopped, or QEMU slow: the guest has to run again */
function refuseLate({ path }: Qmp, milliseconds: number): void {
  if (milliseconds <= LATEST_START_MS) return;
  throw new KdumpError('io', 'the guest was paused for too long before anything was written', {
    file: path,
    found: `${Math.round(milliseconds)} ms`,
    expected: `at most ${LATEST_START_MS}`,
    remedy: 'nothing was written; try again',
  });
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

/** Keeps signals that would end or stop this process until the guest runs again; then they do, unless somebody else listens for them. */
class DeferredSignals {
  private readonly came = new Set<NodeJS.Signals>();
  private readonly keep = (signal: NodeJS.Signals): void => {
    this.came.add(signal);
  };

  constructor() {
    for (const signal of SIGNALS) process.on(signal, this.keep);
  }

  async end(): Promise<void> {
    // Node hears of a signal only when it looks for events again.
    await new Promise((resolve) => setTimeout(resolve, 1));
    for (const signal of SIGNALS) process.off(signal, this.keep);
    for (const signal of this.came) if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
  }
}
