import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { fixtureImage } from '../helpers/fixtures.js';
import { PROGRAM, has } from '../helpers/run.js';
import { runHere } from '../helpers/run-here.js';

// What broke when somebody tried to break it: mounts, reboots, copies, names in shared folders, two at once. In the folder for temporary files: on
// a disk, files have times of birth.

const folder = mkdtempSync(join(tmpdir(), 'kdump-hotplug-broken-'));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});
const SOURCE = fixtureImage('ppc64le-64k');
const CHANGE = '--add-memory 0x80000000+256M --add-cpu 2';

const canMount = process.geteuid?.() === 0 && spawnSync('unshare', ['-m', 'true']).status === 0;
if (!canMount) console.warn('nothing can be mounted here: what breaks by mounts is skipped');

/** Runs shell lines in a new folder with `i.kdump`, in a mount namespace of its own. `K` is the program, `killed N CALL ARGS` kills it. */
function shell(script: string): { out: string; place: string } {
  const place = mkdtempSync(join(folder, 'case-'));
  copyFileSync(SOURCE, join(place, 'i.kdump'));
  const { stdout, stderr } = spawnSync('unshare', ['-m', 'bash', '-c', `${SHELL}\n${script}`], {
    cwd: place,
    encoding: 'utf8',
    timeout: 60_000,
    env: { PATH: process.env.PATH, HOME: '/nonexistent' },
  });
  return { out: stdout + stderr, place };
}

const SHELL = `
exec 2>&1
K() { '${process.execPath}' '${PROGRAM}' "$@"; echo "exit $?"; }
killed() { strace -f -o /dev/null -e trace=$2 -e inject=$2:signal=KILL:when=$1 '${process.execPath}' '${PROGRAM}' "\${@:3}" >/dev/null 2>&1; }
reboot() { cat /proc/sys/kernel/random/uuid > bid; mount --bind bid /proc/sys/kernel/random/boot_id; }
isOld() { cmp i.kdump "$1" && echo 'old bytes'; }
`;

