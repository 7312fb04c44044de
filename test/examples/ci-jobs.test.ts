import { appendFileSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { FIXTURES } from '../helpers/fixtures.js';
import { scratchFolder } from '../helpers/run.js';
import { CHANGES, EXAMPLES, Machine, ROOT, shellBlocks, writeState } from './examples.js';

interface Step {
  name?: string;
  uses?: string;
  run?: string;
  with?: Record<string, string>;
  'working-directory'?: string;
}

interface GitHubJob {
  on: Record<string, unknown>;
  jobs: { fixtures: { 'runs-on': string; defaults: { run: { shell: string } }; steps: Step[] } };
}

type GitLabJob = Record<
  'kdump-fixtures',
  { image: string; before_script: string[]; script: string[]; artifacts: { paths: string[]; when: string } }
>;

function parsed(name: string): unknown {
  return parse(readFileSync(join(EXAMPLES, 'ci', name), 'utf8'), { strict: true, uniqueKeys: true });
}

const github = (parsed('github-actions.yml') as GitHubJob).jobs.fixtures;
const gitlab = (parsed('gitlab-ci.yml') as GitLabJob)['kdump-fixtures'];

const root = scratchFolder();
const machine = new Machine(root);
machine.standIn('npm');
machine.program('git', `echo "git $*" >> '${root}/calls'; for last; do :; done; mkdir "$last"`);

/** A project with fixtures that were made as README.md says. */
const project = join(root, 'project');
mkdirSync(join(project, 'fixtures'), { recursive: true });
cpSync(join(FIXTURES, 'images/ppc64le-64k.kdump'), join(project, 'guest.kdump'));
writeState(join(project, 'fixtures'));
writeFileSync(join(project, 'fixtures/changes.json'), JSON.stringify({ changes: CHANGES }));
const made = shellBlocks('examples/README.md', 'ci:').map((block) => machine.shell(block, { cwd: project }));

interface Result {
  readonly status: number | null;
  /** The step that failed, where the runner has steps. */
  readonly step?: string;
}

/** What a job runs, as its runner runs it. */
const JOBS = {
  'GitHub Actions': (cwd: string): Result => {
    mkdirSync(join(cwd, 'kdump-hotplug'));
    for (const { name, run, 'working-directory': folder = '.' } of github.steps) {
      if (run === undefined) continue;
      const { status } = machine.run('bash', ['--noprofile', '--norc', '-e', '-o', 'pipefail', '-c', run], { cwd: join(cwd, folder) });
      if (status !== 0) return { status, step: name ?? '' };
    }
    return { status: 0 };
  },
  GitLab: (cwd: string): Result => {
    const { status } = machine.run('bash', ['-e', '-o', 'pipefail', '-c', [...gitlab.before_script, ...gitlab.script].join('\n')], {
      cwd,
      env: { KDUMP_HOTPLUG_REPOSITORY: 'https://git.example.net/kdump-hotplug.git' },
    });
    return { status };
  },
};

let projects = 0;

function projectWith(change: (fixtures: string) => void): string {
  projects += 1;
  const copy = join(root, `project-${projects}`);
  cpSync(project, copy, { recursive: true });
  change(join(copy, 'fixtures'));
  return copy;
}

function editJson(path: string, keys: Record<string, unknown>): void {
  writeFileSync(path, JSON.stringify({ ...(JSON.parse(readFileSync(path, 'utf8')) as object), ...keys }, null, 2));
}

const IN_CRASH_KERNEL = { action: 'add', memory: { start: '0x20000000', size: '1M' } };

/** All is as it should be but for one thing: the image was current before, so that the check that passes shows nothing. */
function makeChangesNeedless(at: string): void {
  editJson(join(at, 'changes.json'), { changes: [{ action: 'add', cpu: { id: 1 } }] });
  rmSync(join(at, 'device-tree'), { recursive: true });
  mkdirSync(join(at, 'device-tree'));
  writeState(at, '00-loaded');
  cpSync(join(at, 'before.kdump'), join(at, 'after.kdump'));
  writeFileSync(join(at, 'after.json'), machine.run('kdump-hotplug', ['inspect', 'after.kdump', '--verify', '--json'], { cwd: at }).stdout);
}

function flipByte(path: string, position: number): void {
  const bytes = readFileSync(path);
  bytes[position] = (bytes[position] ?? 0) ^ 1;
  writeFileSync(path, bytes);
}

describe('the CI jobs', () => {
  it('start from fixtures that are made as README.md says', () => {
    expect(made.map(({ status, stderr }) => ({ status, stderr }))).toEqual([{ status: 0, stderr: expect.any(String) as string }]);
    for (const file of ['manifest.json', 'before.kdump', 'after.kdump', 'after.json'])
      expect(existsSync(join(project, 'fixtures', file))).toBe(true);
  });

  it('do the same on both', () => {
    const commands = (text: string): string[] => text.split('\n').filter((line) => line !== '' && line !== 'cd ..');
    const install = github.steps.find(({ name }) => name === 'Install kdump-hotplug');
    const rest = github.steps.filter((step) => step !== install).map(({ run = '' }) => run);
    expect(gitlab.script.flatMap(commands)).toEqual(rest.flatMap(commands));
    expect(gitlab.before_script.filter((line) => line.startsWith('npm'))).toEqual(commands(install?.run ?? ''));
  });

  it('install as the README of the project says, by scripts that it has', () => {
    const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
    for (const line of gitlab.before_script.filter((command) => command.startsWith('npm'))) expect(readme).toContain(line);
    const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: Record<string, string> };
    expect(Object.keys(scripts)).toContain('build');
  });

  it('keep what they made, also when they fail', () => {
    const upload = github.steps.find(({ uses }) => uses?.startsWith('actions/upload-artifact@'));
    expect(upload).toMatchObject({ if: 'always()', with: { path: 'built' } });
    expect(gitlab.artifacts).toMatchObject({ when: 'always', paths: ['built'] });
  });

  const [regenerate, compare, check] = ['Regenerate', 'Compare with the fixtures of the repository', 'Check them against the machine'];

  it.each<[string, string, (fixtures: string) => void]>([
    [
      'another kernel',
      compare,
      (at) => {
        flipByte(join(at, 'kernel.bin'), 100);
      },
    ],
    [
      'an image with a byte changed',
      compare,
      (at) => {
        flipByte(join(at, 'after.kdump'), 5000);
      },
    ],
    [
      'an image that was never changed',
      compare,
      (at) => {
        cpSync(join(at, 'before.kdump'), join(at, 'after.kdump'));
      },
    ],
    [
      'a missing image',
      compare,
      (at) => {
        rmSync(join(at, 'after.kdump'));
      },
    ],
    [
      'other JSON',
      compare,
      (at) => {
        editJson(join(at, 'after.json'), { entry: '0x0' });
      },
    ],
    [
      'changes that do less',
      compare,
      (at) => {
        editJson(join(at, 'changes.json'), { changes: CHANGES.slice(1) });
      },
    ],
    [
      'changes that are refused',
      regenerate,
      (at) => {
        editJson(join(at, 'changes.json'), { changes: [IN_CRASH_KERNEL] });
      },
    ],
    [
      'a damaged manifest',
      regenerate,
      (at) => {
        editJson(join(at, 'manifest.json'), { architecture: 'z80' });
      },
    ],
    [
      'a machine that has more memory',
      check,
      (at) => {
        appendFileSync(join(at, 'iomem.txt'), '100000000-10fffffff : System RAM\n');
      },
    ],
    ['a machine that needed no change', check, makeChangesNeedless],
  ])('fail with %s', (_, step, change) => {
    const { status, step: failed } = JOBS['GitHub Actions'](projectWith(change));
    machine.takeCalls();
    expect(status).not.toBe(0);
    expect(failed).toBe(step);
  });

  it('fail on GitLab, too', () => {
    const change = (at: string): void => {
      flipByte(join(at, 'after.kdump'), 5000);
    };
    expect(JOBS.GitLab(projectWith(change)).status).toBe(1);
    machine.takeCalls();
  });

  it.each(Object.entries(JOBS))('pass where the fixtures are right: %s', (_, job) => {
    const copy = projectWith(() => undefined);
    expect(job(copy)).toEqual({ status: 0 });
    expect(machine.takeCalls().filter((call) => call.startsWith('npm'))).toEqual(['npm ci', 'npm run build', 'npm install --global .']);
    for (const file of ['before.kdump', 'after.kdump', 'after.json'])
      expect(readFileSync(join(copy, 'built', file)).equals(readFileSync(join(copy, 'fixtures', file)))).toBe(true);
  });
});
