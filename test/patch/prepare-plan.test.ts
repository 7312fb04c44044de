import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { nodeFileSystem } from '../../src/file/node-file-system.js';
import { journalNameOf } from '../../src/journal/find-journal.js';
import { rangeOfSize } from '../../src/memory/range.js';
import { preparePlan } from '../../src/patch/apply.js';
import { openForPatching } from '../../src/patch/open-for-patching.js';
import { closeTarget } from '../../src/patch/target.js';
import { planHotplug, type Plan } from '../../src/plan/plan.js';
import { copyOf, section } from '../helpers/fixtures.js';
import { scratchFolder } from '../helpers/run.js';
import { thrown } from '../helpers/thrown.js';

// A guest runs on while a plan is prepared, and may load another image meanwhile.

const folder = scratchFolder();

function prepared(start: bigint): { path: string; plan: Plan; patch: ReturnType<typeof preparePlan>; hasJournal: () => boolean } {
  const path = copyOf('ppc64le-64k', folder);
  const { target, image } = openForPatching(nodeFileSystem, path);
  onTestFinished(() => {
    closeTarget(target);
  });
  const plan = planHotplug(image, [{ action: 'add', memory: rangeOfSize(start, 0x10000000n) }]);
  const journal = join(dirname(path), journalNameOf(basename(path)));
  return { path, plan, patch: preparePlan(target, plan), hasJournal: () => existsSync(journal) };
}

test('nothing to do: nothing to write, and no journal', () => {
  const { patch, hasJournal } = prepared(0x40000000n);
  expect(patch).toBeUndefined();
  expect(hasJournal()).toBe(false);
});

test('a plan is written once it is told to, and not before', () => {
  const { path, plan, patch, hasJournal } = prepared(0x80000000n);
  const [before, { size }] = [section(path, '.kexec.elfcorehdr').bytes, patch ?? expect.fail('nothing to write')];
  expect(hasJournal()).toBe(true);
  expect(before.equals(plan.segments[0]?.before ?? before.subarray(1))).toBe(true);
  patch?.write();
  patch?.finish();
  expect(hasJournal()).toBe(false);
  const after = section(path, '.kexec.elfcorehdr').bytes;
  expect(after.equals(plan.segments[0]?.after ?? before)).toBe(true);
  expect(size).toBeGreaterThanOrEqual([...after.keys()].filter((at) => after[at] !== before[at]).length);
});

// The last byte is part of no run that is written; that the plan was made from it is enough.
test.each(['.kexec.elfcorehdr', '.kexec.fdt'])('a guest that changed %s meanwhile: refused, and nothing is left', (name) => {
  const { path, patch, hasJournal } = prepared(0x80000000n);
  const changed = readFileSync(path);
  const { offset, size } = section(path, name);
  changed[offset + size - 1] = 0x5a;
  writeFileSync(path, changed);
  expect(thrown(() => patch?.write())).toMatchObject({
    kind: 'refused',
    problem: 'the guest changed the image while the change was planned',
    details: { file: path, segment: name.replace('.kexec.', ''), remedy: 'nothing was written; try again' },
  });
  expect(hasJournal()).toBe(false);
  expect(readFileSync(path).equals(changed)).toBe(true);
});
