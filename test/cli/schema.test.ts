import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { describe, expect, test } from 'vitest';
import { architectures } from '../../src/arch/registry.js';
import { CONTAINERS } from '../../src/container/recognise.js';
import { build, coreFile, packedFile, partsOf, ramFile, type ArchitectureName } from '../helpers/build-image.js';
import { CAPTURES } from '../helpers/capture-image.js';
import { FIXTURES, copyOf, fixtureImage, type FixtureImage } from '../helpers/fixtures.js';
import { runHere } from '../helpers/run-here.js';
import { scratchFolder } from '../helpers/run.js';

// What `--json` prints is what docs/schema says, to the key; and docs/json.md names the same keys.

const DOCS = fileURLToPath(new URL('../../docs', import.meta.url));

interface Schema {
  readonly $ref?: string;
  readonly properties?: Record<string, Schema>;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly enum?: readonly unknown[];
  readonly $defs?: Record<string, Schema>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Schema;
}

const NAMES = ['inspect', 'check', 'plan', 'undo', 'recover', 'diff', 'extract', 'error'] as const;
type Name = (typeof NAMES)[number];

const schemas = new Map(NAMES.map((name) => [name, JSON.parse(readFileSync(join(DOCS, `schema/${name}.schema.json`), 'utf8')) as Schema]));
// Strict: a keyword that the validator does not know, or one that never applies, is an error.
const ajv = new Ajv2020({ strict: true, strictTypes: false, strictRequired: false, allErrors: true });
const validators = new Map<Name, ValidateFunction>([...schemas].map(([name, schema]) => [name, ajv.compile(schema)]));

function schemaOf(name: Name): Schema {
  return schemas.get(name) as Schema;
}

function errorsOf(name: Name, document: unknown): string[] {
  const validate = validators.get(name) as ValidateFunction;
  validate(document);
  return (validate.errors ?? []).map(({ instancePath, message, params }) => `${instancePath}: ${message ?? ''} ${JSON.stringify(params)}`);
}

type Json = Record<string, unknown>;

/** Runs a command with --json; fails unless its output is as the schema has it. */
function valid(name: Name, args: readonly string[], status = 0): Json {
  const result = runHere([...args, '--json']);
  expect({ status: result.status, stderr: result.stderr }).toEqual({ status, stderr: '' });
  const document = JSON.parse(result.stdout) as Json;
  expect(errorsOf(name, document)).toEqual([]);
  return document;
}

const folder = scratchFolder();
const IMAGES: readonly FixtureImage[] = ['ppc64le-64k', 'ppc64le-64k-no-hotplug', 'ppc64le-4k', 'tiny-ppc64'];
const ARCHITECTURES: readonly ArchitectureName[] = ['ppc64', 'ppc64le', 'x86_64', 'aarch64', 'riscv64', 'loongarch64', 's390x'];
const STEP = join(CAPTURES, 'ppc64le-6.12-64k/02-mem-add-256M');
const IOMEM = join(STEP, 'iomem.txt');
const DEVICE_TREE = join(folder, 'device-tree');
mkdirSync(DEVICE_TREE);
execFileSync('tar', ['xf', join(STEP, 'device-tree.tar.gz'), '-C', DEVICE_TREE]);

const built = new Map(ARCHITECTURES.map((name) => [name, packedFile(join(folder, `${name}.kdump`), build(partsOf(name))).path]));

describe('inspect, capture, pack', () => {
  test.each(IMAGES)('%s', (name) => {
    expect(valid('inspect', ['inspect', fixtureImage(name)])).toHaveProperty('purgatory.digest', 'unchecked');
    expect(valid('inspect', ['inspect', fixtureImage(name), '--verify'])).toHaveProperty('purgatory.digest', 'match');
  });

  test.each(ARCHITECTURES)('%s, packed', (name) => {
    expect(valid('inspect', ['inspect', built.get(name) ?? ''])).toMatchObject({ architecture: name, format: 'packed' });
  });

  test('raw memory and an ELF dump, where what is found is derived', () => {
    const image = build(partsOf('x86_64'));
    const raw = valid('inspect', ['inspect', ramFile(join(folder, 'x86_64.ram'), [image]).path]);
    expect(raw).toMatchObject({ format: 'raw', entry: null });
    expect(raw.provenance).not.toEqual([]);
    const core = coreFile(join(folder, 'x86_64.core'), image, [{ address: 0n, size: 0x4000000n, offset: 0x1000 }]).path;
    expect(valid('inspect', ['inspect', core])).toMatchObject({ format: 'elf-core' });
    valid('inspect', ['capture', core, '-o', join(folder, 'captured.kdump')]);
  });

  test('pack', () => {
    valid('inspect', ['pack', '--manifest', join(FIXTURES, 'manifests/tiny-ppc64.json'), '-o', join(folder, 'packed.kdump')]);
  });
});

