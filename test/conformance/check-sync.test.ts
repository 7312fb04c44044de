import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { parseElfcorehdr } from '../../src/elf/elfcorehdr.js';
import { cells, node, prop, type Item } from '../fdt/build.js';
import {
  build,
  coreFile,
  cpuNode,
  fdtBytes,
  load,
  note,
  packedFile,
  partsOf,
  planOf,
  type ArchitectureName,
  type BuiltFile,
  type Parts,
} from '../helpers/build-image.js';
import { runHere as run } from '../helpers/run-here.js';
import { Capture, type Guest } from '../helpers/capture-image.js';
import { EVERY_WAY } from '../helpers/every-way.js';
import { cpusDirectory, type CpusOfMachine } from '../helpers/cpus-directory.js';
import { has, run as runProgram, scratchFolder, type RunResult } from '../helpers/run.js';

// Is the image sound, and is it current? What `check` says of each capture's state and the next one's machine is the difference, no more.

const folder = scratchFolder();
const hasTar = has('tar');

interface Checked {
  sound: boolean;
  current: boolean | null;
  digest: string;
  compared: { memory: boolean; cpus: boolean };
  missingMemory: { start: string; size: number }[] | null;
  extraMemory: { start: string; size: number }[] | null;
  missingCpus: number[] | null;
  extraCpus: number[] | null;
  changedCpus: number[] | null;
  missingNotes: { cpu: number; address: string; size: number }[] | null;
  unknownNotes: { start: string; size: number }[] | null;
  findings: { severity: string; code: string; message: string }[];
}

function checkedOf(result: RunResult): Checked {
  expect(result.stderr).toBe('');
  const checked = JSON.parse(result.stdout) as Checked;
  expect(result.status).toBe(checked.sound && checked.current !== false ? 0 : 1);
  return checked;
}

const check = (path: string, ...options: string[]): Checked => checkedOf(run(['check', path, ...options, '--json']));
const codes = ({ findings }: Checked, severity?: string): string[] =>
  findings.filter((each) => severity === undefined || each.severity === severity).map(({ code }) => code);

let folders = 0;
function mkdir(): string {
  folders += 1;
  const path = join(folder, String(folders));
  mkdirSync(path);
  return path;
}

function fileWith(text: string): string {
  const path = join(mkdir(), 'text');
  writeFileSync(path, text);
  return path;
}

/** A copy of /sys/devices/system/memory. */
function memoryBlocks(blockSize: number, blocks: readonly number[], offline: readonly number[]): string {
  const path = mkdir();
  writeFileSync(join(path, 'block_size_bytes'), `${blockSize.toString(16)}\n`);
  for (const block of blocks) {
    mkdirSync(join(path, `memory${block}`));
    writeFileSync(join(path, `memory${block}`, 'state'), offline.includes(block) ? 'offline\n' : 'online\n');
  }
  return path;
}

interface Difference {
  missingMemory?: readonly (readonly [string, number])[];
  extraMemory?: readonly (readonly [string, number])[];
  missingCpus?: readonly number[];
  extraCpus?: readonly number[];
}

const MIB_256 = 0x10000000;
const PPC64LE: Record<string, Difference> = {
  '01-cpu-add-2': { missingCpus: [2] },
  '02-mem-add-256M': { missingMemory: [['0x80000000', MIB_256]] },
  '03-mem-add-1G': {
    // Four blocks that touch are one range.
    missingMemory: [['0x90000000', 4 * MIB_256]],
  },
  '04-cpu-offline-1': {},
  '05-cpu-online-1': {},
  // /proc/iomem goes on listing the block.
  '06-mem-offline-block': {},
  '07-mem-online-block': { missingMemory: [['0x80000000', MIB_256]] },
  '08-mem-del-256M': { extraMemory: [['0x80000000', MIB_256]] },
  '09-cpu-del-2': { extraCpus: [2] },
  '10-cpu-add-5': { missingCpus: [5], extraCpus: [2] },
};
const X86_64: Record<string, Difference> = {
  '01-cpu-add': {},
  '02-mem-add-256M': { missingMemory: [['0x100000000', MIB_256]] },
  '03-mem-add-1G': { missingMemory: [['0x110000000', 0x40000000]] },
  '04-cpu-offline-1': {},
  '05-cpu-online-1': {},
  '06-mem-offline-block': {},
  '07-mem-online-block': {},
  '08-mem-del-256M': {},
};
const GUESTS: readonly [Guest, Record<string, Difference>][] = [
  ['ppc64le-6.12-64k', PPC64LE],
  ['ppc64le-6.12-4k', PPC64LE],
  ['x86_64-6.12-kexec-load', X86_64],
  ['x86_64-6.12-file-load', X86_64],
];
/** One of each architecture. */
const FIRST: readonly Guest[] = ['ppc64le-6.12-64k', 'x86_64-6.12-file-load'];

