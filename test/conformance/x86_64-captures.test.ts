import { createHash } from 'node:crypto';
import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  build,
  headersOf,
  load,
  packedFile,
  partsOf,
  planOf,
  programHeadersOf,
  ramFile,
  shown,
  type Built,
  type PlanJson,
} from '../helpers/build-image.js';
import { runHere as run } from '../helpers/run-here.js';
import { Capture, type ImageFile, type Role, type Step } from '../helpers/capture-image.js';
import { EVERY_WAY } from '../helpers/every-way.js';
import { scratchFolder } from '../helpers/run.js';

// x86_64 has no FDT: only the elfcorehdr changes. The captures are of a guest with 5-level paging, so its linear map begins at 0xff11….

const folder = scratchFolder();
/** Looking through all of the RAM takes most of a second, so most tests look in the crashkernel range alone. */
const CRASH_KERNEL = ['--crash-kernel', '0x6f000000-0x7effffff'];
const WAYS = ['RAM file and kexec log', 'packed image'] as const;
const GUESTS = ['x86_64-6.12-kexec-load', 'x86_64-6.12-file-load'] as const;
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const LINUX = ['--compat', 'linux'];

function optionsFor({ changes }: Step): string[] {
  const action = (name: string): string => ({ online: 'add', offline: 'remove' })[name] ?? name;
  return changes.flatMap((change) =>
    'memory' in change
      ? [`--${action(change.action)}-memory`, `${change.memory.start}+${change.memory.size}`]
      : [`--${action(change.action)}-cpu`, String(change.cpu.id)],
  );
}

/** The PT_LOADs that a step adds, to the table before it. */
const ADDED = {
  '02': [load(0x100000000n, 0x10000000n, 0xff11000000000000n)],
  '03': [load(0x110000000n, 0x40000000n, 0xff11000000000000n)],
};

