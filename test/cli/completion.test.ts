import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { COMMANDS } from '../../src/cli/commands.js';
import { has, run, scratchFolder } from '../helpers/run.js';

// The scripts are run in the shells themselves, in a folder with an image, another file and a folder.

const folder = scratchFolder();
const files = join(folder, 'files');
const FORMATS = ['packed', 'elf-core', 'raw'];
const SEGMENTS = ['kernel', 'initrd', 'elfcorehdr', 'fdt', 'purgatory', 'backup', 'boot-params', 'other'];

beforeAll(() => {
  mkdirSync(join(files, 'folder'), { recursive: true });
  for (const name of ['image.kdump', 'it is other']) writeFileSync(join(files, name), '');
  for (const shell of ['bash', 'zsh', 'fish']) {
    const { status, stdout, stderr } = run(['completion', shell]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    writeFileSync(join(folder, `script.${shell}`), stdout);
  }
});

function shell(program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): string {
  const { status, stdout, stderr } = spawnSync(program, args, {
    cwd: files,
    env: { PATH: process.env.PATH, HOME: folder, TERM: 'xterm', LC_ALL: 'C.UTF-8', ...env },
    encoding: 'utf8',
    timeout: 30_000,
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout;
}

/** The words before the cursor, the last of them unfinished; what it can be completed to. */
type Case = [words: string[], completions: string[]];

const CASES: Case[] = [
  [[''], [...Object.keys(COMMANDS), 'help']],
  [['ins'], ['inspect']],
  [['inspect', 'ima'], ['image.kdump']],
  [['inspect', '--form'], ['--format']],
  [['inspect', '--format', ''], FORMATS],
  [['inspect', '--format', 'e'], ['elf-core']],
  [['apply', 'image.kdump', '--prune'], ['--prune-cpus']],
  [['apply', '--compat', ''], ['linux']],
  [['check', '--color', 'al'], ['always']],
  [['extract', 'image.kdump', 'fd'], ['fdt']],
  [
    ['completion', ''],
    ['bash', 'zsh', 'fish'],
  ],
  [
    ['pack', '--architecture', 'ppc'],
    ['ppc64le', 'ppc64'],
  ],
  [['help', 'insp'], ['inspect']],
];

const sorted = (words: readonly string[]): string[] => [...words].sort();

describe.skipIf(!has('bash'))('bash', () => {
  function complete(words: readonly string[]): string[] {
    // As readline splits the line: `=` is a word of its own.
    const split = ['kdump-hotplug', ...words].flatMap((word) =>
      word.startsWith('--') ? word.split(/(=)/).filter((part) => part !== '') : [word],
    );
    if (words.at(-1)?.endsWith('=') === true) split.push('');
    const quoted = split.map((word) => `'${word}'`).join(' ');
    const script = `
      . ${join(folder, 'script.bash')}
      compopt() { :; }
      COMP_WORDS=(${quoted}) COMP_CWORD=${split.length - 1}
      _kdump_hotplug
      printf '%s\\n' "\${COMPREPLY[@]}"`;
    return shell('bash', ['--norc', '-c', script]).trimEnd().split('\n');
  }

  test.each(CASES)('%j', (words, completions) => {
    const found = complete(words);
    expect(sorted(found)).toEqual(sorted(words.length === 1 && words[0] === '' ? [...completions, '--help', '--version'] : completions));
  });

  test.each<Case>([
    [['inspect', '--format=e'], ['elf-core']],
    [['inspect', 'it'], ['it is other']],
    [
      ['inspect', ''],
      ['folder', 'image.kdump', 'it is other'],
    ],
    [['extract', 'image.kdump', '-d', ''], ['folder']],
    [['extract', '--format', 'raw', 'image.kdump', ''], SEGMENTS],
    [['extract', 'image.kdump', 'fdt', ''], SEGMENTS],
    [['check', 'image.kdump', '--iomem', 'fo'], ['folder']],
    [['inspect', 'image.kdump', '--base', ''], ['']],
    [['nonsense', ''], ['']],
  ])('%j', (words, completions) => {
    expect(sorted(complete(words))).toEqual(sorted(completions));
  });

  test('every option of every command', () => {
    for (const name of Object.keys(COMMANDS)) {
      const help = run(['help', name]).stdout.split('Examples:')[0] ?? '';
      const options = [...help.matchAll(/^ {2}(-\w, )?(--[\w-]+)/gm)].flatMap(([, short, long = '']) => [
        ...(short === undefined ? [] : [short.slice(0, 2)]),
        long,
      ]);
      expect(sorted(complete([name, '-']))).toEqual(sorted(options));
    }
  });

  test.skipIf(!has('script'))('in a real line, with the tab key', () => {
    const rc = join(folder, 'bashrc');
    writeFileSync(rc, `PS1='$ '\n. ${join(folder, 'script.bash')}\n`);
    const { stdout } = spawnSync('script', ['-qec', `bash --rcfile ${rc} -i`, '/dev/null'], {
      input: 'kdump-hotplug ins\timag\t\nexit\n',
      cwd: files,
      env: { PATH: process.env.PATH, HOME: folder, TERM: 'dumb' },
      encoding: 'utf8',
      timeout: 30_000,
    });
    expect(stdout).toContain('$ kdump-hotplug inspect image.kdump ');
  });
});

describe.skipIf(!has('fish'))('fish', () => {
  const complete = (words: readonly string[]): string[] => {
    const line = ['kdump-hotplug', ...words].join(' ');
    return shell('fish', ['--no-config', '-c', `source ${join(folder, 'script.fish')}; complete -C '${line}'`])
      .trimEnd()
      .split('\n')
      .map((each) => each.split('\t')[0] ?? '');
  };

  test.each(CASES)('%j', (words, completions) => {
    expect(sorted(complete(words))).toEqual(sorted(completions));
  });
});

describe.skipIf(!has('zsh'))('zsh', () => {
  /** Types the line into a zsh in a pseudo-terminal and presses tab; the completion system hands its matches to compadd, which prints them. */
  const complete = (words: readonly string[]): string[] => {
    const line = ['kdump-hotplug', ...words].join(' ');
    const inner = `
      PS1=; autoload -Uz compinit; compinit -u -d ${join(folder, 'zcompdump')}; . ${join(folder, 'script.zsh')}
      zstyle ":completion:*" list-grouped false
      compadd() {
        if [[ "\${@[1,(i)(-|--)]}" == *-(O|A|D)\\ * ]]; then builtin compadd "$@"; return; fi
        local -a __hits; builtin compadd -A __hits "$@"; local hit
        for hit in $__hits; do print -r -- "HIT:$hit"; done
      }
      bindkey "^I" complete-word; zle -C complete-word complete-word _main_complete
      finished() { print END; }; compprefuncs=(); comppostfuncs=(finished)
      print READY`;
    writeFileSync(join(folder, 'inner.zsh'), inner);
    const outer = `
      zmodload zsh/zpty
      zpty -b inner zsh -f -i
      zpty -w inner ". ${join(folder, 'inner.zsh')}"
      zpty -r inner text $'*READY\\r*' || exit 1
      zpty -w -n inner '${line}'$'\\t'
      zpty -r inner text $'*END\\r*' || exit 2
      print -r -- $text
      zpty -d inner`;
    const text = shell('zsh', ['-f', '-c', outer]);
    return [...new Set([...text.matchAll(/HIT:(.*?)\r?$/gm)].map(([, hit = '']) => hit.trim()))];
  };

  test.each(CASES)('%j', (words, completions) => {
    expect(sorted(complete(words))).toEqual(sorted(completions));
  });
});

test('an unknown shell is a usage error that names the three', () => {
  const { status, stderr } = run(['completion', 'tcsh']);
  expect(status).toBe(2);
  expect(stderr).toMatch(/bash, zsh, fish/);
});