describe.skipIf(!hasTar).each(EVERY_WAY ? GUESTS : GUESTS.filter(([guest]) => FIRST.includes(guest)))('%s', (guest, differences) => {
  const capture = new Capture(guest);
  const image = capture.packedImage(mkdir());
  const before = (step: string): string => capture.steps[capture.steps.findIndex(({ name }) => name === step) - 1]?.name ?? '';
  const iomemOf = (step: string): string => join(dirname(capture.deviceTreeArchive(step)), 'iomem.txt');

  function stateOf(step: string): string[] {
    if (!capture.has('fdt')) return ['--iomem', iomemOf(step), '--cpus', cpusOf(step)];
    const tree = mkdir();
    expect(spawnSync('tar', ['-xzf', capture.deviceTreeArchive(step), '-C', tree]).status).toBe(0);
    return ['--iomem', iomemOf(step), '--device-tree', tree];
  }

  /** sysfs.txt has the lists of CPUs; their notes are those that the captured elfcorehdr lists in front of vmcoreinfo. */
  function cpusOf(step: string): string {
    const [online = '', present = '', possible = ''] = readFileSync(join(dirname(iomemOf(step)), 'sysfs.txt'), 'utf8').split('\n');
    const notes = parseElfcorehdr(capture.captured('elfcorehdr', '00-loaded')).programHeaders.filter(({ type }) => type === 4);
    return cpusDirectory(mkdir(), {
      possible,
      present,
      online,
      notes: notes.slice(0, -1).map(({ paddr, memsz }, cpu) => [cpu, paddr, memsz]),
    });
  }

  const ranges = (list: Checked['missingMemory']): [string, number][] => (list ?? []).map(({ start, size }) => [start, size]);

  function expectSynced(state: readonly string[], differs: boolean): void {
    const command = ['sync', image.path, ...state, '--json'];
    expect(planOf(run(command)).applied).toBe(differs);
    const checked = check(image.path, ...state);
    expect(checked).toMatchObject({ sound: true, current: true, missingMemory: [], extraMemory: [], missingCpus: [], extraCpus: [] });
    expect(codes(checked, 'error')).toEqual([]);
    const { mtimeNs } = statSync(image.path, { bigint: true });
    expect(planOf(run(command)).applied).toBe(false);
    expect(statSync(image.path, { bigint: true }).mtimeNs).toBe(mtimeNs);
  }

  test('all of the steps are in the table', () => {
    expect(Object.keys(differences)).toEqual(capture.steps.slice(1).map(({ name }) => name));
  });

  test('the state just loaded is sound and current', () => {
    image.setStep('00-loaded');
    expect(check(image.path, ...stateOf('00-loaded'))).toMatchObject({ sound: true, current: true, digest: 'match' });
  });

  test.each(Object.entries(differences))(
    'the state before %s differs from its machine in just that; sync makes it current',
    (step, wanted) => {
      image.setStep(before(step));
      const state = stateOf(step);
      const differs = Object.keys(wanted).length > 0;
      const checked = check(image.path, ...state);
      expect({ ...checked, missingMemory: ranges(checked.missingMemory), extraMemory: ranges(checked.extraMemory) }).toMatchObject({
        sound: true,
        current: !differs,
        missingMemory: wanted.missingMemory ?? [],
        extraMemory: wanted.extraMemory ?? [],
        missingCpus: wanted.missingCpus ?? [],
        extraCpus: wanted.extraCpus ?? [],
        changedCpus: [],
      });
      const severe = [...(wanted.missingMemory ?? []).map(() => 'memory-missing'), ...(wanted.extraMemory ?? []).map(() => 'memory-gone')];
      expect(codes(checked, 'error')).toEqual([...severe, ...(wanted.missingCpus ?? []).map(() => 'cpu-missing')]);
      expectSynced(state, differs);
    },
  );

  test('a block that is offline and listed is reported, and sync takes it out', () => {
    const step = capture.steps.find(({ name }) => name.startsWith('06'))?.name ?? '';
    const ppc64le = guest.startsWith('ppc64le');
    // 2 GiB and 1.25 GiB, in blocks of 256 MiB; 2 GiB and, from 4 GiB on, 1.25 GiB in blocks of 128 MiB.
    const blocks = ppc64le
      ? memoryBlocks(
          0x10000000,
          Array.from({ length: 13 }, (_, index) => index),
          [8],
        )
      : memoryBlocks(
          0x8000000,
          Array.from({ length: 42 }, (_, index) => index),
          [34, 35],
        );
    image.setStep(before(step));
    const state = [...stateOf(step), '--memory-blocks', blocks];
    const checked = check(image.path, ...state);
    expect(checked).toMatchObject({ sound: true, current: false, missingMemory: [], missingCpus: [], extraCpus: [] });
    expect(ranges(checked.extraMemory)).toEqual([[ppc64le ? '0x80000000' : '0x110000000', MIB_256]]);
    expect(codes(checked)).toContain('memory-offline');
    expect(codes(checked)).not.toContain('memory-gone');
    expectSynced(state, true);
  });
});

test.skipIf(!hasTar)('aarch64: the captured image is sound and current', () => {
  const capture = new Capture('aarch64-6.12');
  const image = capture.packedImage(mkdir());
  const archive = capture.deviceTreeArchive('00-loaded');
  const tree = mkdir();
  expect(spawnSync('tar', ['-xzf', archive, '-C', tree]).status).toBe(0);
  const iomem = join(dirname(archive), 'iomem.txt');
  expect(check(image.path, '--iomem', iomem, '--device-tree', tree)).toMatchObject({
    sound: true,
    current: true,
    missingMemory: [],
    extraMemory: [],
    missingCpus: [],
  });
});

/** RAM from 0 to 64 MiB as in the images that are built. */
const WHOLE = (): string[] => ['--iomem', RAM('00000000', '03ffffff', '02000000-02ffffff : Crash kernel')];
/** Two CPUs whose notes are those of the images that are built. */
const [NOTE_0, NOTE_1] = [
  [0, 0x700000n, 0x170n],
  [1, 0x701000n, 0x170n],
] as const;
const CPUS = {
  possible: '0-1',
  present: '0-1',
  online: '0-1',
  notes: [NOTE_0, NOTE_1],
} satisfies CpusOfMachine;
const cpusOfMachine = (change: Partial<CpusOfMachine> = {}): string[] => ['--cpus', cpusDirectory(mkdir(), { ...CPUS, ...change })];