describe('check', () => {
  test.each(IMAGES)('%s, by itself', (name) => {
    expect(valid('check', ['check', fixtureImage(name)])).toMatchObject({ current: null });
  });

  test('with a machine that has more', () => {
    const state = ['--iomem', IOMEM, '--device-tree', DEVICE_TREE];
    expect(valid('check', ['check', fixtureImage('ppc64le-64k'), ...state], 1)).toMatchObject({ current: false, missingCpus: [2] });
    valid('check', ['check', fixtureImage('ppc64le-64k'), '--iomem', IOMEM], 1);
  });
});

describe('plan, apply, sync', () => {
  const CHANGES: readonly (readonly string[])[] = [
    ['--add-memory', '0x80000000+256M', '--add-cpu', '2'],
    ['--add-memory', '0x40000000+256M'],
    ['--remove-memory', '0x60000000+256M', '--remove-cpu', '1'],
    ['--remove-cpu', '1', '--prune-cpus'],
    ['--add-memory', '0x80000000+256M', '--compat', 'linux'],
    ['--add-cpu', '2', '--device-tree', DEVICE_TREE],
  ];

  test.each(CHANGES)('plan %j', (...changes) => {
    for (const name of ['ppc64le-64k', 'ppc64le-64k-no-hotplug'] as const) {
      expect(valid('plan', ['plan', fixtureImage(name), ...changes])).toMatchObject({ applied: false });
    }
  });

  test('a range of 2^54 bytes: its size is a string', () => {
    const { changes } = valid('plan', ['plan', fixtureImage('ppc64le-64k'), '--add-memory', '0x100000000000000+0x40000000000000']) as {
      changes: Json[];
    };
    expect(changes[0]).toMatchObject({ memory: { start: '0x100000000000000', size: '0x40000000000000' } });
  });

  test('a change file with properties', () => {
    const file = join(folder, 'changes.json');
    writeFileSync(file, '{ "action": "add", "cpu": { "id": 2, "properties": { "device_type": "cpu", "reg": [2] } } }');
    const { changes } = valid('plan', ['plan', fixtureImage('tiny-ppc64'), '--changes', file]) as { changes: Json[] };
    expect(changes[0]).toMatchObject({ cpu: { id: 2, properties: { reg: { hex: '00000002' } } } });
  });

  test('a change file with crash notes', () => {
    const file = join(folder, 'notes.json');
    writeFileSync(file, '{ "action": "add", "cpu": { "id": 9, "crashNotes": { "address": "0x7ff000", "size": 368 } } }');
    valid('plan', ['plan', built.get('x86_64') ?? '', '--changes', file]);
  });

  test('apply, sync, undo, diff', () => {
    const copy = copyOf('ppc64le-64k', folder);
    const undo = join(folder, 'undo-file');
    const change = ['--add-memory', '0x80000000+256M', '--add-cpu', '2'];
    expect(valid('plan', ['apply', copy, ...change, '--save-undo', undo])).toMatchObject({ applied: true });
    expect(valid('plan', ['apply', copy, ...change])).toMatchObject({ applied: false });
    const difference = valid('diff', ['diff', fixtureImage('ppc64le-64k'), copy], 1);
    expect(difference).toHaveProperty('cpus.added.0.id', 2);
    valid('diff', ['diff', copy, fixtureImage('ppc64le-64k')], 1);
    valid('diff', ['diff', copy, copy]);
    expect(valid('undo', ['undo', copy, undo])).toMatchObject({ applied: true, undone: undo });
    expect(valid('plan', ['sync', copy, '--iomem', IOMEM, '--device-tree', DEVICE_TREE])).toMatchObject({ applied: true });
    expect(valid('diff', ['diff', fixtureImage('tiny-ppc64'), built.get('ppc64') ?? ''], 1)).not.toHaveProperty('otherSegments', []);
    expect(valid('recover', ['recover', copy])).toEqual({ file: copy, recovery: 'none' });
  });
});

