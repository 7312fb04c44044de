import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { fixtureImage } from '../helpers/fixtures.js';
import { PROGRAM, has, scratchFolder } from '../helpers/run.js';
import { runHere } from '../helpers/run-here.js';

// The real program, of which each system call on a file of its own fails, in each way that such a call can fail.

const folder = join(scratchFolder(), 'files');
const image = join(folder, 'k.kdump');
const copy = join(folder, 'copy');
const undo = join(folder, 'undo');
const CHANGE = ['--add-memory', '0x80000000+256M', '--add-cpu', '2'];
const JOURNAL = '.k.kdump.kdhp-journal';

const before = readFileSync(fixtureImage('ppc64le-64k'), 'latin1');

interface Command {
  readonly name: string;
  readonly args: readonly string[];
  /** Files that are there after success, beside the image. */
  readonly makes: readonly string[];
  readonly isPatch?: boolean;
  readonly isInterrupted?: boolean;
}

const COMMANDS: readonly Command[] = [
  { name: 'apply', args: ['apply', image, ...CHANGE], makes: [], isPatch: true },
  { name: 'apply -o', args: ['apply', image, ...CHANGE, '-o', copy], makes: ['copy'] },
  { name: 'apply --save-undo', args: ['apply', image, ...CHANGE, '--save-undo', undo], makes: ['undo'], isPatch: true },
  { name: 'recover', args: ['recover', image], makes: [], isInterrupted: true },
  { name: 'capture', args: ['capture', image, '-o', copy], makes: ['copy'] },
  { name: 'extract', args: ['extract', image, 'elfcorehdr', 'fdt', '-d', folder], makes: ['elfcorehdr.bin', 'fdt.dtb'] },
  { name: 'report', args: ['report', image, '-o', copy], makes: ['copy'] },
];

const FAILURES: Readonly<Record<string, readonly string[]>> = {
  pwrite64: ['error=EIO', 'error=ENOSPC', 'error=EDQUOT', 'error=EFBIG', 'error=EINTR', 'retval=0'],
  pread64: ['error=EIO', 'error=EINTR', 'error=ESTALE'],
  fsync: ['error=EIO', 'error=ENOSPC', 'error=EINTR'],
  openat: ['error=EMFILE', 'error=ENFILE', 'error=EACCES', 'error=ENOMEM'],
  statx: ['error=EACCES', 'error=EPERM', 'error=ELOOP', 'error=ENAMETOOLONG', 'error=EIO'],
  linkat: ['error=ENOSPC', 'error=EPERM', 'error=EIO'],
  link: ['error=ENOSPC'],
  rename: ['error=EIO'],
  unlink: ['error=EIO', 'error=EROFS'],
  ftruncate: ['error=EIO'],
  fchmod: ['error=EPERM'],
  fchown: ['error=EPERM'],
  close: ['error=EIO'],
};

/** Runs it under strace. @returns its exit code, what it said, and the lines of the trace */
function traced(options: readonly string[], args: readonly string[]): { status: number | null; stderr: string; lines: string[] } {
  const log = `${folder}.trace`;
  const { status, stderr } = spawnSync('strace', ['-f', '-y', '-o', log, ...options, process.execPath, PROGRAM, ...args], {
    encoding: 'utf8',
    timeout: 60_000,
    env: { PATH: process.env.PATH, HOME: '/nonexistent' },
  });
  return { status, stderr, lines: readFileSync(log, 'latin1').split('\n') };
}

function fresh({ isInterrupted = false }: Command): void {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  copyFileSync(fixtureImage('ppc64le-64k'), image);
  if (isInterrupted) traced(['-e', 'trace=pwrite64', '-e', 'inject=pwrite64:signal=KILL:when=6'], ['apply', image, ...CHANGE]);
}

/** Numbers of the calls that are about our files, or the descriptors of which are. */
function points(call: string, args: readonly string[]): number[] {
  const counts = new Map<string, number>();
  return traced(['-e', `trace=${call}`], args).lines.flatMap((line) => {
    const [, pid = '', name] = /^(\d+)\s+(\w+)\(/.exec(line) ?? [];
    if (name !== call) return [];
    const number = (counts.get(pid) ?? 0) + 1;
    counts.set(pid, number);
    return line.includes(folder) ? [number] : [];
  });
}

describe.skipIf(!has('strace'))('a system call that fails', () => {
  let runs = 0;
  afterAll(() => {
    console.info(`${runs} failing calls`);
  });

  const whole = join(`${folder}.whole`);
  copyFileSync(fixtureImage('ppc64le-64k'), whole);
  expect(runHere(['apply', whole, ...CHANGE]).status).toBe(0);
  const after = readFileSync(whole, 'latin1');

  test.each(COMMANDS.map((command) => [command.name, command] as const))('%s', (_, command) => {
    for (const [call, failures] of Object.entries(FAILURES)) {
      fresh(command);
      const numbers = [...new Set(points(call, command.args))];
      for (const number of numbers) for (const failure of failures) probe(command, call, failure, number);
    }
  });

  function probe(command: Command, call: string, failure: string, number: number): void {
    fresh(command);
    const { status, stderr, lines } = traced(['-e', `trace=${call}`, '-e', `inject=${call}:${failure}:when=${number}`], command.args);
    const where = `${command.name}: ${call} ${number} ${failure}: ${lines.find((line) => line.includes('INJECTED')) ?? ''}\n${stderr}`;
    runs += 1;
    expect([0, 3, 4, 5], where).toContain(status);
    expect(stderr, where).not.toMatch(/a bug|\n {4}at |\.new\b|\.partial|descriptor \d/);
    if (status !== 0) expect(stderr, where).toMatch(/^kdump-hotplug: /m);

    const now = readFileSync(image, 'latin1');
    const left = readdirSync(folder).filter((name) => name !== 'k.kdump' && name !== JOURNAL);
    const hasJournal = existsSync(join(folder, JOURNAL));
    const isDone = status === 0 || now === after;
    if (command.isPatch === true || command.isInterrupted === true) {
      const result = command.isPatch === true ? after : before;
      if (status === 0) expect(now === result, where).toBe(true);
      else expect(now === before || now === after || hasJournal, where).toBe(true);
    } else expect(now === before, where).toBe(true);
    // What is left is whole: all of a success, none of a failure, but the undo file of a patch that was made and could not be brought to the disk.
    expect(left.sort(), where).toEqual(status === 0 || (command.isPatch === true && isDone && !hasJournal) ? command.makes : []);
    if (command.name === 'apply -o' && status === 0) expect(readFileSync(copy, 'latin1') === after, where).toBe(true);

    const recovery = runHere(['recover', image]);
    expect(recovery.status, `${where}${recovery.stderr}`).toBe(0);
    const recovered = readFileSync(image, 'latin1');
    expect(recovered === before || recovered === after, where).toBe(true);
    expect(existsSync(join(folder, JOURNAL)), where).toBe(false);
  }
});
