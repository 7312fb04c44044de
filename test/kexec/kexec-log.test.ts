import { describe, expect, test } from 'vitest';
import { parseKexecLog, type KexecLogSegment } from '../../src/kexec/kexec-log.js';
import { hex } from '../../src/errors.js';
import { processorTime } from '../helpers/processor-time.js';
import { thrown } from '../helpers/thrown.js';

/** ppc64le-6.12-64k, kexec -d -p --hotplug, its last two segments exchanged and the middle left out. */
const PPC64 = `Modified cmdline:console=hvc0 nr_cpus=1 elfcorehdr=566912K
info->entry is 0x22a20600
Skipping segment mem: 0x229a0000 from SHA calculation
kexec_load: entry = 0x22a20600 flags = 0x150009
nr_segments = 3
segment[0].buf   = 0x7fff93540010
segment[0].bufsz = 0x280986c
segment[0].mem   = 0x20000000
segment[0].memsz = 0x2990000
segment[1].buf   = 0x137e773d0
segment[1].bufsz = 0x6b52
segment[1].mem   = 0x3fff0000
segment[1].memsz = 0x10000
segment[2].buf   = 0x137e80e40
segment[2].bufsz = 0x400
segment[2].mem   = 0x229a0000
segment[2].memsz = 0x80000
`;

/** x86_64-6.12-file-load, from the kernel log. */
const X86 = `[    8.741550] kexec_file: segment[0]: buf=0x0000000020740bc7 bufsz=0x1000 mem=0x6f000000 memsz=0xe1000
[    8.747578] kexec_file: segment[1]: buf=0x0000000076901504 bufsz=0x4000 mem=0x7effb000 memsz=0x5000
[    8.749455] kexec_file: segment[2]: buf=0x00000000aaccad5b bufsz=0x10e0 mem=0x7eff9000 memsz=0x2000
`;

/** The log of ppc64le, cut off. */
const before = (text: string): string => PPC64.slice(0, PPC64.indexOf(text));

const shown = (segments: readonly KexecLogSegment[]): string[] =>
  segments.map(({ mem, memsz, bufsz }) => `${hex(mem)} ${hex(memsz)} ${hex(bufsz)}`);

const SEGMENTS_PPC64 = ['0x20000000 0x2990000 0x280986c', '0x229a0000 0x80000 0x400', '0x3fff0000 0x10000 0x6b52'];
const SEGMENTS_X86 = ['0x6f000000 0xe1000 0x1000', '0x7eff9000 0x2000 0x10e0', '0x7effb000 0x5000 0x4000'];

function userLoad(...segments: [mem: string, memsz: string, bufsz: string][]): string {
  const lines = segments.flatMap(([mem, memsz, bufsz], index) => [
    `segment[${index}].buf   = 0x7f0010`,
    `segment[${index}].bufsz = ${bufsz}`,
    `segment[${index}].mem   = ${mem}`,
    `segment[${index}].memsz = ${memsz}`,
  ]);
  return ['kexec_load: entry = 0x1000 flags = 0x150001', `nr_segments = ${segments.length}`, ...lines, ''].join('\n');
}

