import { existsSync, readFileSync, readdirSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { journalNameOf } from '../../src/journal/find-journal.js';
import { FakeQemu } from '../helpers/fake-qemu.js';
import { copyOf } from '../helpers/fixtures.js';
import { scratchFolder } from '../helpers/run.js';
import { start, type Started } from '../helpers/start.js';
import { memoryFile } from '../patch/kill-scenarios.js';

// While an image is looked for in memory, a signal ends every command at once. The memory here is so large that looking through it takes hours.

const HOURS = 2 ** 43;
/** So many bytes read since are a search under way. */
const READ = 2 ** 28;
const EVENT = '{"action":"add","memory":{"start":"0x80000000","size":"256M"}}\n';

const folder = scratchFolder();
const running: Started[] = [];
let qemu: FakeQemu | undefined;
afterEach(() => {
  for (const { process } of running.splice(0)) process.kill('SIGKILL');
  qemu?.end();
  qemu = undefined;
});

let count = 0;
function memory(): string {
  const path = join(folder, `${(count += 1)}.ram`);
  memoryFile(path, 'ppc64le-64k', 0, new Uint8Array());
  return path;
}

function begin(args: readonly string[]): Started {
  const program = start(args);
  running.push(program);
  return program;
}

const bytesReadBy = ({ process }: Started): number =>
  Number(/^rchar: (\d+)/.exec(readFileSync(`/proc/${process.pid ?? 0}/io`, 'latin1'))?.[1]);

async function searches(program: Started, since = 0): Promise<void> {
  while (bytesReadBy(program) < since + READ) await sleep(10);
}

test.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)('%s ends check and apply', async (signal) => {
  const image = memory();
  truncateSync(image, HOURS);
  const { mtimeMs } = statSync(image);
  for (const args of [['check'], ['apply', '--add-cpu', '2']]) {
    const program = begin([args[0] as string, image, ...args.slice(1)]);
    await searches(program);
    program.process.kill(signal);
    expect(await program.ended).toMatchObject({ signal, status: null, stdout: '', stderr: '' });
  }
  expect(statSync(image).mtimeMs).toBe(mtimeMs);
});

test('a signal ends each command that looks for an image', async () => {
  const image = memory();
  const other = copyOf('ppc64le-64k', folder);
  truncateSync(image, HOURS);
  const { mtimeMs } = statSync(image);
  const out = join(folder, 'out');
  const iomem = join(folder, 'iomem');
  writeFileSync(iomem, '00000000-7fffffff : System RAM\n');
  const before = readdirSync(folder);
  for (const args of [
    ['inspect', image],
    ['plan', image, '--add-cpu', '2'],
    ['sync', image, '--iomem', iomem],
    ['diff', other, image],
    ['extract', image, '-d', out],
    ['capture', image, '-o', out],
    ['report', image, '-o', out],
  ]) {
    const program = begin(args);
    await searches(program);
    program.process.kill('SIGTERM');
    expect(await program.ended, args[0]).toMatchObject({ signal: 'SIGTERM', status: null, stdout: '', stderr: '' });
  }
  expect(statSync(image).mtimeMs).toBe(mtimeMs);
  expect(readdirSync(folder)).toEqual(before);
});

test.each([
  ['SIGTERM', 'without a guest'],
  ['SIGINT', 'without a guest'],
  ['SIGTERM', 'with one, which is not paused'],
] as const)('%s ends watch, %s, before anything is written', async (signal, guest) => {
  const image = memory();
  if (guest !== 'without a guest') qemu = await FakeQemu.start();
  const program = begin(['watch', image, ...(qemu === undefined ? [] : ['--qmp', qemu.socket])]);
  await program.says('watching');
  truncateSync(image, HOURS);
  const { mtimeMs } = statSync(image);
  const before = bytesReadBy(program);
  program.process.stdin.write(EVENT);
  await searches(program, before);
  program.process.kill(signal);
  expect(await program.ended).toMatchObject({ signal, status: null, stdout: '' });
  expect(statSync(image).mtimeMs).toBe(mtimeMs);
  expect(existsSync(join(folder, journalNameOf(`${count}.ram`)))).toBe(false);
  expect(qemu?.runCommands ?? []).toEqual([]);
});

test('a signal between two searches is heard: what has come is applied first', async () => {
  const image = memory();
  const program = begin(['watch', image, '--settle', '60000']);
  await program.says('watching');
  for (let i = 0; i < 2; i += 1) program.process.stdin.write(EVENT);
  await sleep(300);
  program.process.kill('SIGTERM');
  const { status, stdout } = await program.ended;
  expect({ status, stdout }).toMatchObject({ status: 0, stdout: expect.stringContaining('add memory') as string });
});
