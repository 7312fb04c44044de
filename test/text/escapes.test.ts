import { describe, expect, test } from 'vitest';
import { KdumpError, printable } from '../../src/errors.js';
import { jsonText } from '../../src/text/json-text.js';

/** What a terminal acts on, shows nothing for, or takes as a change of direction. */
const UNSEEN = [
  '\0',
  '\x07',
  '\x1b',
  '\x7f',
  '\x9b',
  '\xad',
  '\u061c',
  '\u200b',
  '\u200e',
  '\u200f',
  '\u2028',
  '\u2029',
  '\u202a',
  '\u202e',
  '\u2060',
  '\u2066',
  '\u2069',
  '\ufeff',
  '\ufff9',
  '\ud800',
  '\udfff',
  '\u{e0001}',
];
const SEEN = 'plain, ä, Ω, 漢字, 🐧, "quotes" & <marks>';
const HARMFUL = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;

describe('what a terminal does not merely show', () => {
  test.each(UNSEEN)('is escaped in text: %j', (character) => {
    expect(printable(`a${character}b`)).toMatch(/^a\\(x[0-9a-f]{2}|u[0-9a-f]{4}|u\{[0-9a-f]+\})b$/);
  });

  test.each(UNSEEN)('is escaped in JSON, whose value stays: %j', (character) => {
    const document = { [`key${character}`]: [`a${character}b`] };
    for (const indent of [undefined, 2]) {
      const text = jsonText(document, indent);
      expect(text.replaceAll('\n', '')).not.toMatch(HARMFUL);
      expect(JSON.parse(text)).toEqual(document);
    }
  });

  test('all other characters stay as they are', () => {
    expect(printable(SEEN)).toBe(SEEN);
    expect(jsonText({ SEEN })).toBe(JSON.stringify({ SEEN }));
  });

  test('every character of Unicode is safe in both, and means the same in JSON', () => {
    for (let plane = 0; plane <= 16; plane += 1) {
      const text = Array.from({ length: 0x1_0000 }, (_, code) => `${String.fromCodePoint(plane * 0x1_0000 + code)} `).join('');
      expect(HARMFUL.test(printable(text))).toBe(false);
      const json = jsonText({ text });
      expect(HARMFUL.test(json)).toBe(false);
      expect((JSON.parse(json) as { text: string }).text === text).toBe(true);
    }
  });
});

test('whatever an error is told, its message is one line of what can be shown', () => {
  const hostile = '\x1b]0;x\x07\n\u202e';
  const details = { file: hostile, segment: hostile, found: hostile, expected: hostile, remedy: hostile };
  expect(new KdumpError('io', hostile, details).message).not.toMatch(HARMFUL);
});
