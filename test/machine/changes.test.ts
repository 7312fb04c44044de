import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { changeToJson, formatChange, MAX_CHANGE_FILE, parseChanges, type Change, type CpuChange } from '../../src/machine/changes.js';
import { schemaAccepts } from './schema-check.js';
import { processorTime } from '../helpers/processor-time.js';
import { thrown } from '../helpers/thrown.js';

const CONTRACT = `{ "changes": [
  { "action": "add",    "memory": { "start": "0x80000000", "size": "256M" } },
  { "action": "remove", "memory": { "start": "0x80000000", "size": "0x10000000" } },
  { "action": "add",    "cpu": { "id": 2 } },
  { "action": "remove", "cpu": { "id": 2 } }
] }`;

const MEMORY = { start: 0x8000_0000n, end: 0x9000_0000n };
const ADD_MEMORY = '{"action":"add","memory":{"start":"0x80000000","size":"256M"}}';
const ADD_CPU = '{"action":"add","cpu":{"id":2}}';

function cpuWith(properties: string): CpuChange['cpu'] {
  const [change] = parseChanges(`{"changes":[{"action":"add","cpu":{"id":1,"properties":${properties}}}]}`);
  return (change as CpuChange).cpu;
}

describe('parseChanges', () => {
  test('the change file of the contract', () => {
    expect(parseChanges(CONTRACT)).toEqual([
      { action: 'add', memory: MEMORY },
      { action: 'remove', memory: MEMORY },
      { action: 'add', cpu: { id: 2 } },
      { action: 'remove', cpu: { id: 2 } },
    ]);
  });

  test('NDJSON: documents and changes, a line each', () => {
    expect(parseChanges(`${ADD_MEMORY}\n\n{"changes":[${ADD_CPU},${ADD_CPU}]}\r\n{"changes":[]}\n${ADD_CPU}\n`)).toEqual([
      { action: 'add', memory: MEMORY },
      { action: 'add', cpu: { id: 2 } },
      { action: 'add', cpu: { id: 2 } },
      { action: 'add', cpu: { id: 2 } },
    ]);
    expect(parseChanges(ADD_CPU)).toEqual([{ action: 'add', cpu: { id: 2 } }]);
    expect(parseChanges('{"changes":[]}')).toEqual([]);
  });

  test('online and offline', () => {
    const text = ['online', 'offline'].map((action) => ADD_CPU.replace('add', action)).join('\n');
    expect(parseChanges(text).map(({ action }) => action)).toEqual(['add', 'remove']);
  });

  test('numbers and number strings', () => {
    expect(parseChanges('{"action":"add","memory":{"start":2147483648,"size":268435456}}')).toEqual([{ action: 'add', memory: MEMORY }]);
    expect(parseChanges('{"action":"add","memory":{"start":9007199254740991,"size":1}}')).toHaveLength(1);
    expect(parseChanges('{"action":"add","memory":{"start":"0xffffffffffffffff","size":"1"}}')).toEqual([
      { action: 'add', memory: { start: (1n << 64n) - 1n, end: 1n << 64n } },
    ]);
    expect(parseChanges('{"action":"add","cpu":{"id":"0xffffffff"}}')).toEqual([{ action: 'add', cpu: { id: 0xffff_ffff } }]);
  });

  test('the NUMA node of memory', () => {
    const text = (node: string): string => `{"action":"add","memory":{"start":"0x80000000","size":"256M","node":${node}}}`;
    for (const node of ['3', '"3"', '"0x3"']) expect(parseChanges(text(node))).toEqual([{ action: 'add', memory: MEMORY, node: 3 }]);
    expect(changeToJson({ action: 'add', memory: MEMORY, node: 3 })).toEqual({
      action: 'add',
      memory: { start: '0x80000000', size: 0x10000000, node: 3 },
    });
    for (const node of ['1024', '-1', 'null', '1.5']) {
      expect(thrown(() => parseChanges(text(node)))).toMatchObject({ kind: 'usage', details: { segment: 'memory.node' } });
    }
  });

  test('crash notes', () => {
    expect(parseChanges('{"action":"add","cpu":{"id":2,"crashNotes":{"address":"0x1000","size":360}}}')).toEqual([
      { action: 'add', cpu: { id: 2, crashNotes: { address: 0x1000n, size: 360n } } },
    ]);
  });

  test.each<[string, number[]]>([
    ['"cpu"', [0x63, 0x70, 0x75, 0]],
    ['""', [0]],
    ['"é"', [0xc3, 0xa9, 0]],
    ['["a","bc"]', [0x61, 0, 0x62, 0x63, 0]],
    ['8', [0, 0, 0, 8]],
    ['4294967295', [255, 255, 255, 255]],
    ['[1,2]', [0, 0, 0, 1, 0, 0, 0, 2]],
    ['true', []],
    ['{"hex":"00 01fF"}', [0, 1, 255]],
    ['{"hex":""}', []],
  ])('property %s', (json, bytes) => {
    expect([...(cpuWith(`{"ibm,ppc-interrupt-gserver#s":${json}}`).properties?.get('ibm,ppc-interrupt-gserver#s') ?? [-1])]).toEqual(bytes);
  });
});