describe('inputs that tell nothing', () => {
  const image = packedFile(join(mkdir(), 'image.kdump'), build(partsOf('x86_64')));

  test.each(['check', 'sync'])('%s: an iomem of zeros is never a machine without memory', (command) => {
    const real = readFileSync(join(dirname(new Capture('x86_64-6.12-file-load').deviceTreeArchive('00-loaded')), 'iomem.txt'), 'utf8');
    const zeros = fileWith(real.replace(/[0-9a-f]{8,}(?=-|\b)/g, '00000000'));
    const before = readFileSync(image.path);
    const result = run([command, image.path, '--iomem', zeros]);
    expect(result).toMatchObject({ status: 3, stdout: '' });
    expect(result.stderr).toMatch(/^kdump-hotplug: [^\n]*addresses[^\n]* zero[^\n]*without privilege[^\n]*root\n$/);
    expect(readFileSync(image.path).equals(before)).toBe(true);
  });

  test.each([
    ['an empty iomem', '', /no System RAM/],
    ['an iomem without RAM', '00000000-00000fff : Reserved\n', /no System RAM/],
    ['another file', 'MemTotal: 12 kB\n', /not a line of \/proc\/iomem/],
  ])('%s: exit 3', (_, text, pattern) => {
    const result = run(['check', image.path, '--iomem', fileWith(text)]);
    expect(result).toMatchObject({ status: 3, stdout: '' });
    expect(result.stderr).toMatch(pattern);
  });

  test('sync without a state, and memory blocks without iomem, are usage errors', () => {
    expect(run(['sync', image.path]).status).toBe(2);
    expect(run(['check', image.path, '--memory-blocks', memoryBlocks(0x8000000, [0], [])]).status).toBe(2);
  });

  test('without a state there is no verdict about it', () => {
    expect(check(image.path)).toMatchObject({ sound: true, current: null });
  });
});

describe('what was compared', () => {
  const imageOf = (architecture: ArchitectureName): string => packedFile(join(mkdir(), 'image.kdump'), build(partsOf(architecture))).path;
  const [ppc64le, x86] = [imageOf('ppc64le'), imageOf('x86_64')];
  const sameTree = liveTree(() => undefined);
  const exit = (path: string, ...options: string[]): number => run(['check', path, ...options]).status;

  test('an image is current only where both its memory and its CPUs were', () => {
    const whole = { sound: true, current: true, compared: { memory: true, cpus: true }, findings: [] };
    expect(check(ppc64le, ...WHOLE(), ...sameTree())).toMatchObject(whole);
    expect(check(x86, ...WHOLE(), ...cpusOfMachine())).toMatchObject({ ...whole, missingNotes: [], unknownNotes: [] });
  });

  test('lists of what was not are null, and the warning names the option', () => {
    const memory = check(ppc64le, ...WHOLE());
    expect(memory).toMatchObject({
      current: null,
      compared: { memory: true, cpus: false },
      missingMemory: [],
      missingCpus: null,
      extraCpus: null,
    });
    expect(memory.findings.map(({ message }) => message)).toEqual([expect.stringContaining('give --device-tree')]);
    const cpus = check(ppc64le, ...sameTree());
    expect(cpus).toMatchObject({
      current: null,
      compared: { memory: false, cpus: true },
      missingMemory: null,
      extraMemory: null,
      missingCpus: [],
    });
    expect(cpus.findings.map(({ message }) => message)).toEqual([expect.stringContaining('give --iomem')]);
    const nothing = check(ppc64le);
    expect(nothing).toMatchObject({
      current: null,
      compared: { memory: false, cpus: false },
      missingMemory: null,
      missingNotes: null,
      findings: [],
    });
  });

  test('a device tree compares no CPUs of an image without FDT, nor Linux numbers those of one with it', () => {
    const tree = check(x86, ...WHOLE(), ...sameTree());
    expect(tree).toMatchObject({ current: null, missingCpus: null });
    expect(tree.findings[0]?.message).toMatch(/give --cpus.*no FDT/);
    const numbers = check(ppc64le, ...WHOLE(), ...cpusOfMachine());
    expect(numbers).toMatchObject({ current: null, missingCpus: null, missingNotes: [] });
    expect(numbers.findings[0]?.message).toMatch(/give --device-tree.*numbers of Linux/);
  });

  test('text says it first', () => {
    const first = (...args: string[]): string =>
      run(['check', ...args])
        .stdout.split('\n')[0]
        ?.replace(/^.*image\.kdump: /, '') ?? '';
    expect(first(ppc64le, ...WHOLE())).toBe('sound, memory current; CPUs not compared (--device-tree); digest match');
    expect(first(x86, ...WHOLE())).toBe('sound, memory current; CPUs not compared (--cpus); digest match');
    expect(first(x86, ...cpusOfMachine())).toBe('sound, CPUs current; memory not compared (--iomem); digest match');
    expect(first(ppc64le, '--iomem', RAM('00000000', '04ffffff'))).toBe(
      'sound, not current; CPUs not compared (--device-tree); digest match',
    );
    expect(first(x86)).toBe('sound, not compared with a machine (--iomem, --cpus); digest match');
    expect(first(ppc64le, ...WHOLE(), ...sameTree())).toBe('sound, current; digest match');
  });

  test('--strict: exit code 1 unless all was, and agrees', () => {
    expect([exit(ppc64le), exit(ppc64le, ...WHOLE()), exit(ppc64le, ...WHOLE(), ...sameTree())]).toEqual([0, 0, 0]);
    expect([exit(ppc64le, '--strict'), exit(ppc64le, ...WHOLE(), '--strict')]).toEqual([1, 1]);
    expect(exit(ppc64le, ...WHOLE(), ...sameTree(), '--strict')).toBe(0);
  });
});

