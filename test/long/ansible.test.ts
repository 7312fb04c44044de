import { copyFileSync, readFileSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { Fleet, hasAnsible } from '../examples/ansible.js';
import { fixtureImage } from '../helpers/fixtures.js';
import { run, scratchFolder } from '../helpers/run.js';

const IMAGES = 50;

it.skipIf(!hasAnsible)('brings 50 images up to date with Ansible, once', () => {
  const root = scratchFolder();
  const state = { kdump_iomem: join(root, 'state/iomem.txt'), kdump_device_tree: join(root, 'state/device-tree') };
  const machine = ['--iomem', state.kdump_iomem, '--device-tree', state.kdump_device_tree];
  const names = Array.from({ length: IMAGES }, (_, index) => `guest${index + 1}`);
  const pathOf = (name: string): string => join(root, `${name}.kdump`);
  for (const name of names) copyFileSync(fixtureImage('ppc64le-64k'), pathOf(name));
  truncateSync(pathOf('guest7'), 100_000);
  const fleet = new Fleet(root, Object.fromEntries(names.map((name) => [name, { kdump_image: pathOf(name), ...state }])));
  const current = new Set(names.filter((_, index) => index % 5 === 0));
  for (const name of current) expect(run(['sync', pathOf(name), ...machine]).status).toBe(0);

  const message = run(['sync', pathOf('guest7'), ...machine]).stderr.trimEnd();
  const expected = (isOutdated: (name: string) => boolean): object =>
    Object.fromEntries(
      names.map((name) => [
        name,
        name === 'guest7' ? { changed: false, failed: true, message } : { changed: isOutdated(name), failed: false },
      ]),
    );
  const command = 'ansible-playbook -i inventory.yml kdump-images.yml';
  expect(fleet.play(`${command} --check`).hosts).toEqual(expected((name) => !current.has(name)));
  expect(fleet.play(command).hosts).toEqual(expected((name) => !current.has(name)));
  for (const name of names) expect(run(['check', pathOf(name), ...machine]).status).toBe(name === 'guest7' ? 3 : 0);
  const after = names.map((name) => readFileSync(pathOf(name)));
  expect(fleet.play(command).hosts).toEqual(expected(() => false));
  expect(names.every((name, index) => after[index]?.equals(readFileSync(pathOf(name))))).toBe(true);
});