const start = (value: string): string => `{"changes":[{"action":"add","memory":{"start":${value},"size":"1M"}}]}`;
const size = (value: string): string => `{"changes":[{"action":"add","memory":{"start":0,"size":${value}}}]}`;
const property = (value: string): string => `{"changes":[{"action":"add","cpu":{"id":1,"properties":${value}}}]}`;

const AT_START = 'changes[0].memory.start';
const AT_SIZE = 'changes[0].memory.size';
const AT_P = 'changes[0].cpu.properties.p';

/** Text, where the error is, what is found, and whether a schema can tell that it is wrong. */
const WRONG: [string, string | undefined, string | undefined, 'schema' | 'program'][] = [
  ['', undefined, '""', 'program'],
  [' \n', undefined, '""', 'program'],
  ['[]', undefined, 'an array', 'schema'],
  [`[${ADD_CPU}]`, undefined, 'an array', 'schema'],
  ['null', undefined, 'null', 'schema'],
  ['1', undefined, '1', 'schema'],
  ['"x"', undefined, '"x"', 'schema'],
  ['{}', 'changes', undefined, 'schema'],
  ['{"changes":{}}', 'changes', 'an object', 'schema'],
  ['{"changes":null}', 'changes', 'null', 'schema'],
  ['{"changes":[1]}', 'changes[0]', '1', 'schema'],
  ['{"changes":[],"version":1}', undefined, '"version"', 'schema'],
  ['{"changes":[],"action":"add"}', undefined, '"action"', 'schema'],
  ['{"changes":[{}]}', 'changes[0].action', undefined, 'schema'],
  ['{"changes":[{"action":"add"}]}', 'changes[0]', undefined, 'schema'],
  ['{"changes":[{"action":"change","cpu":{"id":1}}]}', 'changes[0].action', '"change"', 'schema'],
  ['{"changes":[{"action":1,"cpu":{"id":1}}]}', 'changes[0].action', '1', 'schema'],
  ['{"changes":[{"action":"add","cpu":{"id":1},"memory":{"start":0,"size":1}}]}', 'changes[0]', undefined, 'schema'],
  ['{"changes":[{"action":"add","cpu":{}}]}', 'changes[0].cpu.id', undefined, 'schema'],
  ['{"changes":[{"action":"add","cpu":2}]}', 'changes[0].cpu', '2', 'schema'],
  ['{"changes":[{"action":"add","cpu":{"id":-1}}]}', 'changes[0].cpu.id', '-1', 'schema'],
  ['{"changes":[{"action":"add","cpu":{"id":1.5}}]}', 'changes[0].cpu.id', '1.5', 'schema'],
  ['{"changes":[{"action":"add","cpu":{"id":4294967296}}]}', 'changes[0].cpu.id', '0x100000000', 'schema'],
  ['{"changes":[{"action":"add","cpu":{"id":"0x100000000"}}]}', 'changes[0].cpu.id', '0x100000000', 'program'],
  ['{"changes":[{"action":"add","cpu":{"id":"1-2"}}]}', 'changes[0].cpu.id', '"1-2"', 'schema'],
  ['{"changes":[{"action":"add","cpu":{"id":1,"__proto__":{}}}]}', 'changes[0].cpu', '"__proto__"', 'schema'],
  ['{"changes":[{"action":"add","cpu":{"id":1,"constructor":{}}}]}', 'changes[0].cpu', '"constructor"', 'schema'],
  ['{"__proto__":{"changes":[]}}', undefined, '"__proto__"', 'schema'],
  [`{"changes":[${ADD_CPU},${ADD_MEMORY.replace('start', 'begin')}]}`, 'changes[1].memory', '"begin"', 'schema'],
  [start('true'), AT_START, 'true', 'schema'],
  [start('-1'), AT_START, '-1', 'schema'],
  [start('1.5'), AT_START, '1.5', 'schema'],
  [start('1e9'), AT_START, '1e9', 'program'],
  [start('1.0'), AT_START, '1.0', 'program'],
  [start('1e400'), AT_START, '1e400', 'schema'],
  [start('9007199254740992'), AT_START, '"9007199254740992"', 'schema'],
  [start('9007199254740993'), AT_START, '"9007199254740993"', 'schema'],
  [start('"80000000h"'), AT_START, '"80000000h"', 'schema'],
  [start('"1M"'), AT_START, '"1M"', 'schema'],
  [start('"0x10000000000000000"'), AT_START, '"0x10000000000000000"', 'schema'],
  [start('"18446744073709551616"'), AT_START, '"18446744073709551616"', 'program'],
  [start('"0xffffffffffffffff"'), AT_SIZE, '0x100000', 'program'],
  [size('0'), AT_SIZE, '0', 'schema'],
  [size('"0M"'), AT_SIZE, '0', 'schema'],
  [size('"1e9"'), AT_SIZE, '"1e9"', 'schema'],
  [size('"256 M"'), AT_SIZE, '"256 M"', 'schema'],
  [size('"20000000T"'), AT_SIZE, '"20000000T"', 'program'],
  [size('null'), AT_SIZE, 'null', 'schema'],
  ['{"action":"add","cpu":{"id":1,"crashNotes":{"address":0}}}', 'cpu.crashNotes.size', undefined, 'schema'],
  ['{"action":"add","cpu":{"id":1,"crashNotes":{"address":0,"size":0}}}', 'cpu.crashNotes.size', '0', 'schema'],
  [property('[]'), 'changes[0].cpu.properties', 'an array', 'schema'],
  [property('{"p":false}'), AT_P, 'false', 'schema'],
  [property('{"p":null}'), AT_P, 'null', 'schema'],
  [property('{"p":[]}'), AT_P, undefined, 'schema'],
  [property('{"p":[1,"a"]}'), AT_P, '"a"', 'schema'],
  [property('{"p":["a",1]}'), AT_P, '1', 'schema'],
  [property('{"p":[[1]]}'), AT_P, 'an array', 'schema'],
  [property('{"p":4294967296}'), AT_P, '4294967296', 'schema'],
  [property('{"p":-1}'), AT_P, '-1', 'schema'],
  [property('{"p":"a\\u0000b"}'), AT_P, '"a\\x00b"', 'schema'],
  [property('{"p":"\\ud800"}'), AT_P, undefined, 'schema'],
  [property('{"p":{}}'), `${AT_P}.hex`, undefined, 'schema'],
  [property('{"p":{"hex":"0"}}'), `${AT_P}.hex`, '"0" at character 1', 'schema'],
  [property('{"p":{"hex":"00 0 0"}}'), `${AT_P}.hex`, '"0 " at character 4', 'schema'],
  [property('{"p":{"hex":1}}'), `${AT_P}.hex`, '1', 'schema'],
  [property('{"p":{"base64":""}}'), AT_P, '"base64"', 'schema'],
  [property('{"":1}'), 'changes[0].cpu.properties', '""', 'schema'],
  [property('{"a/b":1}'), 'changes[0].cpu.properties', '"a/b"', 'schema'],
  [property('{"a b":1}'), 'changes[0].cpu.properties', '"a b"', 'schema'],
  [property('{"__proto__":1}'), 'changes[0].cpu.properties', '"__proto__"', 'schema'],
  [property('{"constructor":1}'), 'changes[0].cpu.properties', '"constructor"', 'schema'],
  [property(`{"${'x'.repeat(256)}":1}`), 'changes[0].cpu.properties', undefined, 'schema'],
  ['{"changes":[],"changes":[]}', 'line 1, column 15', '"changes"', 'program'],
  [start('NaN'), 'line 1, column 47', undefined, 'program'],
  [start('01'), 'line 1, column 47', undefined, 'program'],
];

