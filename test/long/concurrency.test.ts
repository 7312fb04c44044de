import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';
import { afterAll, expect, test } from 'vitest';
import { copyOf } from '../helpers/fixtures.js';
import { scratchFolder } from '../helpers/run.js';
import { runHere } from '../helpers/run-here.js';

const PATCHERS = 64;
const READERS = 2;

const folder = scratchFolder();
const go = join(folder, 'go');
const stop = join(folder, 'stop');

const children: ChildProcess[] = [];
afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
});

function started(program: string, args: readonly string[]): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    children.push(child);
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.on('error', reject);
    child.on('close', () => {
      resolve(output === '' ? undefined : JSON.parse(output));
    });
  });
}

interface MemoryRange {
  readonly start: string;
  readonly size: number;
}

function memoryOf(image: string): MemoryRange[] {
  const { status, stdout, stderr } = runHere(['inspect', image, '--json']);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return (JSON.parse(stdout) as { elfcorehdr: { memory: MemoryRange[] } }).elfcorehdr.memory;
}

// Many processes patch one image while others read it: the result is a serial one, and no reader sees anything else.

test(`${PATCHERS} processes patch one image while others read it`, async () => {
  const program = join(folder, 'member.cjs');
  buildSync({
    entryPoints: [fileURLToPath(new URL('crowd-member.ts', import.meta.url))],
    outfile: program,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    logLevel: 'error',
  });
  const image = copyOf('ppc64le-64k', folder);
  const before = memoryOf(image);
  // Ranges with gaps between, so that each stays one of its own.
  const ranges = Array.from({ length: PATCHERS }, (_, i) => 0x1_0000_0000 + i * 0x2000_0000);
  const patchers = ranges.map((start) => started(program, ['patch', go, image, '--add-memory', `0x${start.toString(16)}+256M`]));
  const readers = Array.from({ length: READERS }, () => started(program, ['read', go, image, stop]));
  writeFileSync(go, '');
  const results = (await Promise.all(patchers)) as { status: number; attempts: number; stderr: string }[];
  writeFileSync(stop, '');
  const seen = (await Promise.all(readers)) as { reads: number; busy: number; failures: string[]; states: string[] }[];
  const total = (of: (each: (typeof seen)[number]) => number): number => seen.reduce((sum, each) => sum + of(each), 0);
  console.log(
    `${total(({ reads }) => reads)} reads of ${total(({ states }) => states.length)} states, ${total(({ busy }) => busy)} of them busy; ` +
      `${results.reduce((sum, { attempts }) => sum + attempts, 0)} attempts of ${PATCHERS} processes`,
  );
  expect(results.filter(({ status }) => status !== 0)).toEqual([]);
  expect(total(({ states }) => states.length)).toBeGreaterThan(2);
  expect(existsSync(join(folder, '.ppc64le-64k-1.kdump.kdhp-journal'))).toBe(false);
  const added = memoryOf(image).map(({ start }) => Number(start));
  expect(added).toHaveLength(before.length + PATCHERS);
  expect(added).toEqual(expect.arrayContaining(ranges));

  // Each state that somebody saw has everything of those with fewer ranges: they come one after another.
  const sets = seen
    .flatMap(({ states }) =>
      states.map((text) => new Set((JSON.parse(text) as MemoryRange[]).map(({ start, size }) => `${start}+${size}`))),
    )
    .sort((a, b) => a.size - b.size);
  sets.reduce((smaller, larger) => {
    const lost = [...smaller].filter((range) => !larger.has(range) && Number(range.split('+')[0]) >= 0x1_0000_0000);
    expect(lost).toEqual([]);
    return larger;
  }, new Set<string>());
  expect(seen.flatMap(({ failures }) => failures)).toEqual([]);
}, 120_000);