describe.each(GUESTS)('%s', (guest) => {
  const capture = new Capture(guest);
  const inputs = new Map<string, { image: ImageFile; options: readonly string[]; baseline: ReadonlyMap<string, string> }>();
  const stepNamed = (number: string): Step => {
    const found = capture.steps.find(({ name }) => name.startsWith(number));
    if (found === undefined) throw new Error(`${guest} has no step ${number}`);
    return found;
  };
  const steps = capture.steps.filter(({ changes }) => changes.length > 0);
  const stepBefore = ({ name }: Step): string => capture.steps[capture.steps.findIndex((step) => step.name === name) - 1]?.name ?? '';
  const tableOf = (step: string): string[] => programHeadersOf(capture.captured('elfcorehdr', step)).map(shown);

  beforeAll(() => {
    const ram = capture.ramFile(folder);
    const baseline = ram.fingerprint();
    inputs.set('RAM file', { image: ram, options: ram.options, baseline });
    inputs.set('RAM file and crashkernel range', { image: ram, options: [...ram.options, ...CRASH_KERNEL], baseline });
    inputs.set('RAM file and kexec log', { image: ram, options: [...ram.options, '--kexec-log', capture.kexecLog], baseline });
    const packed = capture.packedImage(folder);
    inputs.set('packed image', { image: packed, options: [], baseline: packed.fingerprint() });
  });

  /** Applies a step to the state that `from` has captured, and looks at everything but the elfcorehdr's bytes. */
  function applyStep(
    way: string,
    step: Step,
    mode: readonly string[],
    { twice } = { twice: way === 'packed image' },
  ): { elfcorehdr: Uint8Array; plan: PlanJson } {
    const { image, options, baseline } = inputs.get(way) as NonNullable<ReturnType<typeof inputs.get>>;
    image.setStep(stepBefore(step));
    const command = ['apply', image.path, ...options, ...optionsFor(step), ...mode, '--json'];
    const plan = planOf(run(command));
    expect(plan.segments.map(({ name }) => name)).toEqual(['elfcorehdr']);
    expect(plan.digest).toBe(plan.applied ? 'unaffected' : plan.digest);
    const print = image.fingerprint();
    for (const [piece, hash] of baseline) if (piece !== 'elfcorehdr') expect(print.get(piece), piece).toBe(hash);
    const elfcorehdr = image.read('elfcorehdr');
    if (!twice) return { elfcorehdr, plan };
    const { mtimeNs } = statSync(image.path, { bigint: true });
    const removes = step.changes.some((change) => ['remove', 'offline'].includes(change.action) && 'memory' in change);
    const again = run(command);
    if (removes && plan.applied) expect(again.status).toBe(4);
    else expect(planOf(again).applied).toBe(false);
    expect(statSync(image.path, { bigint: true }).mtimeNs).toBe(mtimeNs);
    expect(sha256(image.read('elfcorehdr'))).toBe(sha256(elfcorehdr));
    return { elfcorehdr, plan };
  }

  // The others change nothing, and are below.
  test.each(steps.filter(({ name }) => ['02', '03', '06'].includes(name.slice(0, 2))))(
    'RAM file alone, $name --compat linux: the elfcorehdr is the kernel’s',
    (step) => {
      const way = step.name.startsWith('03') ? 'RAM file' : 'RAM file and crashkernel range';
      const { elfcorehdr } = applyStep(way, step, LINUX);
      expect(headersOf(elfcorehdr)).toEqual(headersOf(capture.captured('elfcorehdr', step.name)));
    },
  );

  describe.each(EVERY_WAY ? WAYS : guest === GUESTS[0] ? [WAYS[0]] : ['packed image'])('%s', (way) => {
    test.each(steps)('$name --compat linux: the elfcorehdr is the kernel’s', (step) => {
      const { elfcorehdr, plan } = applyStep(way, step, LINUX);
      expect(headersOf(elfcorehdr)).toEqual(headersOf(capture.captured('elfcorehdr', step.name)));
      expect(plan.applied).toBe(step.kernelChanged.length > 0);
    });

    test('02: the low backup stays in its place, all else is the kernel’s', () => {
      const { elfcorehdr } = applyStep(way, stepNamed('02'), []);
      const wanted = [...tableOf('00-loaded'), ...ADDED['02'].map(shown)];
      expect(programHeadersOf(elfcorehdr).map(shown)).toEqual(wanted);
      const kernels = tableOf('02-mem-add-256M');
      expect(wanted.filter((line) => !kernels.includes(line))).toEqual(
        guest === 'x86_64-6.12-kexec-load' ? ['LOAD 7ef61000 ff11000000001000 1000 9ec00 9ec00'] : [],
      );
      if (guest === 'x86_64-6.12-file-load')
        expect(headersOf(elfcorehdr)).toEqual(headersOf(capture.captured('elfcorehdr', stepNamed('02').name)));
    });

    test('03: the elfcorehdr is the kernel’s; memory that touches other memory stays a range of its own', () => {
      const step = stepNamed('03');
      const { elfcorehdr } = applyStep(way, step, []);
      expect(headersOf(elfcorehdr)).toEqual(headersOf(capture.captured('elfcorehdr', step.name)));
      expect(programHeadersOf(elfcorehdr).map(shown)).toEqual([...tableOf(stepBefore(step)), ...ADDED['03'].map(shown)]);
    });

    test('04 and 05: CPUs taken offline and online change nothing', () => {
      for (const step of [stepNamed('04'), stepNamed('05')]) {
        const { elfcorehdr, plan } = applyStep(way, step, []);
        expect(plan).toMatchObject({ applied: false, changes: [{ made: false }] });
        expect(sha256(elfcorehdr)).toBe(sha256(capture.captured('elfcorehdr', step.name)));
      }
    });

    test('06: the block is cut off its range, which the kernel leaves listed', () => {
      const step = stepNamed('06');
      const { elfcorehdr } = applyStep(way, step, []);
      const rest = load(0x120000000n, 0x30000000n, 0xff11000000000000n);
      expect(programHeadersOf(elfcorehdr).map(shown)).toEqual([...tableOf(stepBefore(step)).slice(0, -1), shown(rest)]);
      // What the removed program header held is zero again, as behind the last one before.
      expect(elfcorehdr.length).toBe(Number(capture.segment('elfcorehdr').memsz));
    });

    test('07: a listed block that comes online is nothing to do', () => {
      const { elfcorehdr, plan } = applyStep(way, stepNamed('07'), []);
      expect(plan).toMatchObject({ applied: false, changes: [{ made: false, reason: 'it is listed already' }] });
      expect(sha256(elfcorehdr)).toBe(sha256(capture.captured('elfcorehdr', '07-mem-online-block')));
    });
  });

  test('02 to 07 one after the other: the block that went and came back is a range of its own', () => {
    const { image } = inputs.get('packed image') as NonNullable<ReturnType<typeof inputs.get>>;
    image.setStep('00-loaded');
    for (const number of ['02', '03', '04', '05', '06', '07'])
      planOf(run(['apply', image.path, ...optionsFor(stepNamed(number)), '--json']));
    const linear = 0xff11000000000000n;
    expect(programHeadersOf(image.read('elfcorehdr')).map(shown)).toEqual([
      ...tableOf('00-loaded'),
      ...[load(0x100000000n, 0x10000000n, linear), load(0x110000000n, 0x10000000n, linear), load(0x120000000n, 0x30000000n, linear)].map(
        shown,
      ),
    ]);
  });

  describe('CPUs beyond the notes', () => {
    const changes = (cpu: object): string => JSON.stringify({ changes: [{ action: 'add', cpu }] });

    test('refused without crashNotes; with them the PT_NOTE goes in front of vmcoreinfo; again nothing to do', () => {
      const { image } = inputs.get('packed image') as NonNullable<ReturnType<typeof inputs.get>>;
      image.setStep('00-loaded');
      const before = image.fingerprint();
      const refused = run(['apply', image.path, '--add-cpu', '2']);
      expect(refused).toMatchObject({ status: 4, stdout: '' });
      expect(refused.stderr).toMatch(/^kdump-hotplug: [^\n]*cannot add CPU 2[^\n]*PT_NOTEs for 2 CPUs[^\n]*crashNotes[^\n]*\n$/);
      expect(run(['apply', image.path, '--changes', '-'], { input: changes({ id: 2 }) }).status).toBe(4);
      expect(image.fingerprint()).toEqual(before);

      const input = changes({ id: 2, crashNotes: { address: '0x6ce3d800', size: '0x170' } });
      expect(planOf(run(['apply', image.path, '--changes', '-', '--json'], { input })).applied).toBe(true);
      const [one, two, ...rest] = tableOf('00-loaded');
      const added = 'NOTE 6ce3d800 0 6ce3d800 170 170';
      expect(programHeadersOf(image.read('elfcorehdr')).map(shown)).toEqual([one, two, added, ...rest]);
      const now = image.fingerprint();
      expect([...now].filter(([piece, hash]) => before.get(piece) !== hash).map(([piece]) => piece)).toEqual(['elfcorehdr']);

      expect(planOf(run(['apply', image.path, '--changes', '-', '--json'], { input }))).toMatchObject({
        applied: false,
        changes: [{ made: false }],
      });
      expect(planOf(run(['apply', image.path, '--add-cpu', '2', '--json']))).toMatchObject({ applied: false, changes: [{ made: false }] });
      expect(run(['apply', image.path, '--add-cpu', '3']).status).toBe(4);
      expect(image.fingerprint()).toEqual(now);
    });

    test('memory and a CPU in one change file', () => {
      const { image } = inputs.get('packed image') as NonNullable<ReturnType<typeof inputs.get>>;
      image.setStep('00-loaded');
      const input = JSON.stringify({
        changes: [
          { action: 'add', cpu: { id: 2, crashNotes: { address: '0x6ce3d800', size: '0x170' } } },
          { action: 'add', memory: { start: '0x100000000', size: '256M' } },
        ],
      });
      expect(planOf(run(['apply', image.path, '--changes', '-', '--json'], { input })).changes.map(({ made }) => made)).toEqual([
        true,
        true,
      ]);
      const table = programHeadersOf(image.read('elfcorehdr')).map(shown);
      expect(table.slice(2, 3)).toEqual(['NOTE 6ce3d800 0 6ce3d800 170 170']);
      expect(table.slice(-1)).toEqual(ADDED['02'].map(shown));
      expect(table).toHaveLength(tableOf('00-loaded').length + 2);
    });
  });
});