describe('a wrong change file', () => {
  test.each(WRONG)('%j', (text, segment, found, judge) => {
    const { kind, details } = thrown(() => parseChanges(text));
    expect(kind).toBe('usage');
    expect(details.segment).toBe(segment);
    if (found !== undefined) expect(details.found).toBe(found);
    if (judge === 'schema') expect(schemaAccepts(JSON.parse(text))).toBe(false);
  });

  test('names the line in NDJSON', () => {
    const line = (text: string): string | undefined => thrown(() => parseChanges(`${ADD_CPU}\n\n${text}\n`)).details.segment;
    expect(line('{"action":"add","cpu":{"id":-1}}')).toBe('line 3: cpu.id');
    expect(line(`{"changes":[${ADD_CPU},{"action":"ad"}]}`)).toBe('line 3: changes[1].action');
    expect(line('[]')).toBe('line 3');
    expect(line('{"action"')).toBe('line 3, column 10');
  });

  test.each([
    ['{"change":[]}', 'changes'],
    ['{"Changes":[]}', 'changes'],
    ['{"action":"add","mem":{}}', undefined],
    ['{"action":"add","memroy":{}}', 'memory'],
    ['{"action":"add","cpus":{}}', 'cpu'],
    ['{"action":"add","cpu":{"id":1,"crash_notes":{}}}', 'crashNotes'],
    ['{"action":"add","memory":{"strat":0}}', 'start'],
  ])('%s: suggests %s', (text, suggestion) => {
    const { details } = thrown(() => parseChanges(text));
    expect(details.expected).toBeDefined();
    expect(details.remedy).toBe(suggestion === undefined ? undefined : `did you mean ${suggestion}?`);
  });

  test('a number that JSON rounds comes with the way out', () => {
    expect(thrown(() => parseChanges(start('18446744073709551615'))).details.remedy).toContain('0x');
  });

  test('too large, too deep, too many keys: refused at once', () => {
    const started = processorTime();
    expect(thrown(() => parseChanges(' '.repeat(MAX_CHANGE_FILE + 1))).kind).toBe('usage');
    expect(thrown(() => parseChanges(`{"changes":${'['.repeat(1_000_000)}`)).kind).toBe('usage');
    expect(thrown(() => parseChanges(`{"${'x'.repeat(10_000_000)}":1}`)).message.length).toBeLessThan(400);
    const keys = Array.from({ length: 300_000 }, (_, index) => `"k${index}":1`).join(',');
    expect(thrown(() => parseChanges(`{${keys}}`)).details.found).toBe('"k0"');
    expect(processorTime() - started).toBeLessThan(20_000);
  });
});