test('sync says what was not compared, also where there is nothing to do', () => {
  const { path } = packedFile(join(mkdir(), 'image.kdump'), build(partsOf('x86_64')));
  const found = (...state: string[]): string[] =>
    (JSON.parse(run(['sync', '-n', path, ...state, '--json']).stdout) as Checked).findings.map(({ code }) => code);
  expect(found(...WHOLE())).toEqual(['cpus-not-compared']);
  expect(found(...cpusOfMachine())).toEqual(['memory-not-compared']);
  expect(found(...WHOLE(), ...cpusOfMachine())).toEqual([]);
});

describe('a CPU that is added to an image without FDT', () => {
  const { path } = packedFile(join(mkdir(), 'image.kdump'), build(partsOf('x86_64')));
  const third = cpusOfMachine({ possible: '0-2', present: '0-2', online: '0-2', notes: [NOTE_0, NOTE_1, [2, 0x702000n, 0x170n]] });
  const added = { action: 'add', cpu: { id: 2, crashNotes: { address: '0x702000', size: 0x170 } } };

  test('plan: has the note that --cpus names, and is refused without', () => {
    expect(run(['plan', path, '--add-cpu', '2'])).toMatchObject({ status: 4, stderr: expect.stringContaining('give --cpus') as string });
    const { stdout } = run(['plan', path, '--add-cpu', '2', ...third, '--json']);
    expect((JSON.parse(stdout) as { changes: object[] }).changes).toEqual([{ ...added, made: true }]);
  });

  test('watch: the same, for an event of the machine', () => {
    const input = 'ACTION=add\nSUBSYSTEM=cpu\nDEVPATH=/devices/system/cpu/cpu2\n\n';
    const watch = (...options: string[]): RunResult => runProgram(['watch', path, '-n', '--json', ...options], { input });
    expect(JSON.parse(watch().stdout)).toMatchObject({ outcome: 'refused' });
    expect(JSON.parse(watch(...third).stdout)).toMatchObject({ outcome: 'planned', changes: [{ action: 'add', cpu: { id: 2 } }] });
  });
});

describe('memory of crashkernel=…,cma on x86_64', () => {
  const checked = (path: string, ...args: string[]): Checked => JSON.parse(run(['check', path, ...args, '--json']).stdout) as Checked;
  const { path } = packedFile(join(mkdir(), 'image.kdump'), build(partsOf('x86_64')));

  test('is not missing from an elfcorehdr of the kernel, which leaves it out, and not added by sync', () => {
    const iomem = ['--iomem', RAM('00000000', '05ffffff', '02000000-02ffffff : Crash kernel')];
    const cma = ['--cma-ranges', fileWith('04000000-04ffffff\n')];
    expect(checked(path, ...iomem).missingMemory).toEqual([{ start: '0x4000000', size: 0x2000000 }]);
    const { missingMemory, sync } = checked(path, ...iomem, ...cma) as Checked & { sync: { command: string } };
    expect(missingMemory).toEqual([{ start: '0x5000000', size: 0x1000000 }]);
    expect(sync.command).toContain(`--cma-ranges ${cma[1] ?? ''}`);
    expect(run(['sync', '-n', path, ...iomem, ...cma]).stdout).toContain('+ memory 0x5000000-0x5ffffff');
  });

  test('is not gone where kexec-tools listed it', () => {
    expect(checked(path, ...WHOLE(), '--cma-ranges', fileWith('03000000-03ffffff\n'))).toMatchObject({
      missingMemory: [],
      extraMemory: [],
      sound: true,
      sync: null,
    });
  });

  test('is refused without the memory that it is part of', () => {
    expect(run(['check', path, '--cma-ranges', fileWith('')])).toMatchObject({ status: 2 });
  });
});