describe.each(GUESTS)('%s loaded without --hotplug: the digest covers the elfcorehdr', (guest) => {
  const capture = new Capture(guest, 'all');
  // The packed image names the segment of no known role by its place.
  const contentsIn =
    (image: ImageFile) =>
    (role: Role): Uint8Array =>
      role === 'other' ? capture.contents(role) : image.read(role);
  const digestOf = (image: ImageFile): string =>
    Buffer.from(image.read('purgatory').subarray(capture.digestOffset, capture.digestOffset + 32)).toString('hex');

  test.each(['RAM file', 'packed image'] as const)('%s: it is rewritten to what the purgatory will compute', (way) => {
    const image = way === 'RAM file' ? capture.ramFile(folder) : capture.packedImage(folder);
    const where = way === 'RAM file' ? CRASH_KERNEL : [];
    const baseline = image.fingerprint();
    const before = digestOf(image);
    expect(before).toBe(capture.digest(contentsIn(image)));
    const verified = JSON.parse(run(['inspect', image.path, ...where, '--verify', '--json']).stdout) as {
      purgatory: { digest: string; covers: string[] };
    };
    expect(verified.purgatory.digest).toBe('match');
    expect(verified.purgatory.covers).toContain('elfcorehdr');

    const step = capture.steps.find(({ name }) => name.startsWith('02')) as Step;
    expect(planOf(run(['apply', image.path, ...where, ...optionsFor(step), ...LINUX, '--json']))).toMatchObject({
      applied: true,
      digest: 'rewritten',
    });
    expect(headersOf(image.read('elfcorehdr'))).toEqual(headersOf(capture.captured('elfcorehdr', step.name)));
    const wanted = capture.digest(contentsIn(image));
    expect(wanted).not.toBe(before);
    expect(digestOf(image)).toBe(wanted);
    const now = image.fingerprint();
    expect(
      [...now]
        .filter(([piece, hash]) => baseline.get(piece) !== hash)
        .map(([piece]) => piece)
        .sort(),
    ).toEqual(['elfcorehdr', 'purgatory']);
    // Nothing of the purgatory but the 32 bytes.
    const purgatory = Buffer.from(image.read('purgatory'));
    purgatory.write(before, capture.digestOffset, 'hex');
    expect(purgatory.subarray(0, capture.contents('purgatory').length).equals(Buffer.from(capture.contents('purgatory')))).toBe(true);
  });
});