const u64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
const range = fc.tuple(u64, u64).map(([a, b]) => (a <= b ? { start: a, end: b + 1n } : { start: b, end: a + 1n }));
const action = fc.constantFrom('add' as const, 'remove' as const);
const propertyName = fc
  .string({ minLength: 1, maxLength: 255 })
  .filter((name) => /^[!-.0-~]+$/.test(name) && !['__proto__', 'constructor', 'prototype'].includes(name));
const cpu = fc
  .record(
    {
      id: fc.nat({ max: 0xffff_ffff }),
      properties: fc.array(fc.tuple(propertyName, fc.uint8Array({ maxLength: 40 }))).map((entries) => new Map(entries)),
      crashNotes: range.map(({ start: address, end }) => ({ address, size: end - address })),
    },
    { requiredKeys: ['id'] },
  )
  .filter(({ crashNotes }) => crashNotes === undefined || crashNotes.size < 1n << 64n) as fc.Arbitrary<CpuChange['cpu']>;
const changes = fc.array(
  fc.oneof(fc.record({ action, memory: range.filter((memory) => memory.end - memory.start < 1n << 64n) }), fc.record({ action, cpu })),
);

test('changeToJson gives what parseChanges reads back, and what the schema accepts', () => {
  fc.assert(
    fc.property(changes, fc.constantFrom(0, 2), (original, indent) => {
      const document = { changes: original.map(changeToJson) };
      expect(schemaAccepts(document)).toBe(true);
      expect(parseChanges(JSON.stringify(document, null, indent))).toEqual(original);
      if (original.length > 0) expect(parseChanges(document.changes.map((change) => JSON.stringify(change)).join('\n'))).toEqual(original);
    }),
  );
});

