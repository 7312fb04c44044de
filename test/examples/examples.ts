import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FIXTURES } from '../helpers/fixtures.js';
import { PROGRAM, type RunResult } from '../helpers/run.js';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
export const EXAMPLES = join(ROOT, 'examples');

/** What happened to the guest of the fixtures. */
export const CHANGES = [
  { action: 'add', memory: { start: '0x80000000', size: '256M' } },
  { action: 'add', cpu: { id: 2 } },
];

/** The state of a guest by its own account, as `iomem.txt` and the folder `device-tree`; by default after {@link CHANGES}. */
export function writeState(folder: string, state = '02-mem-add-256M'): void {
  const capture = join(FIXTURES, 'captures/ppc64le-6.12-64k', state);
  cpSync(join(capture, 'iomem.txt'), join(folder, 'iomem.txt'));
  mkdirSync(join(folder, 'device-tree'), { recursive: true });
  const { status } = spawnSync('tar', ['xf', join(capture, 'device-tree.tar.gz'), '-C', join(folder, 'device-tree')]);
  if (status !== 0) throw new Error('tar failed');
}

/** The contents of the blocks of shell commands under a heading of a Markdown file, up to the next heading. */
export function shellBlocks(file: string, heading: string): string[] {
  const text = readFileSync(join(ROOT, file), 'utf8');
  const start = text.indexOf(`\n## ${heading}`);
  if (start < 0) throw new Error(`no "## ${heading}" in ${file}`);
  const end = text.indexOf('\n## ', start + 1);
  return [...text.slice(start, end < 0 ? undefined : end).matchAll(/^```sh\n([^]*?)^```$/gm)].map(([, body]) => body ?? '');
}

/** A machine to try the examples on: a folder, programs that only note how they were called, and the program under its own name. */
export class Machine {
  readonly bin: string;
  private readonly calls: string;

  readonly root: string;

  constructor(root: string) {
    this.root = root;
    this.bin = join(root, 'bin');
    this.calls = join(root, 'calls');
    mkdirSync(this.bin, { recursive: true });
    this.program('kdump-hotplug', `exec '${process.execPath}' '${PROGRAM}' "$@"`);
  }

  program(name: string, body: string): void {
    const path = join(this.bin, name);
    writeFileSync(path, `#!/bin/sh\n${body}\n`);
    chmodSync(path, 0o755);
  }

  /** A stand-in that notes its arguments. */
  standIn(name: string, exitCode = 0): void {
    this.program(name, `echo "${name} $*" >> '${this.calls}'\nexit ${exitCode}`);
  }

  /** How the stand-ins were called since the last time. */
  takeCalls(): string[] {
    if (!existsSync(this.calls)) return [];
    const calls = readFileSync(this.calls, 'utf8').trimEnd().split('\n');
    writeFileSync(this.calls, '');
    return calls.filter((call) => call !== '');
  }

  run(command: string, args: readonly string[], { input = '', cwd = this.root, env = {} } = {}): RunResult {
    const { status, stdout, stderr } = spawnSync(command, args, {
      input,
      cwd,
      encoding: 'utf8',
      timeout: 300_000,
      maxBuffer: 1 << 26,
      env: { PATH: `${this.bin}:${process.env.PATH ?? ''}`, HOME: this.root, LC_ALL: 'C.UTF-8', ...env },
    });
    return { status, stdout, stderr };
  }

  /** Runs commands as a user would, with this folder in place of the root of the file system. */
  shell(script: string, options: { cwd?: string; env?: NodeJS.ProcessEnv } = {}): RunResult {
    const here = script.replace(/(?<![\w.}$])\/(etc|run|srv|proc)\//g, `${this.root}/$1/`);
    return this.run('bash', ['-e', '-o', 'pipefail', '-c', here], options);
  }
}
