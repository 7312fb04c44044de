import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { build, partsOf, ramFile } from '../helpers/build-image.js';
import { has, run, scratchFolder } from '../helpers/run.js';

// A guest's memory is patched while somebody who maps it looks at it without a pause: what can be seen is old, new, or marked as being changed.

const ROUNDS = 50;
const folder = scratchFolder();
const at = (name: string): string => join(folder, name);
let reader: ChildProcess | undefined;
afterAll(() => {
  reader?.kill('SIGKILL');
});

interface Seen {
  readonly looks: number;
  readonly marked: number;
  readonly unstable: number;
  readonly changes: number;
  readonly torn: number;
}

test.skipIf(!has('gcc'))('somebody who maps the memory never sees a structure that is torn', async () => {
  const source = fileURLToPath(new URL('mapped-reader.c', import.meta.url));
  expect(spawnSync('gcc', ['-O2', '-o', at('mapped-reader'), source], { encoding: 'utf8' })).toMatchObject({ status: 0 });
  const memory = ramFile(at('memory'), [build(partsOf('ppc64le'))]);
  const structures = ['elfcorehdr', 'fdt'] as const;
  const change = ['apply', memory.path, '--crash-kernel', '0x2000000+16M', '--add-memory', '0x80000000+256M', '--add-cpu', '8-15'];
  const back = ['undo', memory.path, at('undo')];
  const states = structures.map((name) => ({ name, old: memory.read(name), new: memory.read(name) }));
  expect(run([...change, '--save-undo', at('undo')])).toMatchObject({ status: 0 });
  for (const state of states) state.new = memory.read(state.name);
  expect(run(back)).toMatchObject({ status: 0 });
  const places = states.flatMap(({ name, ...versions }) => {
    const end = 1 + Math.max(...[versions.old, versions.new].map((bytes) => bytes.findLastIndex((byte) => byte !== 0)));
    for (const version of ['old', 'new'] as const) writeFileSync(at(`${name}.${version}`), versions[version].subarray(0, end));
    return [String(memory.stored(name)[0]?.offset), at(`${name}.old`), at(`${name}.new`)];
  });
  const started = spawn(at('mapped-reader'), [memory.path, ...places], { stdio: ['pipe', 'pipe', 'inherit'] });
  reader = started;
  let output = '';
  const mapped = new Promise((resolve) => started.stdout.once('data', resolve));
  started.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  const ended = new Promise((resolve) => started.on('close', resolve));
  await mapped;
  // It maps the file, and is no guest that stands still.
  expect(run([...change, '--live'])).toMatchObject({ status: 4, stderr: expect.stringContaining('nothing shows') as string });
  for (let round = 0; round < ROUNDS; round += 1) {
    expect(run([...change, '--live', '--force', '--save-undo', at('undo'), '--overwrite'])).toMatchObject({ status: 0 });
    expect(run([...back, '--live', '--force'])).toMatchObject({ status: 0 });
  }
  started.stdin.end('.');
  await ended;
  const seen = JSON.parse(output) as Seen;
  console.info(`mapped memory, ${2 * ROUNDS} patches: ${output.trim()}`);
  expect(seen.torn).toBe(0);
  // It looked while they were made, and at their results.
  expect(seen.marked).toBeGreaterThan(ROUNDS);
  expect(seen.changes).toBeGreaterThan(ROUNDS);
  expect(seen.looks).toBeGreaterThan(10_000_000);
});
