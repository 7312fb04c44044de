import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FIXTURES } from '../helpers/fixtures.js';
import { scratchFolder } from '../helpers/run.js';
import { EXAMPLES, Machine, ROOT, shellBlocks, writeState } from './examples.js';

const machine = new Machine(scratchFolder());
const { root } = machine;
for (const name of ['systemctl', 'systemd-tmpfiles', 'systemd-analyze', 'journalctl']) machine.standIn(name);
cpSync(EXAMPLES, join(root, 'examples'), { recursive: true });

/** Runs all commands under a heading, and returns which ones of the system's were called, and how. */
function runSection(file: string, heading: string, cwd: string): string[] {
  for (const block of shellBlocks(file, heading)) {
    const { status, stdout, stderr } = machine.shell(block, { cwd });
    expect({ block, status, stdout, stderr }).toEqual({ block, status: 0, stdout: '', stderr: '' });
  }
  return machine.takeCalls().map((call) => call.replaceAll(root, ''));
}

const examples = join(root, 'examples');
const UNIT = 'kdump-hotplug-watch@web01.service';

describe('the commands of examples/README.md', () => {
  it('install the unit', () => {
    expect(runSection('examples/README.md', 'systemd:', examples)).toEqual([
      'systemd-tmpfiles --create kdump-hotplug.conf',
      'systemctl daemon-reload',
      'systemd-tmpfiles --create kdump-hotplug.conf',
      'systemctl daemon-reload',
      `systemctl start ${UNIT}`,
      `systemctl status ${UNIT}`,
      `journalctl -u ${UNIT}`,
      'systemd-analyze verify --man=no /etc/systemd/system/kdump-hotplug-watch@.service',
    ]);
    const system = join(root, 'etc/systemd/system');
    const unit = readFileSync(join(system, 'kdump-hotplug-watch@.service'), 'utf8');
    expect(unit).toBe(readFileSync(join(EXAMPLES, 'systemd/kdump-hotplug-watch@.service'), 'utf8'));
    const local = readFileSync(join(system, 'kdump-hotplug-watch@.service.d/local.conf'), 'utf8');
    for (const [key] of local.matchAll(/^\w+(?==)/gm)) expect(unit).toMatch(new RegExp(`^${key}=`, 'm'));
    expect(readFileSync(join(root, 'etc/tmpfiles.d/kdump-hotplug.conf'), 'utf8')).toMatch(/^d \/run\/kdump-hotplug 0750 qemu root -$/m);
  });

  it('install the hook', () => {
    expect(runSection('examples/README.md', 'libvirt:', examples)).toEqual([
      'systemctl restart libvirtd.service',
      `systemctl --no-block start ${UNIT}`,
      `systemctl --no-block stop ${UNIT}`,
    ]);
    expect(statSync(join(root, 'etc/libvirt/hooks/qemu.d/kdump-hotplug')).mode & 0o111).toBe(0o111);
  });

  it('are under headings that the tests know', () => {
    // The others have tests of their own: ansible.test.ts, ci-jobs.test.ts.
    const headings = readFileSync(join(EXAMPLES, 'README.md'), 'utf8').match(/^## \w+:/gm);
    expect(headings).toEqual(['## systemd:', '## libvirt:', '## ansible:', '## ci:']);
  });
});

describe('the commands of docs/fleets.md', () => {
  it('are about the units of the example', () => {
    expect(runSection('docs/fleets.md', 'Watchers', root)).toEqual([
      'systemctl list-units --failed kdump-hotplug-watch@*',
      'systemctl restart kdump-hotplug-watch@*',
    ]);
  });

  it('save the state of a guest that check takes', () => {
    mkdirSync(join(root, 'proc'));
    writeState(join(root, 'proc'));
    cpSync(join(root, 'proc/iomem.txt'), join(root, 'proc/iomem'));
    const guest = join(root, 'guest');
    mkdirSync(guest);
    runSection('docs/fleets.md', 'The state of a guest', guest);
    const image = join(guest, 'image.kdump');
    cpSync(join(FIXTURES, 'images/ppc64le-64k.kdump'), image);
    const state = ['--iomem', 'iomem.txt', '--device-tree', 'device-tree'];
    expect(machine.run('kdump-hotplug', ['sync', image, ...state], { cwd: guest }).status).toBe(0);
    expect(machine.run('kdump-hotplug', ['check', image, ...state], { cwd: guest }).status).toBe(0);
  });
});

describe('both', () => {
  it.each(['examples/README.md', 'docs/fleets.md'])('%s: links lead somewhere', (file) => {
    const anchors = (path: string): string[] =>
      [...readFileSync(path, 'utf8').matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
        heading
          .toLowerCase()
          .replace(/[^\w\- ]/g, '')
          .replaceAll(' ', '-'),
      );
    for (const [, target = ''] of readFileSync(join(ROOT, file), 'utf8').matchAll(/\]\(([^)]+)\)/g)) {
      const { pathname, hash } = new URL(target, `file://${ROOT}${file}`);
      expect(existsSync(pathname), target).toBe(true);
      if (hash !== '') expect(anchors(pathname)).toContain(hash.slice(1));
    }
  });

  it('README.md names every folder', () => {
    const readme = readFileSync(join(EXAMPLES, 'README.md'), 'utf8');
    for (const folder of readdirSync(EXAMPLES, { withFileTypes: true }).filter((entry) => entry.isDirectory()))
      expect(readme).toContain(`(${folder.name}/)`);
  });
});
