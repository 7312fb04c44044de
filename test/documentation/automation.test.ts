import { createRequire } from 'node:module';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { scratchFolder } from '../helpers/run.js';
import { NODES } from '../package/nodes.js';

// What a project host is told in .github cannot be tried here. It is held to the host's own grammar where that is to be had, and to what it
// names in this repository.

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const GITHUB = join(ROOT, '.github');
const read = (path: string): string => readFileSync(join(GITHUB, path), 'utf8');
const yaml = (path: string): unknown => parse(read(path), { strict: true, uniqueKeys: true });
const names = (folder: string): string[] => readdirSync(join(GITHUB, folder)).filter((name) => name.endsWith('.yml'));

/** It imports JSON as bundlers take it and Node does not. */
function workflowParser(): typeof import('@actions/workflow-parser') {
  const outfile = join(scratchFolder(), 'parser.cjs');
  buildSync({ entryPoints: ['@actions/workflow-parser'], absWorkingDir: ROOT, bundle: true, platform: 'node', logLevel: 'error', outfile });
  return createRequire(import.meta.url)(outfile) as typeof import('@actions/workflow-parser');
}
const { NoOperationTraceWriter, convertWorkflowTemplate, parseWorkflow } = workflowParser();

interface Workflow {
  readonly permissions: unknown;
  readonly jobs: Readonly<Record<string, Job>>;
}
interface Job {
  readonly 'timeout-minutes'?: number;
  readonly container?: string;
  readonly strategy?: { readonly matrix: { readonly node: readonly number[] } };
  readonly steps: readonly { readonly run?: string; readonly uses?: string }[];
}

describe.each(names('workflows'))('workflow %s', (name) => {
  const workflow = yaml(`workflows/${name}`) as Workflow;
  const jobs = Object.values(workflow.jobs);
  const commands = jobs.flatMap(({ steps }) => steps.flatMap(({ run }) => run?.split('\n') ?? []));

  test('is one in the grammar of GitHub Actions, expressions too', async () => {
    const { context, value } = parseWorkflow({ name, content: read(`workflows/${name}`) }, new NoOperationTraceWriter());
    expect(context.errors.getErrors().map(String)).toEqual([]);
    const template = value === undefined ? undefined : await convertWorkflowTemplate(context, value);
    expect(template?.errors).toBeUndefined();
    expect(template?.jobs).toHaveLength(jobs.length);
  });

  test('runs scripts of package.json and files that are there', () => {
    const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: Record<string, string> };
    const run = commands.flatMap((command) => /^npm (?:run )?(?!ci$|publish )(\S+)/.exec(command)?.[1] ?? []);
    expect(run.filter((script) => scripts[script] === undefined)).toEqual([]);
    expect(run).not.toEqual([]);
    const files = commands.flatMap((command) => /^(\.\S+)/.exec(command)?.[1] ?? []);
    expect(files.filter((file) => !existsSync(join(ROOT, file)))).toEqual([]);
  });

  test('may read the repository alone, and each job ends', () => {
    expect(workflow.permissions).toEqual({ contents: 'read' });
    expect(jobs.filter((job) => job['timeout-minutes'] === undefined)).toEqual([]);
    expect(
      jobs.flatMap(({ steps }) => steps.flatMap(({ uses }) => uses ?? [])).filter((uses) => !/^actions\/[a-z-]+@v\d+$/.test(uses)),
    ).toEqual([]);
  });
});

test('tests run on each Node that the package is tried with', () => {
  const { jobs } = yaml('workflows/ci.yml') as Workflow;
  expect(jobs.test?.strategy?.matrix.node).toEqual(NODES);
});

describe.each(names('ISSUE_TEMPLATE'))('issue form %s', (name) => {
  interface Field {
    readonly type: string;
    readonly id?: string;
    readonly attributes: Readonly<Record<string, unknown>>;
  }
  const form = yaml(`ISSUE_TEMPLATE/${name}`) as { name: string; description: string; body: readonly Field[] };

  test('has what GitHub asks for in a form', () => {
    expect(form).toMatchObject({ name: expect.stringMatching(/./) as string, description: expect.stringMatching(/./) as string });
    const fields = form.body.filter(({ type }) => type !== 'markdown');
    expect(new Set(fields.map(({ id }) => id)).size).toBe(fields.length);
    for (const { type, id, attributes } of fields) {
      expect(['input', 'textarea', 'dropdown', 'checkboxes']).toContain(type);
      expect(id).toMatch(/^[\w-]+$/);
      expect(attributes.label).toMatch(/./);
      expect(Array.isArray(attributes.options)).toBe(type === 'dropdown' || type === 'checkboxes');
    }
  });
});

test('dependabot looks where there is something to look at', () => {
  const { version, updates } = yaml('dependabot.yml') as {
    version: number;
    updates: readonly { 'package-ecosystem': string; directory: string }[];
  };
  expect(version).toBe(2);
  const places: Record<string, string> = { npm: 'package.json', 'github-actions': '.github/workflows' };
  const found = updates.map((update) => join(update.directory, places[update['package-ecosystem']] ?? 'nothing'));
  expect(found.filter((place) => !existsSync(join(ROOT, place)))).toEqual([]);
  expect(found).toHaveLength(2);
});

test('the account that is not known yet is named in package.json alone', () => {
  const texts = ['README.md', 'SECURITY.md', 'CODE_OF_CONDUCT.md'].map((page) => readFileSync(join(ROOT, page), 'utf8'));
  const forms = readdirSync(GITHUB, { recursive: true, encoding: 'utf8' }).filter((path) => /\.(yml|md)$/.test(path));
  expect([...texts, ...forms.map(read)].filter((text) => /\bOWNER\b|github\.com\/[\w-]+\/kdump/.test(text))).toEqual([]);
});