describe('what to do', () => {
  const inJson = (...args: string[]): unknown => (JSON.parse(run(['check', ...args, '--json']).stdout) as { sync: unknown }).sync;

  test('is in JSON, too, and null where nothing is to be done', () => {
    const { path } = packedFile(join(mkdir(), 'image.kdump'), build(partsOf('ppc64le')));
    const more = RAM('00000000', '04ffffff');
    expect(inJson(path, '--iomem', more)).toEqual({ command: `kdump-hotplug sync ${path} --iomem ${more}`, why: null });
    const moved = cpusOfMachine({ notes: [NOTE_0, [1, 0x709000n, 0x170n]] });
    expect(inJson(path, ...WHOLE(), ...liveTree(() => undefined)(), ...moved)).toEqual({
      command: null,
      why: 'sync can change nothing of it: reload the kdump image',
    });
    expect(inJson(path)).toBeNull();
    expect(inJson(path, ...WHOLE())).toBeNull();
  });

  test('is said of an image of another boot, also where its memory and CPUs are the same', () => {
    const { path } = packedFile(join(mkdir(), 'image.kdump'), build(partsOf('ppc64le')));
    const elsewhere = RAM('00000000', '03ffffff', '03000000-03ffffff : Crash kernel');
    expect(inJson(path, '--iomem', elsewhere)).toMatchObject({
      command: null,
      why: expect.stringMatching(/^sync refuses: .*boot/) as string,
    });
  });

  const last = (...args: string[]): string =>
    run(['check', ...args])
      .stdout.trimEnd()
      .split('\n')
      .at(-1) ?? '';

  test('is the whole command line, ready for a shell, and works', () => {
    const path = join(mkdir(), "it's an image.kdump");
    packedFile(path, build(partsOf('ppc64le')));
    const iomem = RAM('00000000', '04ffffff');
    expect(last(path, '--iomem', iomem, '--format', 'packed', '--crash-kernel', '0x2000000-0x2ffffff')).toBe(
      `to bring it up to date: kdump-hotplug sync '${path.replace("'", "'\\''")}' --iomem ${iomem} --format packed --crash-kernel 0x2000000+0x1000000`,
    );
    expect(run(['sync', path, '--iomem', iomem]).status).toBe(0);
    expect(last(path, '--iomem', iomem)).not.toContain('up to date');
  });

  test('is never a sync that refuses', () => {
    const { path } = packedFile(join(mkdir(), 'image.kdump'), build(partsOf('ppc64le')));
    const elsewhere = RAM('00000000', '04ffffff', '01000000-01ffffff : Crash kernel');
    expect(last(path, '--iomem', elsewhere)).toMatch(/^cannot be brought up to date: sync refuses: .*crashkernel/);
    expect(run(['sync', path, '--iomem', elsewhere]).status).toBe(4);
  });

  test('is to reload where the note of a CPU can only be changed by that', () => {
    const { path } = packedFile(join(mkdir(), 'image.kdump'), build(partsOf('ppc64le')));
    const moved = cpusOfMachine({ notes: [NOTE_0, [1, 0x709000n, 0x170n]] });
    expect(last(path, ...WHOLE(), ...liveTree(() => undefined)(), ...moved)).toBe(
      'cannot be brought up to date: sync can change nothing of it: reload the kdump image',
    );
  });

  test('for an ELF dump says that it is a copy', () => {
    const built = build(partsOf('x86_64'));
    const dump = coreFile(join(mkdir(), 'dump.elf'), built, [{ address: 0n, size: 0x4000000n, offset: 0x1000 }]).path;
    expect(last(dump, '--iomem', RAM('00000000', '04ffffff'))).toMatch(
      /^to bring it up to date, in this copy, not on the machine that it is of: kdump-hotplug sync /,
    );
  });
});

test('20,000 missing ranges that each hold a resource are named in a time that grows with their number', () => {
  const { path } = packedFile(join(mkdir(), 'image.kdump'), build(partsOf('ppc64le')));
  const lines = Array.from({ length: 20_000 }, (_, index) => {
    const range = `${(0x100000000 + index * 0x3000).toString(16)}-${(0x100001fff + index * 0x3000).toString(16)}`;
    return `${range} : System RAM\n  ${range} : Reserved`;
  });
  const iomem = fileWith(['00000000-03ffffff : System RAM', ...lines, ''].join('\n'));
  const start = process.cpuUsage();
  const checked = check(path, '--iomem', iomem);
  const { user } = process.cpuUsage(start);
  expect(checked.missingMemory).toHaveLength(20_000);
  expect(checked.findings[0]?.message).toMatch(/, which holds Reserved$/);
  // 25 s where each was compared with each.
  expect(user / 1e6).toBeLessThan(5);
}, 60_000);

describe('x86_64: the notes of CPUs', () => {
  const three = { possible: '0-3', present: '0-2', online: '0-1', notes: [...CPUS.notes, [2, 0x702000n, 0x170n] as const] };
  const imageOf = (): string => packedFile(join(mkdir(), 'image.kdump'), build(partsOf('x86_64'))).path;

  test('one that came after the load is missing; sync lists its note', () => {
    const path = imageOf();
    const state = [...WHOLE(), ...cpusOfMachine(three)];
    expect(check(path, ...state)).toMatchObject({
      current: false,
      missingCpus: [2],
      missingNotes: [{ cpu: 2, address: '0x702000', size: 0x170 }],
      unknownNotes: [],
    });
    expect(planOf(run(['sync', path, ...state, '--json'])).changes).toMatchObject([{ cpu: { id: 2 }, made: true }]);
    expect(check(path, ...state)).toMatchObject({ current: true, missingCpus: [], missingNotes: [] });
  });

  test('one that is possible and went leaves its note behind, which does no harm', () => {
    const gone = { ...CPUS, present: '0', online: '0', notes: [NOTE_0] };
    expect(check(imageOf(), ...WHOLE(), ...cpusOfMachine(gone))).toMatchObject({ current: true, unknownNotes: [], findings: [] });
  });

  test('more notes than CPUs that could have them are of another boot', () => {
    const other = cpusOfMachine({ notes: CPUS.notes.map(([cpu, address, size]) => [cpu, address + 0x10000n, size] as const) });
    expect(check(imageOf(), ...WHOLE(), ...other)).toMatchObject({
      current: false,
      missingCpus: [0, 1],
      unknownNotes: [
        { start: '0x700000', size: 0x170 },
        { start: '0x701000', size: 0x170 },
      ],
    });
  });
});

/** An image that has what `code` says, and the options with which check finds it. */
interface Flaw {
  readonly code: string;
  readonly severity: 'error' | 'warning' | 'info';
  readonly architecture?: ArchitectureName;
  readonly fileLoaded?: boolean;
  readonly what?: string;
  readonly mangle?: (parts: Parts) => void;
  readonly mangleFile?: (file: BuiltFile) => void;
  readonly options?: () => string[];
}