describe('the linear map is the image’s own', () => {
  const PAGE_OFFSETS = [
    ['4-level paging', 0xffff888000000000n],
    ['5-level paging', 0xff11000000000000n],
    ['KASLR, 4-level paging', 0xffff9a3b40000000n],
    ['KASLR, 5-level paging', 0xff1e6f1c80000000n],
  ] as const;

  test.each(PAGE_OFFSETS)('%s', (_, linear) => {
    const file = ramFile(join(folder, `linear-${linear.toString(16)}.ram`), [built(linear)]);
    const before = programHeadersOf(file.read('elfcorehdr')).map(shown);
    const plan = planOf(run(['apply', file.path, '--add-memory', '0x100000000+1G', '--add-memory', '0x8000000-0x87fffff', '--json']));
    expect(plan).toMatchObject({ applied: true, digest: 'rewritten' });
    const added = [load(0x8000000n, 0x800000n, linear), load(0x100000000n, 0x40000000n, linear)];
    expect(programHeadersOf(file.read('elfcorehdr')).map(shown)).toEqual([...before, ...added.map(shown)]);
    expect(file.digests().stored).toBe(file.digests().computed);
  });

  test('an image whose text lies at a KASLR address of its own keeps it first', () => {
    const parts = partsOf('x86_64', { linear: 0xffff9a3b40000000n });
    const text = parts.programHeaders.find(({ vaddr }) => vaddr === 0xffffffff81000000n);
    if (text !== undefined) text.vaddr = 0xffffffffa3e00000n;
    const file = packedFile(join(folder, 'kaslr-text.kdump'), build(parts));
    planOf(run(['apply', file.path, '--add-memory', '0x100000000+1G', '--json']));
    expect(programHeadersOf(file.read('elfcorehdr')).map(shown)).toEqual(
      [...parts.programHeaders, load(0x100000000n, 0x40000000n, 0xffff9a3b40000000n)].map(shown),
    );
  });

  function built(linear: bigint): Built {
    return build(partsOf('x86_64', { linear }));
  }
});

test('the first MiB is never listed: adding it is refused or nothing to do, and a check does not miss it', () => {
  const parts = partsOf('x86_64');
  const file = packedFile(join(folder, 'first-mib.kdump'), build(parts));
  const iomem = join(folder, 'first-mib.iomem');
  writeFileSync(
    iomem,
    ['00001000-0009fbff : System RAM', '00100000-03ffffff : System RAM', '  02000000-02ffffff : Crash kernel', ''].join('\n'),
  );
  const checked = run(['check', file.path, '--iomem', iomem, '--json']);
  expect(checked).toMatchObject({ status: 0, stderr: '' });
  expect(JSON.parse(checked.stdout)).toMatchObject({ sound: true, current: null, missingMemory: [], extraMemory: [] });
});