test('extract', () => {
  const parts = join(folder, 'parts');
  const image = fixtureImage('ppc64le-64k');
  expect(valid('extract', ['extract', image, '-d', parts, '--manifest'])).toMatchObject({ manifest: join(parts, 'manifest.json') });
  expect(valid('extract', ['extract', image, 'backup', '-d', parts])).toMatchObject({
    manifest: null,
    segments: [{ file: null, size: 0 }],
  });
});

describe('the schemas', () => {
  test('are all that there are for these commands, and have names of their own', () => {
    const others = ['watch', 'report'];
    const found = readdirSync(join(DOCS, 'schema')).map((file) => file.replace('.schema.json', ''));
    expect(found.filter((name) => !others.includes(name)).sort()).toEqual([...NAMES].sort());
  });

  test('share their definitions', () => {
    const seen = new Map<string, Schema>();
    for (const { $defs = {} } of schemas.values()) {
      for (const [name, definition] of Object.entries($defs)) {
        expect(definition, name).toEqual(seen.get(name) ?? definition);
        seen.set(name, definition);
      }
    }
  });

  test('allow no key that they do not name', () => {
    const open: string[] = [];
    const visit = (schema: unknown, path: string): void => {
      if (typeof schema !== 'object' || schema === null) return;
      if ('properties' in schema && 'type' in schema && !('additionalProperties' in schema)) open.push(path);
      for (const [key, value] of Object.entries(schema)) visit(value, `${path}/${key}`);
    };
    for (const [name, schema] of schemas) visit(schema, name);
    expect(open).toEqual([]);
  });

  const inspected = runHere(['inspect', fixtureImage('ppc64le-64k'), '--json']).stdout;
  const planned = runHere(['plan', fixtureImage('ppc64le-64k'), '--add-memory', '0x80000000+256M', '--json']).stdout;
  /** One change to a valid document, and the place that is wrong then. */
  test.each<[Name, string, string, (document: never) => void]>([
    ['inspect', inspected, '/crashKernel', (it: { crashKernel: Json }) => delete it.crashKernel.size],
    ['inspect', inspected, '/entry', (it: { entry: unknown }) => (it.entry = 0x1000)],
    ['inspect', inspected, '/entry', (it: { entry: unknown }) => (it.entry = '0X1000')],
    ['inspect', inspected, '/entry', (it: { entry: unknown }) => (it.entry = '0x01000')],
    ['inspect', inspected, '/entry', (it: { entry: unknown }) => (it.entry = '0x10000000000000000')],
    ['inspect', inspected, '/crashKernel', (it: { crashKernel: Json }) => (it.crashKernel.size = 2 ** 53)],
    ['inspect', inspected, '/crashKernel', (it: { crashKernel: Json }) => (it.crashKernel.size = '0x1fffffffffffff')],
    ['inspect', inspected, '', (it: Json) => (it.sections = [])],
    ['inspect', inspected, '/segments/0/name', (it: { segments: Json[] }) => ((it.segments[0] as Json).name = 'ramdisk')],
    ['plan', planned, '/changes/0', (it: { changes: Json[] }) => ((it.changes[0] as Json).reason = 'although it was made')],
    ['plan', planned, '/changes/0', (it: { changes: Json[] }) => ((it.changes[0] as Json).cpu = { id: 1 })],
    ['plan', planned, '/segments/0/sha256After', (it: { segments: Json[] }) => ((it.segments[0] as Json).sha256After = 'AB')],
  ])('%s: a mistake is found', (name, text, place, mistake) => {
    const document = JSON.parse(text) as never;
    expect(errorsOf(name, document)).toEqual([]);
    mistake(document);
    expect(errorsOf(name, document).some((error) => error.startsWith(`${place}:`) || error.startsWith(`${place}/`))).toBe(true);
  });
});

