import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { World } from '../../src/cli/program.js';
import { copyOf, fixtureImage, section } from '../helpers/fixtures.js';
import { runHere } from '../helpers/run-here.js';
import { scratchFolder } from '../helpers/run.js';

// What people see: on a terminal of any width, and in a pipe.

const folder = scratchFolder();
const IMAGE = fixtureImage('ppc64le-64k');
const UTF8 = { LANG: 'en_GB.UTF-8' };
const ADD = ['--add-memory', '0x80000000+256M', '--add-cpu', '2'];

const onTerminal = (columns: number, environment: NodeJS.ProcessEnv = UTF8): Partial<World> => ({ isTerminal: true, columns, environment });

function lines(args: readonly string[], world?: Partial<World>): string[] {
  const { stdout, stderr } = runHere([...args, '--color', 'never'], world);
  expect(stderr).toBe('');
  return stdout.trimEnd().split('\n');
}

/** Without the first line, which has the path that was given. */
function widest([, ...others]: readonly string[]): number {
  return Math.max(...others.map((line) => line.length));
}

describe('inspect', () => {
  test.each(['ppc64le-64k', 'ppc64le-64k-no-hotplug', 'ppc64le-4k', 'tiny-ppc64'] as const)(
    '%s fits a screen of 80 by 24, with a line for the prompt',
    (name) => {
      const shown = lines(['inspect', fixtureImage(name)], onTerminal(80));
      // The first line wraps where the path is long; with a short one it is one.
      expect(1 + shown.length - shown.findIndex((line) => line.startsWith('Sound'))).toBeLessThan(24);
      expect(widest(shown)).toBeLessThanOrEqual(80);
    },
  );

  test('answers in order: what is it, is it sound, what does a dump cover, which CPUs, how much room is left', () => {
    const text = lines(['inspect', IMAGE]).join('\n');
    const answers = ['packed kdump image, ppc64le', 'Sound', 'Memory in the dump', 'CPUs', 'Room for', 'Segments'];
    const places = answers.map((answer) => text.indexOf(answer));
    expect(places).not.toContain(-1);
    expect([...places].sort((a, b) => a - b)).toEqual(places);
  });

  test('uses the width of the terminal, for the map and for the segments', () => {
    for (const columns of [80, 120, 200]) {
      const shown = lines(['inspect', IMAGE], onTerminal(columns));
      expect(widest(shown)).toBe(columns - 2);
      expect(shown.find((line) => line.includes('█▒'))).toHaveLength(columns - 2);
    }
    expect(lines(['inspect', IMAGE], onTerminal(200)).join('\n')).toContain('14528 bytes loaded');
  });

  test('the map is to scale: an eighth of the memory is not in the dump, from a quarter on', () => {
    for (const columns of [80, 200]) {
      const bar = (lines(['inspect', IMAGE], onTerminal(columns)).find((line) => line.includes('█▒')) ?? '').trim();
      const [from, to] = [bar.indexOf('▒') / bar.length, (bar.lastIndexOf('▒') + 1) / bar.length];
      expect(Math.abs(from - 0.25)).toBeLessThan(1 / bar.length);
      expect(Math.abs(to - 0.5)).toBeLessThan(1 / bar.length);
    }
  });

  test('a segment stands where it lies in the crashkernel range', () => {
    const bars = lines(['inspect', IMAGE], onTerminal(200))
      .filter((line) => line.includes('loaded'))
      .map((line) => line.slice(line.indexOf('loaded') + 8));
    const marked = (bar: string): [number, number] => [bar.search(/[█▏]/), bar.search(/[█▏][^█▏]*$/) + 1];
    const [kernel = '', backup = '', , , , fdt = ''] = bars;
    // 41.56 MiB of 512 MiB, then 64 KiB, and the last 64 KiB.
    expect(marked(kernel)).toEqual([0, Math.round((kernel.length * 41.56) / 512)]);
    expect(marked(backup)[0]).toBe(Math.floor((backup.length * 41.56) / 512));
    expect(marked(fdt)).toEqual([fdt.length - 1, fdt.length]);
  });

  test('in a pipe it is ASCII of 80 columns, whatever the terminal and the locale', () => {
    const piped = lines(['inspect', IMAGE]);
    expect(piped.join('\n')).toMatch(/^[\n -~]*$/);
    expect(lines(['inspect', IMAGE], { isTerminal: false, columns: 200, environment: UTF8 })).toEqual(piped);
    expect(widest(piped)).toBeLessThanOrEqual(80);
  });

  test.each([
    ['LC_ALL is before LANG', { LC_ALL: 'C', LANG: 'C.UTF-8' }, false],
    ['LC_CTYPE is before LANG', { LC_CTYPE: 'C.utf8', LANG: 'C' }, true],
    ['an empty one does not count', { LC_ALL: '', LANG: 'C.UTF-8' }, true],
    ['no locale', {}, false],
  ])('blocks in a UTF-8 locale: %s', (_, environment, blocks) => {
    const text = lines(['inspect', IMAGE], onTerminal(80, environment)).join('\n');
    expect(text.includes('█')).toBe(blocks);
    expect(text.includes('##')).toBe(!blocks);
  });

  test('colours change nothing but colours', () => {
    const plain = lines(['inspect', IMAGE], onTerminal(80)).join('\n');
    const { stdout } = runHere(['inspect', IMAGE, '--color', 'always'], onTerminal(80));
    expect(stdout).not.toContain(plain);
    // eslint-disable-next-line no-control-regex
    expect(stdout.replaceAll(/\u001b\[[\d;]*m/g, '').trimEnd()).toBe(plain);
  });

  test('many ranges: folded on a terminal, listed with --verbose and in a pipe', () => {
    const path = copyOf('tiny-ppc64', folder);
    const range = (index: number): string[] => ['--add-memory', `0x${(0x10000000 + index * 0x200000).toString(16)}+1M`];
    expect(runHere(['apply', path, ...Array.from({ length: 40 }, (_, index) => range(index)).flat()]).status).toBe(0);
    const screen = lines(['inspect', path], onTerminal(80));
    expect(screen.length).toBeLessThan(30);
    expect(screen.join('\n')).toContain('and 34 more, 34 MiB (--verbose lists all)');
    for (const all of [lines(['inspect', path, '--verbose'], onTerminal(80)), lines(['inspect', path])]) {
      expect(all.filter((line) => /^ {2}0x.* 1 MiB$/.test(line))).toHaveLength(40);
    }
  });

  test('what comes, what goes and what is found is folded, too, with its totals in sight', () => {
    const path = copyOf('tiny-ppc64', folder);
    const ranges = Array.from({ length: 40 }, (_, index) => [
      '--add-memory',
      `0x${(0x10000000 + index * 0x200000).toString(16)}+1M`,
    ]).flat();
    const screen = lines(['plan', path, ...ranges], onTerminal(80));
    expect(screen.filter((line) => line.startsWith('+ memory'))).toHaveLength(9);
    expect(screen).toContain('+ 31 more memory ranges, 31 MiB (--verbose lists all)');
    for (const all of [lines(['plan', path, ...ranges, '--verbose'], onTerminal(80)), lines(['plan', path, ...ranges])]) {
      expect(all.filter((line) => line.startsWith('+ memory'))).toHaveLength(40);
    }
    expect(runHere(['apply', path, ...ranges]).status).toBe(0);
    const iomem = `${folder}/shrunk.txt`;
    writeFileSync(iomem, '00000000-00ffffff : System RAM\n  00400000-007fffff : Crash kernel\n');
    const check = runHere(['check', path, '--iomem', iomem, '--color', 'never'], onTerminal(80)).stdout;
    expect(check).toContain('  and 31 more [memory-gone] (--verbose lists all)');
    expect(check).toContain(`to bring it up to date: kdump-hotplug sync ${path} --iomem ${iomem}`);
  });

  test('what lies far away is drawn, the hole before it cut', () => {
    const path = copyOf('tiny-ppc64', folder);
    expect(runHere(['apply', path, '--add-memory', '0x100000000000+16M']).status).toBe(0);
    const text = lines(['inspect', path]).join('\n');
    expect(text).toMatch(/^ {2}#+=+#+\/\/#+$/m);
    expect(text).toContain('// hole, not to scale');
    expect(text).toMatch(/^ {2}0 .* 16 MiB .*16 TiB$/m);
  });

  test('a digest that does not match: not sound', () => {
    const path = copyOf('tiny-ppc64', folder);
    const { offset } = section(path, '.kexec.kernel');
    const file = readFileSync(path);
    file[offset] = (file[offset] ?? 0) ^ 1;
    writeFileSync(path, file);
    const [, sound, finding] = lines(['inspect', path, '--verify']);
    expect(sound).toMatch(/^Not sound; digest of kernel, .*: mismatch$/);
    expect(finding).toMatch(/^error: .*\[digest-mismatch\]$/);
    expect(lines(['inspect', path])[1]).toMatch(/^Sound; digest of kernel, .*: unchecked/);
  });
});

describe('plan and apply', () => {
  test('what comes and goes, what was derived, what is written, what stays', () => {
    const shown = lines(['plan', IMAGE, ...ADD, '--add-cpu', '1']);
    expect(shown.slice(0, 5)).toEqual([
      `${IMAGE}: planned, nothing written`,
      '+ memory 0x80000000-0x8fffffff (256 MiB)',
      '+ CPU 2 (PowerPC,POWER9@2)',
      '~ firmware 0x2fff0000-0x2fffffff -> 0x2fff0000-0x2fff089b',
      '= add CPU 1: it is in the FDT already (PowerPC,POWER9@1)',
    ]);
    expect(shown).toContain('Derived for PowerPC,POWER9@2');
    expect(shown.slice(-6, -1)).toEqual([
      'Memory in the dump  1.5 GiB -> 1.75 GiB',
      'CPUs in the FDT     0-1 -> 0-2',
      'To be written       22 bytes of elfcorehdr, 10809 bytes of fdt',
      'Stays               kernel, backup, purgatory, initrd',
      "Purgatory's digest  covers nothing that changes",
    ]);
  });

  test('apply says the same of what it did, and again that there is nothing to do', () => {
    const path = copyOf('ppc64le-64k', folder);
    const planned = lines(['plan', path, ...ADD]);
    expect(lines(['apply', path, ...ADD])).toEqual(
      planned.map((line) => line.replace('planned, nothing written', 'applied').replace('To be written', 'Written      ')),
    );
    expect(lines(['apply', path, ...ADD])).toEqual([
      `${path}: nothing to do`,
      '= add memory 0x80000000-0x8fffffff (256 MiB): it is listed already',
      '= add CPU 2: it is in the FDT already (PowerPC,POWER9@2)',
    ]);
  });

  test('a change that another one rolls back is none', () => {
    const shown = lines(['plan', IMAGE, '--add-memory', '0x80000000+256M', '--remove-memory', '0x80000000+256M']);
    expect(shown.join('\n')).not.toMatch(/^[+-] memory 0x80000000/m);
    expect(shown.join('\n')).toContain('Memory in the dump');
  });

  test('on a terminal long lines wrap between words, below themselves', () => {
    const shown = lines(['plan', IMAGE, ...ADD], onTerminal(80));
    expect(widest(shown)).toBeLessThanOrEqual(80);
    expect(shown.map((line) => line.trim()).join(' ')).toBe(
      lines(['plan', IMAGE, ...ADD])
        .map((line) => line.trim())
        .join(' '),
    );
    const derived = shown.findIndex((line) => line.startsWith('  ibm,my-drc-index'));
    expect(shown[derived + 1]).toMatch(/^ {31}\S/);
  });
});

test('diff: what comes and goes, and what is the same', () => {
  const path = copyOf('ppc64le-64k', folder);
  expect(runHere(['apply', path, ...ADD]).status).toBe(0);
  expect(lines(['diff', IMAGE, path])).toEqual([
    '+ memory 0x80000000-0x8fffffff (256 MiB)',
    '+ CPU 2 (PowerPC,POWER9@2)',
    '~ firmware 0x2fff0000-0x2fffffff -> 0x2fff0000-0x2fff089b',
    'Memory in the dump  1.5 GiB -> 1.75 GiB',
    'CPUs in the FDT     0-1 -> 0-2',
    'The same            kernel, backup, purgatory, initrd',
  ]);
  expect(lines(['diff', path, IMAGE]).slice(0, 3)).toEqual([
    '- memory 0x80000000-0x8fffffff (256 MiB)',
    '- CPU 2 (PowerPC,POWER9@2)',
    '~ firmware 0x2fff0000-0x2fff089b -> 0x2fff0000-0x2fffffff',
  ]);
});

test('check: the worst first, and what to do', () => {
  const path = copyOf('ppc64le-64k', folder);
  const iomem = `${folder}/iomem.txt`;
  writeFileSync(iomem, '00000000-8fffffff : System RAM\n  20000000-3fffffff : Crash kernel\n');
  const shown = lines(['check', path, '--iomem', iomem]);
  expect(shown[0]).toBe(`${path}: sound, not current; CPUs not compared (--device-tree); digest match`);
  expect(shown[1]).toMatch(/^error: a dump would miss 0x80000000-0x8fffffff \(256 MiB\) \[memory-missing\]$/);
  expect(shown[2]).toMatch(/^warning: .* give --device-tree.* \[cpus-not-compared\]$/);
  expect(shown.slice(3, -1).every((line) => line.startsWith('info: '))).toBe(true);
  expect(shown.at(-1)).toBe(`to bring it up to date: kdump-hotplug sync ${path} --iomem ${iomem}`);
  expect(runHere(['sync', path, '--iomem', iomem]).status).toBe(0);
  expect(lines(['check', path, '--iomem', iomem]).join('\n')).not.toContain('up to date');
});

test('names in an image cannot write to the terminal', () => {
  const path = copyOf('ppc64le-64k', folder);
  const file = readFileSync(path);
  const name = Buffer.from('PowerPC,POWER9@1\0');
  const at = file.indexOf(name);
  expect(at).toBeGreaterThan(0);
  Buffer.from('PowerPC\x1b[2J\n\r9@1\0').copy(file, at);
  writeFileSync(path, file);
  for (const args of [
    ['inspect', path],
    ['diff', IMAGE, path],
    ['plan', path, '--add-cpu', '2'],
    ['check', path],
  ]) {
    const { stdout, stderr } = runHere([...args, '--color', 'never'], onTerminal(80));
    // eslint-disable-next-line no-control-regex
    expect(stdout + stderr).toMatch(/^[^\u0000-\u0009\u000b-\u001f]*$/);
  }
  expect(runHere(['diff', IMAGE, path]).stdout).toContain('PowerPC\\x1b[2J\\x0a\\x0d9@1');
});
