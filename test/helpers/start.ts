import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { PROGRAM, type RunResult } from './run.js';

/** The bundled program, running beside the test. */
export interface Started {
  readonly process: ChildProcessWithoutNullStreams;
  readonly ended: Promise<RunResult & { readonly signal: NodeJS.Signals | null }>;
  /** Until standard output or error has said so, or an error after 20 s. */
  readonly says: (text: string) => Promise<void>;
}

export function start(args: readonly string[]): Started {
  const child = spawn(process.execPath, [PROGRAM, ...args]);
  let [stdout, stderr] = ['', ''];
  const watchers = new Set<() => void>();
  const collect = (keep: (text: string) => void) => (data: Buffer) => {
    keep(data.toString());
    for (const watcher of watchers) watcher();
  };
  child.stdout.on(
    'data',
    collect((text) => (stdout += text)),
  );
  child.stderr.on(
    'data',
    collect((text) => (stderr += text)),
  );
  child.stdin.on('error', () => undefined);
  return {
    process: child,
    ended: new Promise((resolve) => {
      child.once('close', (status, signal) => {
        resolve({ status, signal, stdout, stderr });
      });
    }),
    says: (text) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          reject(new Error(`waited for ${text}; it said ${stdout}${stderr}`));
        }, 20_000);
        const look = (): void => {
          if (!`${stdout}${stderr}`.includes(text)) return;
          clearTimeout(timer);
          watchers.delete(look);
          resolve();
        };
        watchers.add(look);
        look();
      }),
  };
}