test('the schema and the parser agree on what is right', () => {
  const number = fc.oneof(
    fc.constantFrom(0, 1, -1, 4294967295, 4294967296, 2 ** 53 - 1, '0', '1', '0x1f', '1K', '', 'x', true, null),
    fc.nat(),
  );
  const value: fc.Arbitrary<unknown> = fc.oneof(
    fc.constantFrom(true, false, null, 'a', 1, -1, 2 ** 32, '\0'),
    fc.array(fc.constantFrom('a', 'b', 1, 2, true), { maxLength: 3 }),
    fc.record({ hex: fc.constantFrom('', '00', '0', 'zz', ' 00  ff ', 1) }),
  );
  const part = <T>(object: fc.Arbitrary<T>): fc.Arbitrary<unknown> =>
    fc.oneof({ weight: 9, arbitrary: object }, fc.constantFrom(null, 1, [], {}));
  const memory = part(fc.record({ start: number, size: number, extra: number }, { requiredKeys: [] }));
  const change = part(
    fc.record(
      {
        action: fc.constantFrom('add', 'remove', 'online', 'offline', 'adds', 1),
        memory,
        cpu: part(
          fc.record(
            {
              id: number,
              properties: part(fc.dictionary(fc.constantFrom('reg', 'a b', 'a/b', 'constructor'), value, { maxKeys: 2 })),
              crashNotes: part(fc.record({ address: number, size: number }, { requiredKeys: [] })),
            },
            { requiredKeys: [] },
          ),
        ),
      },
      { requiredKeys: [] },
    ),
  );
  const document = fc.oneof(change, fc.record({ changes: fc.array(change, { maxLength: 2 }) }));
  fc.assert(
    fc.property(document, (any) => {
      let accepted = true;
      try {
        parseChanges(JSON.stringify(any));
      } catch {
        accepted = false;
      }
      expect(accepted).toBe(schemaAccepts(any));
    }),
    { numRuns: 3000 },
  );
});

test('the contract is within the schema', () => {
  expect(schemaAccepts(JSON.parse(CONTRACT))).toBe(true);
});

test.each<[Change, string]>([
  [{ action: 'add', memory: MEMORY }, 'add memory 0x80000000-0x8fffffff (256 MiB)'],
  [{ action: 'remove', memory: { start: 0n, end: 1n } }, 'remove memory 0x0-0x0 (1 byte)'],
  [{ action: 'add', cpu: { id: 2 } }, 'add CPU 2'],
])('formatChange', (change, text) => {
  expect(formatChange(change)).toBe(text);
});

test('changeToJson', () => {
  expect(changeToJson({ action: 'add', memory: MEMORY })).toEqual({ action: 'add', memory: { start: '0x80000000', size: 0x1000_0000 } });
  expect(changeToJson({ action: 'add', memory: { start: 0n, end: 1n << 53n } })).toEqual({
    action: 'add',
    memory: { start: '0x0', size: '0x20000000000000' },
  });
  expect(
    changeToJson({
      action: 'remove',
      cpu: { id: 8, properties: new Map([['reg', Uint8Array.of(0, 0, 0, 8)]]), crashNotes: { address: 0x1000n, size: 360n } },
    }),
  ).toEqual({ action: 'remove', cpu: { id: 8, properties: { reg: { hex: '00000008' } }, crashNotes: { address: '0x1000', size: 360 } } });
});

test('100,000 changes parse in time', () => {
  const lines = Array.from({ length: 100_000 }, (_, index) => ADD_MEMORY.replace('80000000', (index * 0x1000_0000).toString(16)));
  for (const text of [lines.join('\n'), `{"changes":[${lines.join(',\n')}]}`]) {
    const started = processorTime();
    expect(parseChanges(text)).toHaveLength(100_000);
    expect(processorTime() - started).toBeLessThan(25_000);
  }
});
