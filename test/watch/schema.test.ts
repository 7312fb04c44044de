import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect, test } from 'vitest';
import { reportToJson } from '../../src/watch/event.js';
import { copyOf } from '../helpers/fixtures.js';
import { run, scratchFolder } from '../helpers/run.js';

// What `watch --json` prints, a line an event, is what docs/schema/watch.schema.json says, and docs/watch.md names the same keys.

const docs = (name: string): string => readFileSync(fileURLToPath(new URL(`../../docs/${name}`, import.meta.url)), 'utf8');
const schema = JSON.parse(docs('schema/watch.schema.json')) as { properties: object; $defs: Record<string, unknown> };
const validate = new Ajv2020({ strict: true, strictTypes: false, strictRequired: false, allErrors: true }).compile(schema);
const folder = scratchFolder();

type Document = Record<string, unknown>;

function errorsOf(document: unknown): string[] {
  validate(document);
  return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath}: ${message ?? ''}`);
}

function watched(input: string, ...options: string[]): Document[] {
  const { stdout } = run(['watch', copyOf('ppc64le-64k', folder), '--memory-block-size', '256M', '--json', '--quiet', ...options], {
    input,
  });
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Document);
}

const udev = (action: string, device: string): string => `ACTION=${action}\nSUBSYSTEM=memory\nDEVPATH=/devices/system/memory/${device}\n\n`;
const INPUT = [
  udev('online', 'memory8'),
  udev('online', 'memory8'),
  udev('change', 'memory8'),
  'cpu add index 0x10000002\n',
  'memory add count 4\n',
  '{ "action": "add", "cpu": { "id": 3, "properties": { "device_type": "cpu", "reg": [3] } } }\n',
  'nonsense\n',
].join('');

test('documents of every source and outcome are as the schema has them', () => {
  const documents = watched(INPUT);
  expect(documents.map(({ source, outcome }) => [source, outcome])).toEqual([
    ['udev', 'applied'],
    ['udev', 'nothing to do'],
    ['udev', 'ignored'],
    ['dlpar', 'applied'],
    ['unknown', 'refused'],
    ['change', 'applied'],
    ['unknown', 'malformed'],
  ]);
  expect(documents.flatMap(errorsOf)).toEqual([]);
  expect(documents.map(({ code, kind }) => [code, kind])).toEqual([
    ...[1, 2, 3, 4].map(() => [null, null]),
    ['refused', 'refused'],
    [null, null],
    ['usage', 'usage'],
  ]);

  const planned = watched(INPUT, '--dry-run');
  expect(planned[0]).toMatchObject({ outcome: 'planned', write: null });
  expect(planned.flatMap(errorsOf)).toEqual([]);
});

test('what was seen by --qmp, with the pause', () => {
  const change = { action: 'add', memory: { start: 0x8000_0000n, end: 0x9000_0000n } } as const;
  const event = { line: undefined, source: 'qmp', text: 'DIMM dimm1', changes: [change] } as const;
  const document = reportToJson({ event, outcome: 'applied', changes: [change], reason: '' }, { number: 1, pausedMs: 2.5 });
  expect(document).toMatchObject({ line: null, pausedMs: 2.5 });
  expect(errorsOf(document)).toEqual([]);
});

test.each<[string, (document: Document) => void]>([
  ['/write', (it) => (it.write = null)],
  ['/outcome', (it) => (it.outcome = 'done')],
  ['/code', (it) => (it.outcome = 'refused')],
  ['/kind', (it) => (it.kind = 'io')],
  ['/changes', (it) => (it.changes = [])],
  ['/changes/0', (it) => (it.changes = [{ action: 'add', made: true, memory: { start: '0x0', size: 1 } }])],
  ['', (it) => (it.seen = 1)],
  ['', (it) => delete it.reason],
  ['', (it) => delete it.code],
])('a mistake at %j is found', (place, mistake) => {
  const [document] = watched(udev('online', 'memory9'));
  mistake(document as Document);
  expect(errorsOf(document).some((error) => error.startsWith(`${place}:`))).toBe(true);
});

test('definitions are those of the other schemas, and the page names every key', () => {
  const { $defs } = JSON.parse(docs('schema/plan.schema.json')) as typeof schema;
  for (const name of ['address', 'size', 'memory']) expect(schema.$defs[name], name).toEqual($defs[name]);
  for (const key of Object.keys(schema.properties)) expect(docs('watch.md')).toContain(`| \`${key}\``);
  expect(docs('json.md')).toContain('(schema/watch.schema.json)');
});
