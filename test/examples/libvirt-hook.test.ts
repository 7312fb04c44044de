import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { has, scratchFolder } from '../helpers/run.js';
import { EXAMPLES, Machine } from './examples.js';

const HOOK = join(EXAMPLES, 'libvirt/qemu');
/** What libvirt 9.0 gave to the hook for a guest that was made from examples/libvirt/guest.xml. */
const XML = readFileSync(new URL('libvirt-guest.xml', import.meta.url), 'utf8');

const machine = new Machine(scratchFolder());
machine.standIn('systemctl');

const SHELLS = [['sh'], ['bash', '--posix'], ...(has('busybox') ? [['busybox', 'sh']] : [])];

function hook(args: string, input = XML, [shell = 'sh', ...shellArgs]: readonly string[] = ['sh']) {
  const { status, stdout, stderr } = machine.run(shell, [...shellArgs, HOOK, ...args.split(' ')], { input });
  // A hook that fails stops the guest, and what it prints replaces the guest's XML.
  expect({ status, stdout }).toEqual({ status: 0, stdout: '' });
  return { calls: machine.takeCalls(), stderr };
}

const START = 'systemctl --no-block start kdump-hotplug-watch@web01.service';
const STOP = 'systemctl --no-block stop kdump-hotplug-watch@web01.service';

describe('the libvirt hook', () => {
  describe.each(SHELLS)('run by %s', (...shell) => {
    // All calls that libvirt makes for a guest.
    it.each([
      ['web01 prepare begin -', []],
      ['web01 start begin -', []],
      ['web01 started begin -', [START]],
      ['web01 stopped end -', [STOP]],
      ['web01 release end -', []],
      ['web01 release end shutdown', []],
      ['web01 migrate begin -', []],
      ['web01 restore begin -', []],
      ['web01 reconnect begin -', [START]],
      ['web01 attach begin -', [START]],
    ])('%s', (args, calls) => {
      expect(hook(args, XML, shell)).toEqual({ calls, stderr: '' });
    });
  });

  it('leaves guests alone that have no such socket', () => {
    const other = XML.replace('/run/kdump-hotplug/web01.sock', '/run/other/web01.sock');
    expect(hook('web01 started begin -', other)).toEqual({ calls: [], stderr: '' });
    expect(hook('web01 started begin -', '')).toEqual({ calls: [], stderr: '' });
  });

  it('is not taken in by the words of a description', () => {
    const described = XML.replace(/<qemu:commandline>[^]*<\/qemu:commandline>/, '').replace(
      '<uuid>',
      '<description>unix:/run/kdump-hotplug/db01.sock,server=on</description><uuid>',
    );
    expect(hook('web01 started begin -', described).calls).toEqual([]);
  });

  it('names the instance by the socket, not by the guest', () => {
    expect(hook('web01-of-the-shop started begin -').calls).toEqual([START]);
    const renamed = XML.replace('/web01.sock', '/a.b_c:d-1.sock');
    expect(hook('web01 stopped end -', renamed).calls).toEqual(['systemctl --no-block stop kdump-hotplug-watch@a.b_c:d-1.service']);
  });

  it.each(['web 01.sock', '../web01.sock', 'web$(reboot).sock', 'web01', '.sock'])('refuses a socket named %s', (name) => {
    const { calls, stderr } = hook('web01 started begin -', XML.replace('/web01.sock', `/${name}`));
    expect(calls).toEqual([]);
    expect(stderr).toMatch(/^kdump-hotplug hook: web01: the name of its socket .*\n$/);
  });

  it.each([
    ['memory that is not in a file', "<source type='file'/>", "<source type='memfd'/>", /its memory is not in a file/],
    ['memory that is not shared', "<access mode='shared'/>", '', /would not reach it/],
    ['a private mapping', "<access mode='shared'/>", "<access mode='private'/>", /would not reach it/],
    ['no memory backing', /<memoryBacking>[^]*<\/memoryBacking>/, '', /its memory is not in a file/],
  ])('does not watch a guest with %s, and says why', (_, from, to, why) => {
    const { calls, stderr } = hook('web01 started begin -', XML.replace(from, to));
    expect(calls).toEqual([]);
    expect(stderr).toMatch(why);
    expect(stderr.split('\n')).toHaveLength(2);
    // A watcher that runs all the same is stopped.
    expect(hook('web01 stopped end -', XML.replace(from, to)).calls).toEqual([STOP]);
  });

  it('reads all of a large XML', () => {
    const large = XML.replace('<devices>', `<devices>${'<!-- -->\n'.repeat(200_000)}`);
    for (const operation of ['prepare begin -', 'started begin -']) hook(`web01 ${operation}`, large);
  });

  it('lets the guest run when systemd fails', () => {
    const failing = new Machine(join(machine.root, 'failing'));
    failing.standIn('systemctl', 1);
    const result = failing.run('sh', [HOOK, 'web01', 'started', 'begin', '-'], { input: XML });
    expect(result).toMatchObject({ status: 0, stdout: '' });
    expect(result.stderr).toBe('kdump-hotplug hook: web01: systemctl could not start kdump-hotplug-watch@web01.service\n');
  });

  it('watches the guest of examples/libvirt/guest.xml', () => {
    expect(hook('web01 started begin -', readFileSync(join(EXAMPLES, 'libvirt/guest.xml'), 'utf8')).calls).toEqual([START]);
  });

  it.skipIf(!has('shellcheck'))('pleases shellcheck', () => {
    const { status, stdout } = spawnSync('shellcheck', [HOOK], { encoding: 'utf8' });
    expect({ status, stdout }).toEqual({ status: 0, stdout: '' });
  });
});