describe.skipIf(!canMount || !has('strace'))('with mounts', () => {
  test('an image that is a mount point of its own is not patched, nor recovered: its journal has another folder', () => {
    const { out } = shell(`
      mkdir one two; cp i.kdump one/img; touch two/img; mount --bind one/img two/img
      K apply two/img ${CHANGE} | tail -1; isOld one/img; ls -A one two
      killed 7 pwrite64 apply one/img ${CHANGE}
      echo other name; K check two/img; K recover two/img
      echo first name; K check one/img | head -2; K recover one/img; isOld one/img`);
    const [before = '', other = '', first = ''] = out.split(/other name|first name/);
    expect(before).toMatch(/mount point of its own[^]*exit 4|exit 4/);
    expect(before).toContain('old bytes');
    expect(before).not.toContain('journal\n');
    expect(other).toMatch(/not an ELF header.*mount point of its own.*its journal lies elsewhere/);
    expect(other).toMatch(/this file is not patched: found it is a mount point/);
    expect(other).not.toContain('no patch was interrupted');
    expect(first).toMatch(/was interrupted; this is what recover makes of it[^]*sound/);
    expect(first).toMatch(/rolled back[^]*exit 0[^]*old bytes/);
  });

  test('a journal survives that its overlay is mounted again, as at the start of a container', () => {
    const { out } = shell(`
      mkdir ov; mount -t tmpfs none ov; mkdir ov/l ov/u ov/w ov/m; cp i.kdump ov/l/
      over() { mount -t overlay -o lowerdir=ov/l,upperdir=ov/u,workdir=ov/w none ov/m; }
      over; killed 4 pwrite64 apply ov/m/i.kdump ${CHANGE}; ls -A ov/m; stat -c 'device %d' ov/m/i.kdump; umount ov/m
      mkdir ov/q; mount -t tmpfs none ov/q; over; stat -c 'device %d' ov/m/i.kdump
      K check ov/m/i.kdump | head -2; K recover ov/m/i.kdump; isOld ov/m/i.kdump`);
    const devices = [...out.matchAll(/device (\d+)/g)].map(([, device]) => device);
    expect(new Set(devices).size).toBe(2);
    expect(out).toMatch(/kdhp-journal[^]*rolled back[^]*exit 0[^]*old bytes/);
  });

  test('a journal survives that its file system is mounted from another device', () => {
    const { out } = shell(`
      truncate -s 64M disk; mkfs.ext4 -q disk; mkdir m; mount -o loop disk m; cp i.kdump m/
      killed 6 pwrite64 apply m/i.kdump ${CHANGE}; stat -c 'device %d' m; umount m
      d=$(losetup -f --show i.kdump 2>/dev/null); mount -o loop disk m; stat -c 'device %d' m
      K recover m/i.kdump; isOld m/i.kdump; umount m; losetup -d $d`);
    expect(out).toMatch(/rolled back[^]*exit 0[^]*old bytes/);
  });

  test.each([
    ['with times of birth', ':'],
    ['without', 'truncate -s 64M disk; mkfs.ext4 -q -I 128 disk 2>/dev/null; mkdir m; mount -o loop disk m; cp i.kdump m/; cd m'],
  ])('a stale journal does not revert the image that was written over it, after a reboot neither, %s', (_, place) => {
    const { out } = shell(`
      ${place}; cp i.kdump r.kdump; killed 7 pwrite64 apply r.kdump ${CHANGE}; ls -A
      K apply i.kdump --add-memory 0x90000000+1G --add-cpu 3 -o n.kdump > /dev/null
      cp n.kdump r.kdump; K recover r.kdump
      echo restarted; reboot; K inspect r.kdump; K apply r.kdump --add-memory 0x180000000+256M; cmp n.kdump r.kdump && echo untouched
      mv .r.kdump.kdhp-journal kept; K apply r.kdump --add-memory 0x180000000+256M | tail -1; K diff n.kdump r.kdump; cd /; umount m 2>/dev/null`);
    const [before = '', after = ''] = out.split('restarted');
    expect(before).toMatch(/kdhp-journal[^]*somebody else wrote[^]*exit 4/);
    expect(after.match(/somebody else wrote.*move its journal elsewhere/g)).toHaveLength(2);
    expect(after).toMatch(/exit 4[^]*untouched[^]*exit 0[^]*\+ memory 0x180000000-0x18fffffff[^]*exit 1/);
    expect(out).not.toMatch(/remove (it|the journal)/);
  });

  test('a stale journal does not revert an image that has its change by another way', () => {
    const { out } = shell(`
      cp i.kdump r.kdump; killed 3 pwrite64 apply r.kdump --add-memory 0x80000000+256M
      K apply i.kdump --add-memory 0x80000000+256M -o n.kdump >/dev/null; cp n.kdump r.kdump
      reboot; K apply r.kdump --add-memory 0x90000000+1G | head -2; K diff n.kdump r.kdump`);
    expect(out).toMatch(/it is rolled forward/);
    expect(out).toContain('+ memory 0x90000000-0xcfffffff');
    expect(out).not.toContain('- memory 0x80000000');
  });

  test('an image on a file system that became read-only can be copied as it was', () => {
    const { out } = shell(`
      mkdir m; mount -t tmpfs none m; cp i.kdump m/; killed 7 pwrite64 apply m/i.kdump ${CHANGE}; mount -o remount,ro m
      K recover m/i.kdump; K apply m/i.kdump ${CHANGE} -o c.kdump | tail -1; K apply i.kdump ${CHANGE} -o w.kdump | tail -1; cmp c.kdump w.kdump && echo same`);
    expect(out).toMatch(/EROFS[^]*exit 5[^]*same/);
  });
});

describe.skipIf(!has('strace'))('with copies and kills', () => {
  test('image and journal that were copied together belong together', () => {
    const { out } = shell(`
      mkdir d; cp i.kdump d/img; killed 7 pwrite64 apply d/img ${CHANGE}; cp -a d e
      K check e/img | head -2; K recover e/img; isOld e/img; K recover d/img; isOld d/img`);
    expect(out.match(/rolled back/g)).toHaveLength(2);
    expect(out.match(/old bytes/g)).toHaveLength(2);
  });

  test.each(['EPERM', 'ENOSYS'])('a journal is its own where statx(2) is refused with %s', (error) => {
    const { out } = shell(`
      N() { strace -f -o /dev/null -e trace=statx,pwrite64 -e inject=statx:error=${error} $M '${process.execPath}' '${PROGRAM}' "$@"; echo "exit $?"; }
      cp i.kdump r.kdump; M='-e inject=pwrite64:signal=KILL:when=7' N apply r.kdump ${CHANGE} >/dev/null; ls -A; M= N recover r.kdump; isOld r.kdump`);
    expect(out).toMatch(/\.r\.kdump\.kdhp-journal[^]*rolled back[^]*exit 0[^]*old bytes/);
  });

  test('a killed copy blocks nothing and leaves nothing', () => {
    const { out, place } = shell(`
      for n in 1 3 5; do killed $n pwrite64 apply i.kdump ${CHANGE} -o o.kdump; ls -A; done
      K apply i.kdump ${CHANGE} -o o.kdump | tail -1`);
    expect(out).toContain('exit 0');
    expect(readdirSync(place).sort()).toEqual(['i.kdump', 'o.kdump']);
  });
});

