import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import type { FileSystem } from '../../src/file/file-system.js';
import { nodeFileSystem } from '../../src/file/node-file-system.js';
import { usersOf } from '../../src/patch/in-use.js';
import { copyOf } from '../helpers/fixtures.js';
import { scratchFolder } from '../helpers/run.js';
import { runHere } from '../helpers/run-here.js';

const ADD = ['--add-memory', '0x90000000+16M'];
const folder = scratchFolder();
let child: ChildProcess | undefined;

afterEach(() => {
  child?.kill('SIGKILL');
  child = undefined;
});

function hasPython(): boolean {
  const found = spawnSync('python3', ['-c', 'import mmap, fcntl'], { stdio: 'ignore' }).status === 0;
  if (!found) console.warn('python3 is not installed: the tests of files in use are skipped');
  return found;
}

/** A process that does `python` with the file `f`, and goes on until it is killed. */
async function user(image: string, python: string): Promise<ChildProcess> {
  const code = `import mmap, fcntl, struct, sys, time\nf = open(sys.argv[1], 'r+b')\n${python}\nprint('ready', flush=True)\ntime.sleep(600)`;
  const started = spawn('python3', ['-c', code, image], { stdio: ['ignore', 'pipe', 'inherit'] });
  child = started;
  await new Promise((resolve, reject) => {
    started.stdout.once('data', resolve);
    started.once('exit', () => {
      reject(new Error('python3 ended'));
    });
  });
  return started;
}

const MAPPED = 'm = mmap.mmap(f.fileno(), 0, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)';
/** F_OFD_SETLK with a struct flock of byte 100, as QEMU locks its disk images. */
const LOCKED = "fcntl.fcntl(f.fileno(), 37, struct.pack('hhqqi4x', 1, 0, 100, 1, 0))";

async function stopped(process: ChildProcess): Promise<void> {
  process.kill('SIGSTOP');
  while (!readFileSync(`/proc/${process.pid}/status`, 'latin1').includes('State:\tT')) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

// A guest that runs would be patched.
test.each([
  ['a small minor number', 0xfdn, 3n, 'fd:03'],
  ['a minor number above 255, as tmpfs and overlayfs get', 0n, 300n, '00:12c'],
  ['a large major number', 0x1234n, 0x12345n, '1234:12345'],
])('the mapping of a file is known by its device: %s', (_, major, minor, name) => {
  // dev_t of glibc (bits/sysmacros.h).
  const device = ((major & 0xfffn) << 8n) | (minor & 0xffn) | ((minor & 0xfff00n) << 12n) | ((major & 0xfffff000n) << 32n);
  const files: Record<string, string> = {
    '/proc/7/maps': `7f0000000000-7f0040000000 rw-s 00000000 ${name} 77 /ram\n`,
    '/proc/8/maps': `7f0000000000-7f0040000000 rw-s 00000000 ${name}1 77 /another\n`,
    '/proc/7/task/7/status': 'State:\tS (sleeping)\n',
    '/proc/locks': `1: OFDLCK ADVISORY  WRITE 9 ${name}:77 100 100\n`,
  };
  const fileSystem: FileSystem = {
    ...nodeFileSystem,
    list: (path) => (path === '/proc' ? ['7', '8'] : ['7']).map((each) => ({ name: each, kind: 'directory' })),
    readStart: (path) => Buffer.from(files[path] ?? ''),
    exists: () => true,
  };
  const status = { ...nodeFileSystem.status(0), device, inode: 77n };
  expect(usersOf(fileSystem, status)).toEqual({ mapping: [{ pid: 7, stopped: false }], locking: [9], unknown: 0 });
});

describe.skipIf(!hasPython())('a file that somebody uses', () => {
  // The kernel does not tell who holds an OFD lock.
  test.each([
    ['maps', MAPPED, true],
    ['locks', LOCKED, false],
    ['locks the POSIX way', 'fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB)', true],
  ])('is not patched while a process %s it', async (_, python, isKnown) => {
    const image = copyOf('tiny-ppc64', folder);
    const before = readFileSync(image, 'latin1');
    const { pid } = await user(image, python);
    const { status, stderr } = runHere(['apply', image, ...ADD]);
    expect({ status, stderr }).toEqual({
      status: 5,
      stderr: expect.stringContaining(isKnown ? `process ${pid ?? ''}` : 'in use') as string,
    });
    expect(readFileSync(image, 'latin1') === before).toBe(true);
    // Reading goes on.
    expect(runHere(['inspect', image]).status).toBe(0);
  });

  test('is patched with --live only while the process that maps it stands still', async () => {
    const image = copyOf('tiny-ppc64', folder);
    const before = readFileSync(image, 'latin1');
    const guest = await user(image, MAPPED);
    const { status, stderr } = runHere(['apply', image, ...ADD, '--live']);
    expect({ status, stderr }).toEqual({ status: 4, stderr: expect.stringContaining('--force') as string });
    expect(readFileSync(image, 'latin1') === before).toBe(true);
    await stopped(guest);
    expect(runHere(['apply', image, ...ADD])).toMatchObject({ status: 5 });
    expect(runHere(['apply', image, ...ADD, '--live'])).toMatchObject({ status: 0 });
    expect(readFileSync(image, 'latin1') === before).toBe(false);
  });

  test('is patched with --live --force while it runs', async () => {
    const image = copyOf('tiny-ppc64', folder);
    await user(image, MAPPED);
    expect(runHere(['apply', image, ...ADD, '--live', '--force'])).toMatchObject({ status: 0 });
    expect(runHere(['inspect', image, '--json']).stdout).toContain('0x90000000');
  });

  test('a mapping that nobody writes through is no use', async () => {
    const image = copyOf('tiny-ppc64', folder);
    await user(image, 'm = mmap.mmap(f.fileno(), 0, mmap.MAP_SHARED, mmap.PROT_READ)\nn = mmap.mmap(f.fileno(), 0, mmap.MAP_PRIVATE)');
    expect(runHere(['apply', image, ...ADD])).toMatchObject({ status: 0 });
  });

  test('the lock of another flock(1) is respected', async () => {
    const image = copyOf('tiny-ppc64', folder);
    await user(image, 'fcntl.flock(f, fcntl.LOCK_EX)');
    for (const args of [
      ['apply', image, ...ADD],
      ['recover', image],
    ]) {
      const { status, stderr } = runHere(args);
      expect({ status, stderr }).toEqual({ status: 5, stderr: expect.stringContaining('another process is patching it') as string });
    }
    expect(runHere(['inspect', image]).status).toBe(0);
  });
});