const loads = (parts: Parts): Parts['programHeaders'] => parts.programHeaders.filter(({ type }) => type === 1);
function lastLoad(parts: Parts): Parts['programHeaders'][number] {
  const found = parts.programHeaders.at(-1);
  if (found === undefined) throw new Error('no load');
  return found;
}
function place(parts: Parts, role: 'kernel' | 'elfcorehdr' | 'fdt' | 'backup' | 'initrd'): { address: bigint; memsz: bigint } {
  const found = parts.places.get(role);
  if (found === undefined) throw new Error(`no ${role}`);
  return found;
}
function setReservation(parts: Parts, role: 'elfcorehdr' | 'fdt', size: bigint): void {
  const { address } = place(parts, role);
  parts.reservations = [...parts.reservations.filter(([at]) => at !== address), [address, size]];
}
function setChosen(parts: Parts, name: string, value: Uint8Array | string): void {
  parts.chosen = [...parts.chosen.filter((each) => each.prop !== name), prop(name, value)];
}
const RAM = (first: string, last: string, ...nested: string[]): string =>
  fileWith([`${first}-${last} : System RAM`, ...nested.map((line) => `  ${line}`), ''].join('\n'));
const flip = (file: BuiltFile): void => {
  file.write('kernel', Uint8Array.of(0xff), 0x123);
};
const liveTree = (change: (parts: Parts) => void) => (): string[] => {
  const parts = partsOf('ppc64le');
  change(parts);
  const path = join(mkdir(), 'live.dtb');
  writeFileSync(path, fdtBytes(parts));
  return ['--device-tree', path];
};

/** A memory node of a GPU, 16 MiB from `start` on. */
const gpu = (start: number): Item =>
  node('memory@gpu', prop('compatible', 'ibm,coherent-device-memory'), prop('reg', [0, start, 0, 0x1000000]));

