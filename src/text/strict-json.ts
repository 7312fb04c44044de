import { KdumpError } from '../errors.js';
import { excerpt } from './excerpt.js';

/** Deepest nesting of objects and arrays. A change file needs seven levels. */
export const MAX_JSON_DEPTH = 32;
/** Most objects and arrays in one text; more of them would take memory out of proportion to the text. */
export const MAX_JSON_CONTAINERS = 400_000;

/** Most values in one text, objects and arrays among them. */
export const MAX_JSON_VALUES = 1_000_000;

export type JsonValue = null | boolean | number | string | OddNumber | Converted | readonly JsonValue[] | JsonObject;
/** A Map, since a key named `__proto__` must be a key like any other. */
export type JsonObject = ReadonlyMap<string, JsonValue>;

/** A JSON number that is not written as a plain integer of at most 2^53 - 1, and so has no exact or no integer value. */
export class OddNumber {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** What the caller made of a value while the text was read. */
export class Converted {
  readonly result: object;

  constructor(result: object) {
    this.result = result;
  }
}

/** @returns what stands for `value` from now on: a {@link Converted}, or `value` itself */
export type Convert = (value: JsonValue) => JsonValue;

export interface JsonDocument {
  readonly value: JsonValue;
  /** Line of its first character, from 1. */
  readonly line: number;
}

/**
 * The JSON documents (RFC 8259) of `text`: one over any number of lines, or one a line (NDJSON, blank lines skipped).
 *
 * JSON.parse is not used because it keeps the last of two equal keys, rounds large integers, and nests without limit, all in silence.
 *
 * @param convert sees each document, and before it each item of the arrays in it that are values of its members: so a text of many small
 *   items is never in memory as values all at once
 * @param firstLine the number of the first line of `text`
 * @returns a document that was converted as nothing but that: where it stood matters only for what is wrong with it
 * @throws KdumpError `usage`, with `line N, column N` as its segment, for text that is not JSON, an object with the same key twice,
 *   nesting deeper than 32, or more than 400,000 objects and arrays or 1,000,000 values
 */
export function parseJsonDocuments(text: string): JsonDocument[];
export function parseJsonDocuments(text: string, convert: Convert, firstLine?: number): (JsonDocument | Converted)[];
export function parseJsonDocuments(text: string, convert: Convert = (value) => value, firstLine = 1): (JsonDocument | Converted)[] {
  return new Parser(text, convert, firstLine).documents();
}

class Parser {
  private position = 0;
  /** Set after the first document: what follows must be NDJSON, and a line cut short is then reported as that line. */
  private oneLine = false;
  private depth = 0;
  private containers = 0;
  private values = 0;

  private readonly text: string;
  private readonly convert: Convert;
  private readonly firstLine: number;

  constructor(text: string, convert: Convert, firstLine: number) {
    this.text = text;
    this.convert = convert;
    this.firstLine = firstLine;
  }

  documents(): (JsonDocument | Converted)[] {
    const documents: (JsonDocument | Converted)[] = [];
    if (this.text.charCodeAt(0) === BYTE_ORDER_MARK) this.position = 1;
    let line = this.firstLine;
    let counted = 0;
    let severalLines = false;
    for (;;) {
      this.skipBlankLines();
      if (this.position >= this.text.length) return documents;
      const start = this.position;
      if (severalLines) throw this.syntax('the end of the file after a document of several lines');
      line += countLines(this.text, counted, start);
      const value = this.convert(this.value());
      counted = start;
      severalLines = countLines(this.text, start, this.position) > 0;
      documents.push(value instanceof Converted ? value : { value, line });
      this.oneLine = true;
      this.skipBlanksInLine();
      if (this.position < this.text.length && this.text.charCodeAt(this.position) !== NEWLINE) {
        throw this.syntax('the end of the line after a document');
      }
    }
  }

  private value(): JsonValue {
    this.values += 1;
    if (this.values > MAX_JSON_VALUES) {
      throw this.failure('too many values', this.position, `more than ${MAX_JSON_VALUES}`, `at most ${MAX_JSON_VALUES}`);
    }
    switch (this.text.charCodeAt(this.position)) {
      case OPEN_BRACE:
        return this.object();
      case OPEN_BRACKET:
        return this.array();
      case QUOTE:
        return this.string();
      case 0x74:
        return this.literal('true', true);
      case 0x66:
        return this.literal('false', false);
      case 0x6e:
        return this.literal('null', null);
      default:
        return this.number();
    }
  }

  private object(): JsonObject {
    const object = new Map<string, JsonValue>();
    this.enter();
    if (!this.take(CLOSE_BRACE)) {
      do {
        this.skipBlanks();
        const start = this.position;
        if (this.text.charCodeAt(start) !== QUOTE) throw this.syntax('a key in quotes');
        const key = this.string();
        if (object.has(key)) throw this.failure('the same key twice in one object', start, excerpt(key), 'each key once');
        if (!this.take(COLON)) throw this.syntax('":"');
        this.skipBlanks();
        object.set(key, this.value());
      } while (this.take(COMMA));
      if (!this.take(CLOSE_BRACE)) throw this.syntax('"," or "}"');
    }
    this.depth -= 1;
    return object;
  }

