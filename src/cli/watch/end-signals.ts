import type { Progress } from '../progress.js';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * The signals that end `watch`: once what has come is applied, and a second time at once, as they do by default. While an image is looked for in
 * memory they end it at once, too: Node would hear of them only afterwards, whoever filled that memory decides how long it takes, and nothing is
 * half done then.
 */
export class EndSignals {
  private readonly waiting = new Set<NodeJS.Signals>(SIGNALS);
  private listener: ((signal: NodeJS.Signals) => void) | undefined;

  /** @param end is called at the first signal of each kind */
  listen(end: () => void): void {
    this.listener = (signal) => {
      this.waiting.delete(signal);
      end();
    };
    this.attach();
  }

  unlisten(): void {
    this.detach();
    this.listener = undefined;
  }

  /** Nothing listens during the work. */
  readonly atOnce: Progress = {
    during: (_, action) => {
      this.detach();
      try {
        return action();
      } finally {
        this.attach();
      }
    },
  };

  /** Those that have come are heard. */
  async settled(): Promise<void> {
    // Node looks for them when it looks for events.
    await new Promise((resolve) => setTimeout(resolve, 1));
  }

  private attach(): void {
    if (this.listener !== undefined) for (const signal of this.waiting) process.once(signal, this.listener);
  }

  private detach(): void {
    if (this.listener !== undefined) for (const signal of SIGNALS) process.off(signal, this.listener);
  }
}