const FLAWS: readonly Flaw[] = [
  { code: 'no-notes', severity: 'error', mangle: (parts) => void (parts.programHeaders = loads(parts)) },
  {
    code: 'fdt-missing',
    severity: 'error',
    mangle: (parts) => void (parts.places.delete('fdt'), (parts.covers = parts.covers.filter((role) => role !== 'fdt'))),
  },
  { code: 'purgatory-missing', severity: 'error', mangle: (parts) => void parts.places.delete('purgatory') },
  {
    code: 'purgatory-missing',
    severity: 'error',
    architecture: 'x86_64',
    what: 'x86_64',
    mangle: (parts) => void parts.places.delete('purgatory'),
  },
  { code: 'notes-not-first', severity: 'error', mangle: (parts) => void parts.programHeaders.push(note(0x790000n)) },
  {
    code: 'one-byte-too-long',
    severity: 'warning',
    mangle: (parts) => {
      lastLoad(parts).memsz += 1n;
      lastLoad(parts).filesz += 1n;
    },
  },
  { code: 'not-linear-map', severity: 'warning', mangle: (parts) => void (lastLoad(parts).vaddr = 0x7e7ff000n) },
  { code: 'partial-load', severity: 'warning', mangle: (parts) => void (lastLoad(parts).filesz = 0x1000n) },
  {
    code: 'overlapping-memory',
    severity: 'error',
    mangle: (parts) => void parts.programHeaders.push(load(0x3ff0000n, 0x20000n, parts.facts.linear)),
  },
  {
    code: 'shared-page',
    severity: 'warning',
    mangle: (parts) => {
      parts.programHeaders.pop();
      parts.programHeaders.push(load(0x3000000n, 0x800800n, parts.facts.linear), load(0x3800800n, 0x7ff800n, parts.facts.linear));
    },
  },
  {
    code: 'crashkernel-listed',
    severity: 'error',
    mangle: (parts) => {
      parts.programHeaders.pop();
      parts.programHeaders.push(load(0x2fff000n, 0x1001000n, parts.facts.linear));
    },
  },
  {
    code: 'backup-missing',
    severity: 'error',
    mangle: (parts) => {
      parts.places.delete('backup');
      parts.covers = parts.covers.filter((role) => role !== 'backup');
    },
  },
  {
    code: 'backup-elsewhere',
    severity: 'error',
    mangle: (parts) => {
      for (const each of parts.programHeaders) if (each.type === 1 && each.paddr === 0n) each.offset += 0x8000n;
    },
  },
  { code: 'segment-outside-crashkernel', severity: 'error', mangle: (parts) => void (place(parts, 'kernel').address = 0x3800000n) },
  {
    code: 'elfcorehdr-not-reserved',
    severity: 'error',
    mangle: (parts) => {
      setReservation(parts, 'elfcorehdr', 0x100n);
    },
  },
  {
    code: 'elfcorehdr-reservation-short',
    severity: 'info',
    mangle: (parts) => {
      setReservation(parts, 'elfcorehdr', 0x400n);
    },
  },
  {
    code: 'fdt-not-reserved',
    severity: 'error',
    mangle: (parts) => {
      setReservation(parts, 'fdt', 0x40n);
    },
  },
  {
    code: 'elfcorehdr-elsewhere',
    severity: 'error',
    mangle: (parts) => {
      setChosen(parts, 'bootargs', 'elfcorehdr=33600K');
    },
  },
  {
    code: 'elfcorehdr-size-stated-short',
    severity: 'error',
    architecture: 'aarch64',
    mangle: (parts) => {
      setChosen(parts, 'linux,elfcorehdr', cells(0, Number(place(parts, 'elfcorehdr').address), 0, 0x100));
    },
  },
  {
    code: 'initrd-elsewhere',
    severity: 'error',
    mangle: (parts) => {
      setChosen(parts, 'linux,initrd-end', cells(0, 0x2070000));
    },
  },
  {
    code: 'initrd-elsewhere',
    what: 'no initrd segment',
    severity: 'error',
    mangle: (parts) => {
      parts.places.delete('initrd');
      parts.covers = parts.covers.filter((role) => role !== 'initrd');
    },
  },
  { code: 'no-cpus', severity: 'error', mangle: (parts) => void (parts.cpus = [node('l2-cache')]) },
  {
    code: 'no-cpus',
    what: 'no /cpus',
    severity: 'error',
    mangleFile: (file) => {
      const fdt = file.read('fdt');
      file.write('fdt', Buffer.from('cpuz\0'), fdt.indexOf('cpus\0'));
    },
  },
  {
    code: 'cpu-node-cut-short',
    severity: 'error',
    mangle: (parts) => void parts.cpus.push(node('PowerPC,POWER9@2', prop('ibm,ppc-interrupt-server#s', cells(2)))),
  },
  {
    code: 'duplicate-cpu',
    severity: 'error',
    mangle: (parts) => void parts.cpus.push(node('PowerPC,POWER9@8', prop('device_type', 'cpu'), prop('reg', cells(1)))),
  },
  {
    code: 'elfcorehdr-full',
    severity: 'warning',
    mangle: (parts) => void (place(parts, 'elfcorehdr').memsz = BigInt(64 + 56 * parts.programHeaders.length)),
  },
  {
    code: 'fdt-full',
    severity: 'warning',
    mangle: (parts) => {
      parts.fdtSlack = 8;
      place(parts, 'fdt').memsz = 0n;
      place(parts, 'fdt').memsz = BigInt(fdtBytes(parts).length);
    },
  },
  { code: 'digest-mismatch', severity: 'error', mangleFile: flip },
  { code: 'digest-mismatch', what: 'aarch64', architecture: 'aarch64', severity: 'error', mangleFile: flip },
  { code: 'digest-ignored', severity: 'info', fileLoaded: true, mangleFile: flip },
  {
    code: 'crashkernel-differs',
    severity: 'error',
    options: () => ['--iomem', RAM('00000000', '03ffffff', '01000000-01ffffff : Crash kernel')],
  },
  { code: 'memory-missing', severity: 'error', options: () => ['--iomem', RAM('00000000', '04ffffff')] },
  {
    code: 'device-memory-left-out',
    severity: 'warning',
    mangle: (parts) => void parts.nodes.push(gpu(0x4000000)),
    options: () => ['--iomem', RAM('00000000', '04ffffff')],
  },
  { code: 'device-memory-listed', severity: 'error', mangle: (parts) => void parts.nodes.push(gpu(0x3000000)) },
  { code: 'memory-gone', severity: 'error', options: () => ['--iomem', RAM('00000000', '037fffff')] },
  {
    code: 'memory-offline',
    severity: 'warning',
    options: () => ['--iomem', RAM('00000000', '03ffffff'), '--memory-blocks', memoryBlocks(0x800000, [0, 1, 2, 3, 4, 5, 6, 7], [7])],
  },
  { code: 'memory-not-compared', severity: 'warning', options: liveTree(() => undefined) },
  { code: 'cpus-not-compared', severity: 'warning', options: WHOLE },
  { code: 'cpus-not-compared', what: 'x86_64', architecture: 'x86_64', severity: 'warning', options: WHOLE },
  {
    code: 'cpu-note-missing',
    severity: 'error',
    architecture: 'x86_64',
    options: () => cpusOfMachine({ possible: '0-2', present: '0-2', notes: [...CPUS.notes, [2, 0x702000n, 0x170n]] }),
  },
  {
    code: 'cpu-note-missing',
    what: 'note cut short',
    severity: 'error',
    options: () => cpusOfMachine({ notes: [NOTE_0, [1, 0x701000n, 0x200n]] }),
  },
  {
    code: 'cpu-note-unknown',
    severity: 'warning',
    options: () => cpusOfMachine({ notes: [NOTE_0, [1, 0x709000n, 0x170n]] }),
  },
  { code: 'cpu-missing', severity: 'error', options: liveTree((parts) => void parts.cpus.push(cpuNode('ppc64le', 2))) },
  { code: 'cpu-gone', severity: 'warning', options: liveTree((parts) => void parts.cpus.pop()) },
  {
    code: 'cpu-differs',
    severity: 'warning',
    options: liveTree((parts) => void (parts.cpus = [cpuNode('ppc64le', 0), cpuNode('ppc64le', 1, prop('status', 'okay'))])),
  },
];

describe('coherent device memory, which a driver has put online', () => {
  // A GPU on a POWER9: kexec-tools leaves its memory out, /proc/iomem shows it as System RAM.
  const GPU_RAM = '0x4000000+0x1000000';
  const inImage = (parts: Parts): void => void parts.nodes.push(gpu(0x4000000));
  const iomem = (): string[] => ['--iomem', RAM('00000000', '04ffffff')];
  const image = (mangle?: (parts: Parts) => void): string => {
    const parts = partsOf('ppc64le');
    mangle?.(parts);
    return packedFile(join(mkdir(), 'gpu.kdump'), build(parts)).path;
  };

  test.each([
    ['the FDT of the image', inImage, iomem],
    ['the live tree', undefined, () => [...iomem(), ...liveTree(inImage)()]],
  ] as const)('named by %s: not missing, and sync leaves it out with a word; --force adds it', (_, mangle, state) => {
    const file = image(mangle);
    const checked = check(file, ...state());
    expect(checked).toMatchObject({ sound: true, missingMemory: [] });
    expect(codes(checked)).toContain('device-memory-left-out');
    const before = readFileSync(file);
    const synced = run(['sync', file, ...state()]);
    expect(synced).toMatchObject({ status: 0, stderr: '' });
    expect(synced.stdout).toContain('nothing to do');
    expect(synced.stdout).toContain('[device-memory-left-out]');
    expect(readFileSync(file)).toEqual(before);
    expect(run(['sync', file, ...state(), '--force'])).toMatchObject({ status: 0, stderr: '' });
    expect(codes(check(file, ...state()))).toContain('device-memory-listed');
  });

  test('a change that adds it is refused, and forcible', () => {
    const file = image(inImage);
    for (const compat of [[], ['--compat', 'linux']]) {
      const refused = run(['plan', file, '--add-memory', GPU_RAM, ...compat]);
      expect(refused.status).toBe(4);
      expect(refused.stderr).toMatch(/coherent device memory 0x4000000-0x4ffffff .*--force/);
      expect(run(['plan', file, '--add-memory', GPU_RAM, ...compat, '--force'])).toMatchObject({ status: 0, stderr: '' });
    }
  });
});