describe.skipIf(!has('strace'))('two at once', () => {
  const started: ChildProcess[] = [];
  afterEach(() => {
    for (const child of started.splice(0)) child.kill('SIGKILL');
  });

  /** Starts it, and waits until it stands still at its first fsync: what it makes is whole and has no name. */
  async function stopped(args: readonly string[]): Promise<{ goOn: () => Promise<{ status: number | null; stderr: string }> }> {
    const inject = ['-f', '-o', '/dev/null', '-e', 'trace=fsync', '-e', 'inject=fsync:signal=STOP:when=1'];
    const child = spawn('strace', [...inject, process.execPath, PROGRAM, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
    started.push(child);
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
    const program = (): string => spawnSync('ps', ['-o', 'pid=,stat=', '--ppid', String(child.pid)], { encoding: 'utf8' }).stdout.trim();
    for (let i = 0; !/^\d+ [tT]/.test(program()) || !isStopped(program()); i += 1) {
      if (i > 400) throw new Error(`it does not stop: ${program()} ${stderr}`);
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    const pid = program().split(' ')[0] ?? '';
    return {
      goOn: async () => {
        execFileSync('kill', ['-CONT', pid]);
        return { status: await ended, stderr };
      },
    };
  }

  /** In a group stop, not only at a system call that is traced. */
  function isStopped(line: string): boolean {
    const status = readFileSync(`/proc/${line.split(' ')[0] ?? ''}/stat`, 'latin1');
    return (
      / [tT] /.test(status) &&
      /^State:\s+[tT] \((stopped|tracing stop)\)/m.test(readFileSync(`/proc/${line.split(' ')[0] ?? ''}/status`, 'latin1'))
    );
  }

  const place = (): string => {
    const made = mkdtempSync(join(folder, 'two-'));
    mkdirSync(join(made, 'out'));
    return join(made, 'out');
  };

  test.each([
    ['capture', (out: string) => ['capture', SOURCE, '-o', join(out, 'o')], 'o'],
    ['apply -o', (out: string) => ['apply', SOURCE, ...CHANGE.split(' '), '-o', join(out, 'o')], 'o'],
    ['extract', (out: string) => ['extract', SOURCE, 'kernel', '-d', out], 'kernel.bin'],
  ])('%s: the first that ends wins, the other one says so, and nothing is half of a file', async (_, argsFor, made) => {
    const out = place();
    const { goOn } = await stopped(argsFor(out));
    expect(runHere(argsFor(out))).toMatchObject({ status: 0 });
    const bytes = readFileSync(join(out, made));
    const { status, stderr } = await goOn();
    expect({ status, stderr }).toMatchObject({ status: 5, stderr: expect.stringContaining('it exists already') as string });
    expect(readdirSync(out)).toEqual([made]);
    expect(readFileSync(join(out, made)).equals(bytes)).toBe(true);
    expect(statSync(join(out, made)).size).toBeGreaterThan(0);
  });

  test('one that is killed does no harm to the other', async () => {
    const out = place();
    const args = ['capture', SOURCE, '-o', join(out, 'o')];
    const { goOn } = await stopped(args);
    spawnSync('strace', [
      '-f',
      '-o',
      '/dev/null',
      '-e',
      'inject=pwrite64:signal=KILL:when=2',
      process.execPath,
      PROGRAM,
      ...args,
      '--overwrite',
    ]);
    expect(await goOn()).toMatchObject({ status: 0 });
    expect(readdirSync(out)).toEqual(['o']);
    expect(runHere(['diff', SOURCE, join(out, 'o')]).status).toBe(0);
  });
});

describe.skipIf(process.geteuid?.() !== 0)('a shared folder', () => {
  test('what another user plants beside a new file is no hindrance', () => {
    const { out } = shell(`
      mkdir st; chmod 1777 st; N='setpriv --reuid 65534 --regid 65534 --clear-groups'
      $N mkdir st/o.kdump.partial; $N sh -c ': > st/.o.kdump.partial.kdhp-journal'
      K apply i.kdump ${CHANGE} -o st/o.kdump | tail -1; K inspect st/o.kdump`);
    expect(out.match(/exit 0/g)).toHaveLength(2);
    expect(existsSync('/dev/null')).toBe(true);
  });
});
