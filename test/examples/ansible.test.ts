import { copyFileSync, readdirSync, readFileSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { fixtureImage } from '../helpers/fixtures.js';
import { run, scratchFolder } from '../helpers/run.js';
import { Fleet, hasAnsible } from './ansible.js';
import { CHANGES, EXAMPLES, ROOT, shellBlocks } from './examples.js';

const playbook = readFileSync(join(EXAMPLES, 'ansible/kdump-images.yml'), 'utf8');

const [commands = ''] = shellBlocks('examples/README.md', 'ansible:');
const [enter, check = '', apply = '', again] = commands.trim().split('\n');
const [one = ''] = shellBlocks('docs/fleets.md', 'With Ansible');

describe('the playbook', () => {
  it('uses modules of ansible.builtin alone', () => {
    const [{ tasks }] = parse(playbook) as [{ tasks: Record<string, unknown>[] }];
    expect(tasks.flatMap((task) => Object.keys(task).filter((key) => key.includes('.')))).toEqual([
      'ansible.builtin.command',
      'ansible.builtin.fail',
    ]);
  });

  it('gives options that the commands have, from variables that README.md lists', () => {
    const options = [...playbook.matchAll(/'(--[a-z-]+)'/g)].map(([, option = '']) => option);
    const help = { sync: run(['help', 'sync']).stdout, apply: run(['help', 'apply']).stdout };
    for (const option of options) expect(option === '--changes' ? help.apply : help.sync).toContain(`${option} `);
    const readme = readFileSync(join(EXAMPLES, 'README.md'), 'utf8');
    for (const [variable] of playbook.matchAll(/kdump_\w+(?= is defined| \| default)/g)) expect(readme).toContain(`\`${variable}\``);
  });

  it('is shown with commands that are run below', () => {
    expect([enter, again]).toEqual(['cd ansible', apply]);
    expect(check).toBe(`${apply} --check`);
    expect(one).toBe(`${apply} --limit web01\n`);
  });

  it.skipIf(!hasAnsible)(
    'changes what is out of date, and nothing else',
    () => {
      const root = scratchFolder();
      const image = (name: string): string => {
        const path = join(root, `${name}.kdump`);
        copyFileSync(fixtureImage('ppc64le-64k'), path);
        return path;
      };
      const state = { kdump_iomem: join(root, 'state/iomem.txt'), kdump_device_tree: join(root, 'state/device-tree') };
      const [, undoOptions = ''] = /```yaml\n([^]*?)```/.exec(readFileSync(join(ROOT, 'docs/fleets.md'), 'utf8')) ?? [];
      const [web01, db01, current, broken, stateless] = ['web01', 'db01', 'current', 'broken', 'stateless'].map(image) as [
        string,
        string,
        string,
        string,
        string,
      ];
      truncateSync(broken, 100_000);
      const fleet = new Fleet(root, {
        web01: { kdump_image: web01, ...state },
        db01: { kdump_image: db01, kdump_changes: CHANGES, ...(parse(undoOptions) as object) },
        current: { kdump_image: current, ...state },
        broken: { kdump_image: broken, ...state },
        // An image of its own: hosts are played at once, and one image is patched by one at a time.
        stateless: { kdump_image: stateless },
        absent: { kdump_image: current, kdump_program: join(root, 'none'), ...state },
        stopped: { kdump_qmp: join(root, 'none.sock') },
      });
      const machine = ['--iomem', state.kdump_iomem, '--device-tree', state.kdump_device_tree];
      expect(run(['sync', current, ...machine]).status).toBe(0);
      const before = readFileSync(web01);

      const checked = fleet.play(check);
      expect(checked.status, checked.output).toBe(2);
      const messageOf = (...args: string[]): string => run([...args]).stderr.trimEnd();
      expect(checked.hosts).toEqual({
        web01: { changed: true, failed: false },
        db01: { changed: true, failed: false },
        current: { changed: false, failed: false },
        broken: { changed: false, failed: true, message: messageOf('sync', broken, ...machine) },
        stateless: { changed: false, failed: true, message: messageOf('sync', stateless) },
        absent: { changed: false, failed: true, message: expect.stringContaining('No such file or directory') as string },
        stopped: { changed: false, failed: true, message: messageOf('sync', '--qmp', join(root, 'none.sock')) },
      });
      for (const path of [web01, db01]) expect(readFileSync(path).equals(before)).toBe(true);

      const limited = fleet.play(one);
      expect(limited.status, limited.output).toBe(0);
      expect(limited.hosts).toEqual({ web01: { changed: true, failed: false } });
      expect(run(['check', web01, ...machine]).status).toBe(0);

      const applied = fleet.play(apply);
      expect(applied.hosts).toEqual({ ...checked.hosts, web01: { changed: false, failed: false } });
      expect(run(['check', db01, ...machine]).status).toBe(0);
      const [undo = '', ...others] = readdirSync(root).filter((name) => name.endsWith('.undo'));
      expect(others).toEqual([]);
      const after = [web01, db01, current].map((path) => readFileSync(path));

      expect(fleet.play(apply).hosts).toEqual({ ...applied.hosts, db01: { changed: false, failed: false } });
      expect([web01, db01, current].every((path, index) => after[index]?.equals(readFileSync(path)))).toBe(true);

      expect(run(['undo', db01, join(root, undo)]).status).toBe(0);
      expect(readFileSync(db01).equals(before)).toBe(true);
    },
    300_000,
  );
});
