import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, copyFileSync, cpSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { copyOf } from '../helpers/fixtures.js';
import { has, PROGRAM, run, scratchFolder } from '../helpers/run.js';
import { EXAMPLES } from './examples.js';

const UNIT = readFileSync(join(EXAMPLES, 'systemd/kdump-hotplug-watch@.service'), 'utf8');
const folder = scratchFolder();
const hasSystemdAnalyze = has('systemd-analyze');

/** The value of a setting that is there once. */
function setting(name: string): string {
  const values = [...UNIT.matchAll(new RegExp(`^${name}=(.*)$`, 'gm'))].map(([, value]) => value ?? '');
  expect(values).toHaveLength(1);
  return values[0] ?? '';
}

/** The unit as a file, with a program that is there. */
function unitFile(text = UNIT): string {
  const path = join(folder, 'kdump-hotplug-watch@.service');
  writeFileSync(path, text.replace(/^ExecStart=kdump-hotplug/m, 'ExecStart=/bin/true'));
  return path;
}

function verify(path: string): { status: number | null; stderr: string } {
  const { status, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', path], { encoding: 'utf8', timeout: 60_000 });
  // What it says about other units of this machine does not count.
  return { status, stderr: stderr.replace(/^(?!.*kdump).*\n/gm, '') };
}

/** The system calls of a systemd group, with those of the groups inside it. */
function callsOf(groups: readonly string[]): Set<string> {
  const { stdout } = spawnSync('systemd-analyze', ['syscall-filter'], { encoding: 'utf8', timeout: 60_000 });
  const members = new Map<string, string[]>();
  let group: string[] = [];
  for (const line of stdout.split('\n')) {
    if (line.startsWith('@')) members.set(line.trim(), (group = []));
    else if (!/^\s*(#|$)/.test(line)) group.push(line.trim());
  }
  const calls = new Set<string>();
  const add = (name: string): void => {
    if (!name.startsWith('@')) calls.add(name);
    else for (const member of members.get(name) ?? []) add(member);
  };
  groups.forEach(add);
  return calls;
}

describe('the systemd unit', () => {
  it('runs watch on the socket of its instance, and only while that is there', () => {
    expect(setting('ExecStart')).toBe('kdump-hotplug watch --qmp /run/kdump-hotplug/%i.sock');
    expect(setting('ConditionPathExists')).toBe('/run/kdump-hotplug/%i.sock');
  });

  const help = run(['help', 'watch']);
  const knowsWatch = help.status === 0 && help.stdout.includes('--qmp');
  if (!knowsWatch) console.warn('this program has no watch --qmp: that the unit uses it rightly is not tested');
  it.skipIf(!knowsWatch)('gives watch an option that it has, and the socket it wants', () => {
    expect(help.stdout).toMatch(/--qmp <socket>/);
    const { status, stderr } = run(['watch', '--qmp', join(folder, 'none.sock')]);
    // Then systemd starts it again.
    expect(status).toBe(5);
    expect(stderr).toMatch(/^kdump-hotplug: .*none\.sock.*\n$/);
    expect(setting('Restart')).toBe('on-failure');
    expect(setting('RestartPreventExitStatus').split(' ')).not.toContain('5');
  });

  it('agrees with the other examples about the folder and the user', () => {
    const [folderOfSockets, user] = ['/run/kdump-hotplug', setting('User')];
    const lines = readFileSync(join(EXAMPLES, 'systemd/kdump-hotplug.conf'), 'utf8').split('\n');
    expect(lines).toContain(`d ${folderOfSockets} 0750 ${user} root -`);
    expect(readFileSync(join(EXAMPLES, 'libvirt/qemu'), 'utf8')).toMatch(
      new RegExp(`^SOCKETS=${folderOfSockets}\nUNIT=kdump-hotplug-watch$`, 'm'),
    );
    expect(readFileSync(join(EXAMPLES, 'libvirt/guest.xml'), 'utf8')).toContain(`unix:${folderOfSockets}/web01.sock,server=on,wait=off`);
  });

  it.skipIf(!hasSystemdAnalyze)('passes systemd-analyze verify', () => {
    expect(verify(unitFile())).toEqual({ status: 0, stderr: '' });
    // Its mistakes would be seen.
    expect(verify(unitFile(UNIT.replace('RestartSec=15s', 'RestartSec=soon'))).stderr).toMatch(/Failed to parse sec value/);
  });

  it.skipIf(!hasSystemdAnalyze)('is hardened: an exposure of at most 1.5 of 10', () => {
    const { status, stdout } = spawnSync('systemd-analyze', ['security', '--offline=true', '--threshold=15', unitFile()], {
      encoding: 'utf8',
      timeout: 60_000,
    });
    expect({ status, exposure: /Overall exposure level.*/.exec(stdout)?.[0] }).toMatchObject({ status: 0 });
  });

  it.skipIf(!hasSystemdAnalyze || !has('strace'))('allows every system call that the program makes', () => {
    const allowed = callsOf(setting('SystemCallFilter').split(' '));
    expect(allowed.size).toBeGreaterThan(200);
    const trace = join(folder, 'trace');
    const program = [process.execPath, PROGRAM, 'apply', copyOf('ppc64le-64k', folder), '--add-cpu', '2'];
    expect(spawnSync('strace', ['-f', '-qq', '-o', trace, ...program], { timeout: 60_000 }).status).toBe(0);
    const made = new Set([...readFileSync(trace, 'latin1').matchAll(/^\d+ +(\w+)\(/gm)].map(([, name]) => name ?? ''));
    expect(made).toContain('flock');
    expect([...made].filter((name) => !allowed.has(name))).toEqual([]);
  });

  const canDrop = process.getuid?.() === 0 && has('setpriv');
  it.skipIf(!canDrop)('needs no capability: the user that owns an image patches it without any', () => {
    // The program may lie in a folder of root's.
    const bin = join(folder, 'dist');
    cpSync(dirname(PROGRAM), bin, { recursive: true });
    const home = join(folder, 'ram');
    mkdirSync(home);
    chmodSync(folder, 0o755);
    const image = join(home, 'image.kdump');
    copyFileSync(copyOf('ppc64le-64k', folder), image);
    for (const path of [home, image]) chownSync(path, 65534, 65534);
    chmodSync(home, 0o700);
    const { status, stderr } = spawnSync(
      'setpriv',
      ['--reuid=65534', '--regid=65534', '--clear-groups', '--bounding-set=-all', '--no-new-privs']
        .concat(process.execPath, join(bin, 'kdump-hotplug.cjs'))
        .concat('apply', image, '--add-cpu', '2', '--quiet'),
      { encoding: 'utf8', timeout: 60_000, cwd: '/' },
    );
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(statSync(image).uid).toBe(65534);
    const { fdt } = JSON.parse(run(['inspect', image, '--json']).stdout) as { fdt: { cpus: { id: number }[] } };
    expect(fdt.cpus.map(({ id }) => id)).toEqual([0, 1, 2]);
  });
});