  private array(): JsonValue[] {
    const array: JsonValue[] = [];
    this.enter();
    if (!this.take(CLOSE_BRACKET)) {
      do {
        this.skipBlanks();
        const item = this.value();
        array.push(this.depth === ITEM_DEPTH ? this.convert(item) : item);
      } while (this.take(COMMA));
      if (!this.take(CLOSE_BRACKET)) throw this.syntax('"," or "]"');
    }
    this.depth -= 1;
    return array;
  }

  private enter(): void {
    this.depth += 1;
    if (this.depth > MAX_JSON_DEPTH) throw this.failure('nested too deep', this.position, undefined, `at most ${MAX_JSON_DEPTH} levels`);
    this.containers += 1;
    if (this.containers > MAX_JSON_CONTAINERS) {
      throw this.failure('too many objects and arrays', this.position, undefined, `at most ${MAX_JSON_CONTAINERS}`);
    }
    this.position += 1;
  }

  private string(): string {
    const start = this.position;
    let escaped = false;
    for (let at = start + 1; at < this.text.length; at += 1) {
      const code = this.text.charCodeAt(at);
      if (code === QUOTE) {
        this.position = at + 1;
        return escaped ? this.unescaped(start) : this.text.slice(start + 1, at);
      }
      if (code < 0x20) {
        this.position = at;
        throw this.syntax('no control character in a string');
      }
      if (code === BACKSLASH) {
        escaped = true;
        at += 1;
      }
    }
    throw this.failure('not JSON', start, 'a string without an end', 'a closing quote');
  }

  private unescaped(start: number): string {
    const literal = this.text.slice(start, this.position);
    try {
      return JSON.parse(literal) as string;
    } catch {
      throw this.failure('not JSON', start, excerpt(literal), 'a string with the escapes of JSON');
    }
  }

  private number(): number | OddNumber {
    const start = this.position;
    let end = start;
    while (end < this.text.length && isNumberCharacter(this.text.charCodeAt(end))) end += 1;
    const text = this.text.slice(start, end);
    // The length is checked first: V8's regular expressions run out of stack on millions of digits.
    if (end === start || (text.length <= LONGEST_NUMBER && !JSON_NUMBER.test(text))) throw this.syntax('a JSON value');
    this.position = end;
    const value = Number(text);
    return text.length <= LONGEST_NUMBER && PLAIN_INTEGER.test(text) && Number.isSafeInteger(value) ? value : new OddNumber(text);
  }

  private literal<T>(word: string, value: T): T {
    if (!this.text.startsWith(word, this.position)) throw this.syntax('a JSON value');
    this.position += word.length;
    return value;
  }

  private take(code: number): boolean {
    this.skipBlanks();
    if (this.text.charCodeAt(this.position) !== code) return false;
    this.position += 1;
    return true;
  }

  private skipBlanks(): void {
    if (this.oneLine) this.skipBlanksInLine();
    else this.skipBlankLines();
  }

  private skipBlankLines(): void {
    for (;;) {
      const code = this.text.charCodeAt(this.position);
      if (code !== SPACE && code !== NEWLINE && code !== RETURN && code !== TAB) return;
      this.position += 1;
    }
  }

  private skipBlanksInLine(): void {
    for (;;) {
      const code = this.text.charCodeAt(this.position);
      if (code !== SPACE && code !== RETURN && code !== TAB) return;
      this.position += 1;
    }
  }

  private syntax(expected: string): KdumpError {
    const rest = this.text.slice(this.position, this.position + 20).split('\n', 1)[0] ?? '';
    const found = this.position >= this.text.length ? 'the end of the text' : rest === '' ? 'the end of the line' : excerpt(rest);
    return this.failure('not JSON', this.position, found, expected);
  }

  private failure(problem: string, position: number, found: string | undefined, expected: string): KdumpError {
    const line = countLines(this.text, 0, position) + this.firstLine;
    const column = position - this.text.lastIndexOf('\n', position - 1);
    return new KdumpError('usage', problem, {
      segment: `line ${line}, column ${column}`,
      ...(found === undefined ? {} : { found }),
      expected,
    });
  }
}

/** Containers around an item of an array that is a member of a document. */
const ITEM_DEPTH = 2;

const BYTE_ORDER_MARK = 0xfeff;
const TAB = 0x09;
const NEWLINE = 0x0a;
const RETURN = 0x0d;
const SPACE = 0x20;
const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

const LONGEST_NUMBER = 400;
const JSON_NUMBER = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$/;
const PLAIN_INTEGER = /^-?(?:[1-9][0-9]*|0)$/;

function isNumberCharacter(code: number): boolean {
  // Digits, plus, minus, full stop, E and e.
  return (code >= 0x30 && code <= 0x39) || code === 0x2b || code === 0x2d || code === 0x2e || code === 0x45 || code === 0x65;
}

function countLines(text: string, from: number, to: number): number {
  let lines = 0;
  for (let at = text.indexOf('\n', from); at >= 0 && at < to; at = text.indexOf('\n', at + 1)) lines += 1;
  return lines;
}