describe('parseKexecLog', () => {
  test('kexec -d', () => {
    const { segments, entry } = parseKexecLog(PPC64);
    expect(shown(segments)).toEqual(SEGMENTS_PPC64);
    expect(entry).toBe(0x22a2_0600n);
  });

  test('kernel log', () => {
    const { segments, entry } = parseKexecLog(X86);
    expect(shown(segments)).toEqual(SEGMENTS_X86);
    expect(entry).toBeUndefined();
  });

  test('kernel log with its entry line, under journald, and of a kernel before 6.8', () => {
    const journal = `${X86}[    9.1] kexec_file: kexec_file_load: type:1, start:0x7effb550 head:0x0 flags:0xa\n`
      .replaceAll(/^\[ +[0-9.]+\]/gm, 'Nov 22 21:58:00 guest kernel:')
      .replaceAll('0x0000000020740bc7', '0x(____ptrval____)');
    expect(parseKexecLog(journal)).toEqual({ ...parseKexecLog(X86), entry: 0x7eff_b550n });
    expect(parseKexecLog(X86.replaceAll(/segment\[(\d)\]/g, 'Loading segment $1'))).toEqual(parseKexecLog(X86));
    expect(parseKexecLog(X86.replaceAll('kexec_file:', 'kexec:'))).toEqual(parseKexecLog(X86));
  });

  test('a null pointer, and zero as %#zx prints it', () => {
    expect(shown(parseKexecLog(userLoad(['(nil)', '0x1000', '0'])).segments)).toEqual(['0x0 0x1000 0x0']);
  });

  test('line ends of a serial console', () => {
    expect(parseKexecLog(PPC64.replaceAll('\n', '\r\n'))).toEqual(parseKexecLog(PPC64));
  });

  test.each([
    ['the last of two', PPC64 + X86, SEGMENTS_X86],
    ['the last of two, in the other order', X86 + PPC64, SEGMENTS_PPC64],
    ['the same load twice', X86 + X86, SEGMENTS_X86],
    ['the complete one before a cut one', X86 + before('segment[2].mem '), SEGMENTS_X86],
    ['the complete one before one without its last segment', X86 + before('segment[2].buf '), SEGMENTS_X86],
    ['the complete one before an empty one', `${PPC64}kexec_load: entry = 0x1 flags = 0x1\nnr_segments = 0\n`, SEGMENTS_PPC64],
    [
      'the one that succeeded',
      `${PPC64}${userLoad(['0x1000', '0x1000', '0'])}kexec_load failed: Device or resource busy\n` +
        `entry       = 0x1000 flags = 0x1\n${userLoad(['0x1000', '0x1000', '0']).replace(/^kexec_load.*\n/, '')}`,
      SEGMENTS_PPC64,
    ],
    [
      'the one for a crash before one for a reboot',
      PPC64 + userLoad(['0x1000', '0x1000', '0']).replace('0x150001', '0x150000'),
      SEGMENTS_PPC64,
    ],
    ['one by the kernel after one that failed', `${PPC64}kexec_load failed: No\n${X86}`, SEGMENTS_X86],
  ])('of several loads: %s', (_, log, segments) => {
    expect(shown(parseKexecLog(log).segments)).toEqual(segments);
  });

  // Neither kexec -d of a load by the kernel nor an older kernel says what a load is for.
  test('the other loads that may be for a crash come along, latest first; one for a reboot does not', () => {
    const unknown = userLoad(['0x1000', '0x1000', '0']).replace(/ flags = \S+/, '');
    const { segments, others = [] } = parseKexecLog(PPC64 + unknown);
    expect(shown(segments)).toEqual(shown(parseKexecLog(unknown).segments));
    expect(others.map((each) => shown(each.segments))).toEqual([SEGMENTS_PPC64]);
    expect(parseKexecLog(PPC64 + unknown.replace('\n', ' flags = 0x150000\n')).others).toBeUndefined();
    expect(parseKexecLog(PPC64).others).toBeUndefined();
  });

  test('sixteen segments', () => {
    const load = Array.from({ length: 17 }, (_, index): [string, string, string] => [hex((index + 1) * 0x1000), '0x1000', '0x10']);
    expect(parseKexecLog(userLoad(...load.slice(0, 16))).segments).toHaveLength(16);
    expect(thrown(() => parseKexecLog(userLoad(...load))).details).toMatchObject({ segment: 'line 67', found: 'segment[16]' });
  });

  test.each([
    ['nothing', '', undefined],
    ['no segment line', 'kernel: booted\nCrash kernel loaded\n', undefined],
    ['a load without segments', 'x\nkexec_load: entry = 0x1000 flags = 0x1\n', 'line 2'],
    ['a load cut in a segment', before('segment[2].memsz'), 'line 14'],
    ['a load cut between segments', before('segment[2]'), 'line 4'],
    ['a gap in the numbers', X86.replace('segment[2]', 'segment[3]'), 'line 1'],
    ['a load that failed', `${PPC64}kexec_load failed: Invalid argument\n`, 'line 4'],
    ['more buffer than memory', userLoad(['0x1000', '0x1000', '0x1001']), 'line 3'],
    ['an address within a page', userLoad(['0x1800', '0x1000', '0x10']), 'line 3'],
    ['no memory', userLoad(['0x1000', '0', '0']), 'line 3'],
    ['an end beyond 2^64', userLoad(['0xfffffffffffff000', '0x2000', '0']), 'line 3'],
    ['overlapping segments', userLoad(['0x2000', '0x1000', '0'], ['0x1000', '0x1001', '0']), 'line 3'],
    ['the same segment twice', userLoad(['0x1000', '0x1000', '0'], ['0x1000', '0x1000', '0']), 'line 7'],
    ['a value that is no number', PPC64.replace('0x229a0000\nsegment', 'garbage\nsegment'), 'line 16'],
    ['a value of 17 digits', PPC64.replace('0x80000', '0x10000000000000000'), 'line 17'],
    ['a damaged kernel line', X86.replace('mem=0x7effb000 ', ''), 'line 2'],
    ['more segments than announced', PPC64.replace('nr_segments = 3', 'nr_segments = 2'), 'line 4'],
  ])('refuses %s', (_, log, segment) => {
    const { kind, details } = thrown(() => parseKexecLog(log));
    expect({ kind, segment: details.segment }).toEqual({ kind: 'input', segment });
  });

  test('a segment that ends exactly at 2^64 is right', () => {
    expect(parseKexecLog(userLoad(['0xfffffffffffff000', '0x1000', '0'])).segments).toHaveLength(1);
  });

  test('hostile text ends in time', () => {
    const started = processorTime();
    for (const log of [`segment[${'1'.repeat(10_000_000)}`, 'segment[0].mem = 0x1000\n'.repeat(300_000), 'segment['.repeat(2_000_000)]) {
      expect(thrown(() => parseKexecLog(log)).kind).toBe('input');
    }
    expect(processorTime() - started).toBeLessThan(5000);
  });
});