describe('docs/json.md', () => {
  const text = readFileSync(join(DOCS, 'json.md'), 'utf8');

  test('names every schema', () => {
    for (const name of NAMES) expect(text).toContain(`(schema/${name}.schema.json)`);
    expect(text).toContain('(changes.schema.json)');
  });

  /** The rows of the table under a heading: the keys named in the first column, as paths, and all that the second names. */
  function documented(heading: string): Map<string, string[]> {
    const section = text.split(/^## /m).find((each) => each.startsWith(`${heading}\n`)) ?? '';
    const rows = new Map<string, string[]>();
    let parent = '';
    for (const [, keys = '', value = ''] of section.matchAll(/^\| (`.*?) +\| (.*) \|$/gm)) {
      const named = codes(keys);
      for (const key of named) rows.set(key.startsWith('.') ? `${parent}${key}` : key, codes(value));
      if (!(named[0] ?? '.').startsWith('.')) parent = named[0] ?? '';
    }
    return rows;
  }

  const codes = (cell: string): string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, code]) => code ?? '');

  /** `a.b[].c` for every key of a schema, arrays marked as documents are in docs/json.md. */
  function keysOf(schema: Schema, root: Schema, path = ''): string[] {
    const here = schema.$ref === undefined ? schema : (root.$defs?.[schema.$ref.replace('#/$defs/', '')] ?? {});
    if (here.anyOf !== undefined) return here.anyOf.flatMap((each) => keysOf(each, root, path));
    if (here.items !== undefined) return keysOf(here.items, root, `${path}[]`);
    return Object.entries(here.properties ?? {}).flatMap(([key, value]) => {
      const name = path === '' ? key : `${path}.${key}`;
      return [name, ...keysOf(value, root, name)];
    });
  }

  /** Described in the text above all commands, or under another heading. */
  const EVERYWHERE = ['start', 'size', 'severity', 'code', 'message'];
  const unmarked = (path: string): string => path.replaceAll('[]', '');

  test.each<[Name, string]>([
    ['inspect', 'inspect'],
    ['check', 'check'],
    ['plan', 'plan, apply, sync'],
    ['diff', 'diff'],
    ['extract', 'extract'],
    ['error', 'errors'],
  ])('%s: every key is in the schema, and every key of the schema is there', (name, heading) => {
    const rows = documented(heading);
    const inSchema = keysOf(schemaOf(name), schemaOf(name));
    const marked = inSchema.map((path) => (inSchema.some((other) => other.startsWith(`${path}[]`)) ? `${path}[]` : path));
    // Where elements are no objects the schema's paths do not show that they are in an array.
    expect([...rows.keys()].filter((key) => !marked.includes(key) && !inSchema.includes(unmarked(key)))).toEqual([]);

    const named = [...rows.keys()].map(unmarked);
    /** In a row of its own, above one that has, or in the words of a row that it belongs to. */
    const isNamed = (path: string): boolean =>
      named.some((key) => key === path || key.startsWith(`${path}.`)) ||
      [...rows].some(([key, values]) => path.startsWith(`${unmarked(key)}.`) && values.includes(path.split('.').at(-1) ?? ''));
    const missing = inSchema.map(unmarked).filter((path) => !isNamed(path) && !EVERYWHERE.includes(path.split('.').at(-1) ?? ''));
    expect(missing).toEqual([]);
  });

  test.each(['undo', 'recover'] as const)('%s: its row names every key', (name) => {
    const row = text.split('\n').find((line) => line.startsWith(`| \`${name}\` `) && line.includes('`file`')) ?? '';
    for (const key of Object.keys(schemaOf(name).properties ?? {})) expect(row).toContain(`\`${key}\``);
  });

  test('every value of an enum is named', () => {
    const values = [...schemas.values()].flatMap(function enums(schema: Schema): unknown[] {
      return typeof schema !== 'object'
        ? []
        : [...(schema.enum ?? []), ...Object.values(schema).flatMap((each: unknown) => (each === null ? [] : enums(each as Schema)))];
    });
    const named = new Set([...text.matchAll(/`([^`\n]+)`/g)].map(([, code]) => code));
    // Page sizes are numbers; severities are explained with the findings.
    const wanted = values.filter((value) => typeof value === 'string' && !['error', 'warning', 'info'].includes(value));
    expect([...new Set(wanted)].filter((value) => !named.has(value as string))).toEqual([]);
  });
});

test('every code of a finding seen here is in docs/findings.md', () => {
  const known = readFileSync(join(DOCS, 'findings.md'), 'utf8');
  const seen = [...IMAGES.map(fixtureImage), ...built.values()].flatMap((path) => {
    const { findings } = JSON.parse(runHere(['check', path, '--json']).stdout) as { findings: { code: string }[] };
    return findings.map(({ code }) => code);
  });
  expect([...new Set(seen)].filter((code) => !known.includes(`\`${code}\``))).toEqual([]);
});

test('the schema of inspect knows every container and architecture, and docs/containers.md every container', () => {
  const { properties } = schemaOf('inspect');
  const formats = Object.keys(CONTAINERS);
  expect(properties?.format?.enum).toEqual(formats);
  expect(properties?.architecture?.enum).toEqual(architectures.map(({ name }) => name));
  const page = readFileSync(join(DOCS, 'containers.md'), 'utf8');
  for (const format of formats) expect(page).toContain(`| \`${format}\``);
});
