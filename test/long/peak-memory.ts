import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PROGRAM } from '../helpers/run.js';

export interface Measured {
  readonly status: number | null;
  readonly stderr: string;
  /** The most memory that the program had at once, in MiB: VmHWM of /proc/self/status. */
  readonly peak: number;
  readonly seconds: number;
}

/** Runs the program. Not getrusage(2): its figure begins with the memory of the process that started it. */
export function measured(args: readonly string[], folder: string): Measured {
  const [hook, result] = [join(folder, 'peak.cjs'), join(folder, 'peak.txt')];
  const quoted = JSON.stringify(result);
  writeFileSync(
    hook,
    `const fs = require('fs'); process.on('exit', () => fs.writeFileSync(${quoted}, fs.readFileSync('/proc/self/status')));`,
  );
  rmSync(result, { force: true });
  const started = performance.now();
  const { status, stderr } = spawnSync(process.execPath, ['--require', hook, PROGRAM, ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: 300_000,
  });
  const seconds = (performance.now() - started) / 1000;
  const peak = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(result, 'latin1'))?.[1];
  if (peak === undefined) throw new Error(`no VmHWM of ${args.join(' ')}: ${stderr}`);
  return { status, stderr, peak: Number(peak) / 1024, seconds };
}
