// Breaks the source of some folders in every way Stryker knows and asks the tests that are named here: `npm run mutation -- check` for one folder,
// `npm run mutation -- check --mutate src/check/sound.ts` for one file.

import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';

/** The tests of each folder that run within the process and in milliseconds. */
const TESTS = {
  memory: ['test/memory/*.test.ts', 'test/plan/plan-memory.test.ts'],
  journal: ['test/journal/*.test.ts', 'test/patch/{recover,undo,undo-order}.test.ts'],
  'fdt/edit': ['test/fdt/{edit,edit.property,parse}.test.ts'],
  description: ['test/description/*.test.ts', 'test/check/*.test.ts', 'test/plan/{join-by-node,plan-cpus,plan-memory}.test.ts'],
  check: ['test/check/*.test.ts'],
  watch: ['test/watch/*.test.ts'],
};

const { values, positionals } = parseArgs({ options: { mutate: { type: 'string' } }, allowPositionals: true });
const unknown = positionals.filter((folder) => !Object.hasOwn(TESTS, folder));
if (unknown.length > 0) {
  console.error(`no tests are named for ${unknown.join(', ')}: one of ${Object.keys(TESTS).join(', ')}`);
  process.exit(2);
}
for (const folder of positionals.length > 0 ? positionals : Object.keys(TESTS)) {
  const { status } = spawnSync('stryker', ['run', '--mutate', values.mutate ?? `src/${folder}/*.ts`], {
    stdio: 'inherit',
    env: { ...process.env, KDUMP_HOTPLUG_MUTATION_TESTS: TESTS[folder].join(' ') },
  });
  if (status !== 0) process.exit(status ?? 1);
}
