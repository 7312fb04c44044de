import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { nodeFileSystem } from '../../src/file/node-file-system.js';
import { readMachineState } from '../../src/machine/read-machine-state.js';
import { cpusDirectory, type CpusOfMachine } from '../helpers/cpus-directory.js';
import { scratchFolder } from '../helpers/run.js';
import { thrown } from '../helpers/thrown.js';

const folder = scratchFolder();
let folders = 0;
function mkdir(): string {
  folders += 1;
  const path = join(folder, String(folders));
  mkdirSync(path);
  return path;
}

const NOTES = [0, 2, 3].map((cpu) => [cpu, 0x17f000000n + BigInt(cpu) * 0x1000n, 0x170n] as const);
const CPUS: CpusOfMachine = { possible: '0-7', present: '0,2-3', online: '0,3', notes: NOTES };
const read = (path: string): ReturnType<typeof readMachineState>['cpus'] => readMachineState(nodeFileSystem, { cpus: path }).cpus;

describe('the CPUs of a machine', () => {
  test.each([
    ['as sysfs has them', ''],
    ['as tar pads them with NUL', '\0'.repeat(4090)],
  ])('%s', (_, pad) => {
    expect(read(cpusDirectory(mkdir(), CPUS, pad))).toEqual({
      possible: [0, 1, 2, 3, 4, 5, 6, 7],
      present: [0, 2, 3],
      online: [0, 3],
      crashNotes: new Map(NOTES.map(([cpu, address, size]) => [cpu, { address, size }])),
    });
  });

  test('nobody is online: an empty list', () => {
    expect(read(cpusDirectory(mkdir(), { ...CPUS, online: '' }))?.online).toEqual([]);
  });

  test.each(['3-1', '0-65536', '0,0', '2,1', '0-', 'all', '0-3\0-4'])('a list that is none: %j', (online) => {
    const error = thrown(() => read(cpusDirectory(mkdir(), { ...CPUS, online })));
    expect(error).toMatchObject({ kind: 'input', message: expect.stringMatching(/online: not a list of CPUs/) as string });
  });

  test('a directory of something else is named', () => {
    const path = mkdir();
    expect(thrown(() => read(path))).toMatchObject({
      kind: 'input',
      message: expect.stringContaining(`${path}: not the CPUs of a machine`) as string,
    });
  });

  test('a present CPU without crash notes was copied without privilege: never a machine without them', () => {
    const path = cpusDirectory(mkdir(), CPUS);
    rmSync(join(path, 'cpu2', 'crash_notes'));
    const error = thrown(() => read(path));
    expect(error).toMatchObject({ kind: 'input', message: expect.stringMatching(/CPU 2 has no crash notes.*as root/) as string });
  });

  test.each([
    ['crash_notes', '0x17f000000'],
    ['crash_notes', ''],
    ['crash_notes', '11112222333344445'],
    ['crash_notes_size', '0x170'],
    ['crash_notes_size', '-1'],
  ])('%s of %j is refused', (name, value) => {
    const path = cpusDirectory(mkdir(), CPUS);
    writeFileSync(join(path, 'cpu3', name), `${value}\n`);
    const error = thrown(() => read(path));
    expect(error).toMatchObject({
      kind: 'input',
      message: expect.stringMatching(new RegExp(`cpu3/${name}: not the crash notes`)) as string,
    });
  });
});
