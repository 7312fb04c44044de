import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, test } from 'vitest';
import { ERROR_CODES } from '../../src/codes.js';
import type { ErrorJson } from '../../src/cli/render/error-json.js';
import { nodeFileSystem } from '../../src/file/node-file-system.js';
import { systemError } from '../../src/file/system-error.js';
import type { FileSystem } from '../../src/file/file-system.js';
import { copyOf, fixtureImage } from '../helpers/fixtures.js';
import { runHere } from '../helpers/run-here.js';
import { run, scratchFolder } from '../helpers/run.js';

// What a script reads of a failure with --json: a document on standard output, with a code that it can tell apart.

const docs = (name: string): string => readFileSync(fileURLToPath(new URL(`../../docs/${name}`, import.meta.url)), 'utf8');
const schema = JSON.parse(docs('schema/error.schema.json')) as {
  properties: { error: { properties: { code: { enum: string[] }; kind: { enum: string[] } } } };
};
const validate = new Ajv2020({ strict: true, strictTypes: false, allErrors: true }).compile(schema);
const folder = scratchFolder();
const IMAGE = fixtureImage('ppc64le-64k');
const ADD = ['--add-memory', '0x80000000+256M'];

/** Fails unless the command fails with a document that the schema allows, and the same words on standard error. */
function failure(args: readonly string[], surroundings: Parameters<typeof runHere>[1] = {}): ErrorJson['error'] & { status: number } {
  const { status, stdout, stderr } = runHere([...args, '--json'], surroundings);
  const document = JSON.parse(stdout) as ErrorJson;
  expect(validate(document) ? [] : validate.errors).toEqual([]);
  expect(stderr).toBe(`kdump-hotplug: ${document.error.message}\n`);
  return { ...document.error, status };
}

/** The real file system, but for one call. */
function failing(call: 'write' | 'open' | 'lock', errno: string): FileSystem {
  return {
    ...nodeFileSystem,
    [call]: (target: unknown, ...rest: unknown[]) => {
      if (call === 'lock') return false;
      if (call === 'open' && target !== IMAGE) return (nodeFileSystem.open as (...args: unknown[]) => number)(target, ...rest);
      throw systemError(call, IMAGE, Object.assign(new Error(errno), { code: errno }));
    },
  };
}

describe('what a caller of exit code 5 tells apart', () => {
  test.each([
    ['ENOENT', 'not-found'],
    ['EACCES', 'permission'],
    ['EPERM', 'permission'],
    ['EIO', 'device-failed'],
    ['EMFILE', 'no-resources'],
    ['EBUSY', 'busy'],
    ['EISDIR', 'wrong-type'],
    ['EPROTO', 'io'],
  ])('%s when the image is opened', (errno, code) => {
    expect(failure(['check', IMAGE], { fileSystem: failing('open', errno) })).toMatchObject({ status: 5, kind: 'io', code, file: IMAGE });
  });

  test.each([
    ['ENOSPC', 'no-space'],
    ['EDQUOT', 'no-space'],
    ['EROFS', 'read-only'],
    ['EFBIG', 'too-large'],
  ])('%s when it is written', (errno, code) => {
    const path = copyOf('ppc64le-64k', folder);
    expect(failure(['apply', path, ...ADD], { fileSystem: failing('write', errno) })).toMatchObject({ status: 5, kind: 'io', code });
  });

  test('no such file, a directory on the way, an output that exists', () => {
    expect(failure(['check', join(folder, 'nothing')])).toMatchObject({ status: 5, code: 'not-found', file: join(folder, 'nothing') });
    expect(failure(['check', join(IMAGE, 'below')])).toMatchObject({ status: 5, code: 'wrong-type' });
    expect(failure(['apply', IMAGE, ...ADD, '-o', IMAGE])).toMatchObject({ status: 5, code: 'exists', file: IMAGE });
  });

  test('somebody else who patches it', () => {
    const path = copyOf('ppc64le-64k', folder);
    expect(failure(['apply', path, ...ADD], { fileSystem: failing('lock', '') })).toMatchObject({ status: 5, code: 'busy', file: path });
  });
});

describe('the other kinds', () => {
  test('usage: found by the parser of the command line, or later', () => {
    expect(failure(['check'])).toMatchObject({ status: 2, kind: 'usage', code: 'usage', file: null });
    expect(failure(['chekc', IMAGE])).toMatchObject({ status: 2, kind: 'usage', message: expect.stringContaining('check') as string });
    expect(failure(['plan', IMAGE])).toMatchObject({
      status: 2,
      kind: 'usage',
      expected: expect.stringContaining('--add-memory') as string,
    });
  });

  test('input: file, segment, offset, found and expected each have a key', () => {
    const path = copyOf('ppc64le-64k', folder);
    const bytes = readFileSync(path);
    bytes.writeUInt32BE(0xd00dfeee, bytes.indexOf(Buffer.from('d00dfeed', 'hex')));
    writeFileSync(path, bytes);
    const error = failure(['check', path]);
    expect(error).toMatchObject({ status: 3, kind: 'input', code: 'input', file: path });
    expect(error.found).not.toBeNull();
  });

  test('refused, and whether --force makes the change', () => {
    expect(failure(['plan', IMAGE, '--add-memory', '0x80000800+256M'])).toMatchObject({ status: 4, kind: 'refused', forcible: true });
    expect(failure(['plan', IMAGE, '--add-memory', '0x30000000+16M'])).toMatchObject({ status: 4, forcible: false, segment: 'elfcorehdr' });
  });

  test('a bug of this program', () => {
    const fileSystem = new Proxy(nodeFileSystem, {
      get: (real, name) =>
        name === 'open'
          ? () => {
              throw new TypeError('x is not a function');
            }
          : (Reflect.get(real, name) as unknown),
    });
    expect(failure(['check', IMAGE], { fileSystem })).toMatchObject({ status: 5, kind: 'bug', code: 'bug' });
  });
});

test('an operand that is called --json asks for no document', () => {
  expect(runHere(['check', '--', '--json'])).toMatchObject({ status: 5, stdout: '' });
});

test('watch prints it on one line', () => {
  const { status, stdout } = run(['watch', join(folder, 'nothing'), '--json'], { input: '' });
  expect(status).toBe(5);
  expect(stdout.trimEnd()).not.toContain('\n');
  expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'not-found' } });
});

test('an END that was meant to be exclusive is asked about, and not to be forced', () => {
  for (const force of [[], ['--force']]) {
    const error = failure(['plan', IMAGE, '--add-memory', '0x80000000-0x90000000', ...force]);
    expect(error).toMatchObject({ status: 4, remedy: 'did you mean 0x80000000-0x8fffffff?', forcible: false });
  }
});

describe('every code', () => {
  const all = [...Object.values(ERROR_CODES).flat(), 'bug'];

  test('is of one kind, in the schema, and in docs/json.md', () => {
    expect(new Set(all).size).toBe(all.length);
    expect([...schema.properties.error.properties.code.enum].sort()).toEqual([...all].sort());
    expect(schema.properties.error.properties.kind.enum).toEqual([...Object.keys(ERROR_CODES), 'bug']);
    const section = docs('json.md').split('## error codes')[1] ?? '';
    expect([...section.matchAll(/^\| `(?!code`)([a-z-]+)`/gm)].map(([, code]) => code).sort()).toEqual([...all].sort());
  });
});