describe('findings', () => {
  test.each(FLAWS)('$severity $code $what', ({ code, severity, architecture = 'ppc64le', fileLoaded, mangle, mangleFile, options }) => {
    const parts = partsOf(architecture, fileLoaded === undefined ? {} : { fileLoaded });
    mangle?.(parts);
    const file = packedFile(join(mkdir(), 'flawed.kdump'), build(parts));
    mangleFile?.(file);
    const checked = check(file.path, ...(options?.() ?? []));
    const found = checked.findings.filter((each) => each.code === code);
    expect(found.length, codes(checked).join(', ')).toBeGreaterThan(0);
    for (const each of found) expect(each).toEqual({ severity, code, message: expect.stringMatching(/^[^\n]{20,}$/) as string });
    // inspect says what it can say without reading the large segments and without a machine.
    const inspected = JSON.parse(run(['inspect', file.path, '--json']).stdout) as Pick<Checked, 'findings'>;
    const needsMore = options !== undefined || code.startsWith('digest-');
    expect(inspected.findings.some((each) => each.code === code)).toBe(!needsMore);
  });

  test('text for people has the message too', () => {
    const parts = partsOf('ppc64le');
    parts.programHeaders.push(note(0x790000n));
    const file = packedFile(join(mkdir(), 'text.kdump'), build(parts));
    const result = run(['check', file.path]);
    expect(result).toMatchObject({ status: 1, stderr: '' });
    expect(result.stdout).toContain('not sound');
    expect(result.stdout).toContain(check(file.path).findings[0]?.message);
  });

  test.each(['ppc64', 'ppc64le', 'x86_64', 'aarch64', 'riscv64', 'loongarch64'] as const)('a valid %s image has none', (architecture) => {
    const file = packedFile(join(mkdir(), 'valid.kdump'), build(partsOf(architecture)));
    const checked = check(file.path);
    expect(checked).toMatchObject({ sound: true, digest: 'match', findings: [] });
  });

  // The codes are stable names that scripts may rely on: each one has an image above that shows it.
  afterAll(() => {
    const sources = ['sound', 'check']
      .map((name) => readFileSync(new URL(`../../src/check/${name}.ts`, import.meta.url), 'utf8'))
      .join('\n');
    const all = [...sources.matchAll(/(?:(?:finding|add)\(\s*'(?:error|warning|info)',\s*|code: )'([a-z0-9-]+)'/g)].map(([, code]) => code);
    expect([...new Set(all)].filter((code) => code !== undefined && !FLAWS.some((flaw) => flaw.code === code))).toEqual([]);
    expect(all.length).toBeGreaterThan(25);
  });
});

describe('ppc64 kexec_file_load, whose purgatory never looks at its digest', () => {
  function wrongDigest(fileLoaded: boolean): BuiltFile {
    const file = packedFile(join(mkdir(), 'ignored.kdump'), build(partsOf('ppc64le', { fileLoaded })));
    flip(file);
    return file;
  }

  test('a mismatch is no more than information, and a change goes on', () => {
    const file = wrongDigest(true);
    const checked = check(file.path);
    expect(checked).toMatchObject({ sound: true, digest: 'mismatch' });
    expect(checked.findings).toEqual([
      { severity: 'info', code: 'digest-ignored', message: expect.stringContaining('does no harm') as string },
    ]);
    const purgatory = file.read('purgatory');
    expect(planOf(run(['plan', file.path, '--add-memory', '0x10000000+1M', '--json']))).toMatchObject({
      applied: false,
      digest: 'ignored',
    });
    expect(planOf(run(['apply', file.path, '--add-memory', '0x10000000+1M', '--json']))).toMatchObject({
      applied: true,
      digest: 'ignored',
    });
    expect(file.read('purgatory').equals(purgatory)).toBe(true);
  });

  test('of an image by kexec-tools it is an error, and a change is refused', () => {
    const file = wrongDigest(false);
    expect(check(file.path)).toMatchObject({ sound: false, digest: 'mismatch' });
    const before = readFileSync(file.path);
    const result = run(['apply', file.path, '--add-memory', '0x10000000+1M']);
    expect(result).toMatchObject({ status: 4, stdout: '' });
    expect(result.stderr).toMatch(/digest covers what changes, and does not match/);
    expect(readFileSync(file.path).equals(before)).toBe(true);
  });

  test('one that matches is kept so', () => {
    const file = packedFile(join(mkdir(), 'kept.kdump'), build(partsOf('ppc64le', { fileLoaded: true })));
    expect(planOf(run(['apply', file.path, '--add-memory', '0x10000000+1M', '--json']))).toMatchObject({ digest: 'rewritten' });
    expect(file.digests().stored).toBe(file.digests().computed);
  });
});
