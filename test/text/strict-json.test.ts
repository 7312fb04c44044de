import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MAX_JSON_DEPTH, OddNumber, parseJsonDocuments, type JsonValue } from '../../src/text/strict-json.js';
import { processorTime } from '../helpers/processor-time.js';
import { thrown } from '../helpers/thrown.js';

/** As JSON.parse would have given it. */
function plain(value: JsonValue): unknown {
  if (value instanceof Map) {
    return Object.fromEntries([...(value as ReadonlyMap<string, JsonValue>)].map(([key, member]) => [key, plain(member)]));
  }
  if (value instanceof OddNumber) return Number(value.text);
  return Array.isArray(value) ? value.map((item: JsonValue) => plain(item)) : value;
}

const json = fc.json({ maxDepth: 8, stringUnit: 'binary' });

describe('parseJsonDocuments', () => {
  test('gives what JSON.parse gives', () => {
    fc.assert(
      fc.property(json, fc.constantFrom(0, 2), (text, indent) => {
        const value: unknown = JSON.parse(text);
        const documents = parseJsonDocuments(JSON.stringify(value, null, indent));
        expect(documents).toHaveLength(1);
        expect(plain(documents[0]?.value ?? null)).toEqual(value);
      }),
    );
  });

  test('refuses what JSON.parse refuses', () => {
    fc.assert(
      fc.property(
        json,
        fc.nat(),
        fc.constantFrom('', '"', '{', ']', ',', ':', '\\', '0', '-', 'e', '\n', '\t', '\u0001', 'x'),
        (text, at, with_) => {
          const position = at % (text.length + 1);
          const mangled = text.slice(0, position) + with_ + text.slice(position + 1);
          let accepted = true;
          try {
            JSON.parse(mangled);
          } catch {
            accepted = false;
          }
          // Several documents, a key twice and an empty text are judged differently on purpose.
          if (accepted || mangled.includes('\n') || mangled.trim() === '') return;
          expect(thrown(() => parseJsonDocuments(mangled)).kind).toBe('usage');
        },
      ),
      { numRuns: 1000 },
    );
  });

  test('one document a line, with its line number', () => {
    const documents = parseJsonDocuments('\n1\r\n\n  {"a":[2]}  \n\t\n"x"\n');
    expect(documents.map(({ value, line }) => [plain(value), line])).toEqual([
      [1, 2],
      [{ a: [2] }, 4],
      ['x', 6],
    ]);
  });

  test('a byte order mark at the start is no harm', () => {
    expect(parseJsonDocuments('\ufeff1')).toEqual([{ value: 1, line: 1 }]);
  });

  test.each([
    ['{"a":1,"a":2}', 'line 1, column 8'],
    ['{"a":1,\n "\\u0061":2}', 'line 2, column 2'],
    ['{"__proto__":1,"__proto__":2}', 'line 1, column 16'],
    ['1\n2 3', 'line 2, column 3'],
    ['{\n}\n{}', 'line 3, column 1'],
    ['1\n{\n}', 'line 2, column 2'],
    ['1\n{"a":\n3', 'line 2, column 6'],
    ['[1,\n2,]', 'line 2, column 3'],
    ['"\n"', 'line 1, column 2'],
    ['"abc', 'line 1, column 1'],
    ['"\\x"', 'line 1, column 1'],
    ['01', 'line 1, column 1'],
    ['NaN', 'line 1, column 1'],
    ['-Infinity', 'line 1, column 1'],
    ['undefined', 'line 1, column 1'],
    ["{'a':1}", 'line 1, column 2'],
    ['{a:1}', 'line 1, column 2'],
    ['{"a" 1}', 'line 1, column 6'],
    ['{"a":}', 'line 1, column 6'],
    ['[1 2]', 'line 1, column 4'],
    ['/* */1', 'line 1, column 1'],
    ['tru', 'line 1, column 1'],
    ['\u00a01', 'line 1, column 1'],
  ])('refuses %j at %s', (text, segment) => {
    const { kind, details } = thrown(() => parseJsonDocuments(text));
    expect({ kind, segment: details.segment }).toEqual({ kind: 'usage', segment });
  });

  test.each(['1e400', '-1', '1.0', '1e3', '9007199254740992', '0.1', '-0'])('keeps %s as it is written', (text) => {
    const value = parseJsonDocuments(text)[0]?.value;
    if (text === '-1') expect(value).toBe(-1);
    else if (text === '-0') expect(Object.is(value, -0)).toBe(true);
    else expect(value).toEqual(new OddNumber(text));
  });

  test('nesting of a million levels is refused at once', () => {
    const started = processorTime();
    for (const open of ['[', '{"a":']) {
      expect(thrown(() => parseJsonDocuments(open.repeat(1_000_000))).details.expected).toContain(String(MAX_JSON_DEPTH));
    }
    expect(processorTime() - started).toBeLessThan(2000);
    expect(parseJsonDocuments('['.repeat(MAX_JSON_DEPTH) + ']'.repeat(MAX_JSON_DEPTH))).toHaveLength(1);
  });

  test('millions of empty objects, of digits and of escapes end in time', () => {
    const started = processorTime();
    expect(thrown(() => parseJsonDocuments(`[${'{},'.repeat(5_000_000)}0]`)).problem).toContain('too many');
    expect(parseJsonDocuments('9'.repeat(16_000_000))[0]?.value).toBeInstanceOf(OddNumber);
    expect(parseJsonDocuments(`"${'\\n'.repeat(8_000_000)}"`)[0]?.value).toHaveLength(8_000_000);
    expect(thrown(() => parseJsonDocuments('\n'.repeat(16_000_000) + '}')).details.segment).toBe('line 16000001, column 1');
    expect(processorTime() - started).toBeLessThan(40_000);
  });
});
