import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { formatDts } from '../../src/fdt/dts.js';
import { editFdt, newNodeFrom, type FdtEdit } from '../../src/fdt/edit/edit.js';
import { FdtNode, parseFdt } from '../../src/fdt/fdt.js';
import { someBlob } from './arbitrary.js';
import { buildFdt, node, prop } from './build.js';
import { modelOf } from './model.js';

const CAPTURES = join(import.meta.dirname, '../../fixtures/captures');
const captures = existsSync(CAPTURES)
  ? readdirSync(CAPTURES, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('fdt.dtb'))
  : [];
if (captures.length === 0) console.warn('no captured trees in fixtures/captures: only trees made here are tested');

const version = spawnSync('dtc', ['--version'], { encoding: 'utf8' }).stdout as string | null;
if (version === null) console.warn('dtc is not installed: formatDts is not compared with it');

describe.skipIf(captures.length === 0)('captured trees', () => {
  test.each(captures)('%s: parsed and written unchanged', (path) => {
    const blob = new Uint8Array(readFileSync(join(CAPTURES, path)));
    const fdt = parseFdt(blob);
    const same = fdt.root.children().map((child): FdtEdit => ({ kind: 'replaceProperties', node: child, properties: child.properties() }));
    expect(Buffer.compare(editFdt(fdt, same, { capacity: blob.length }).bytes, blob)).toBe(0);
    for (let index = 0; index < fdt.tree.nodeCount; index += 1) {
      const each = new FdtNode(fdt.tree, index);
      expect(fdt.node(each.path)?.index).toBe(index);
    }
  });

  test.each(captures)('%s: every node written anew gives the same tree', (path) => {
    const fdt = parseFdt(readFileSync(join(CAPTURES, path)));
    const edits = fdt.root.children().flatMap((child): FdtEdit[] => [
      { kind: 'addNode', parent: fdt.root, after: child, node: newNodeFrom(child) },
      { kind: 'removeNode', node: child },
    ]);
    const result = editFdt(fdt, edits, { capacity: fdt.bytes.length });
    expect(modelOf(parseFdt(result.bytes).root)).toEqual(modelOf(fdt.root));
    // NOPs inside the nodes are not written anew.
    expect(result.usedSize).toBeLessThanOrEqual(fdt.usedSize);
  });
});

describe.skipIf(version === null)('as dtc prints it', () => {
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'fdt-'));
  });
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  function dtc(blob: Uint8Array): string {
    const path = join(folder, 'tree.dtb');
    writeFileSync(path, blob);
    const { stdout, stderr } = spawnSync('dtc', ['-f', '-q', '-q', '-I', 'dtb', '-O', 'dts', path], {
      encoding: 'latin1',
      maxBuffer: 1 << 28,
    });
    if (stdout === '') throw new Error(`dtc: ${stderr}`);
    return stdout;
  }

  test.each(captures)('%s', (path) => {
    const blob = readFileSync(join(CAPTURES, path));
    expect(formatDts(parseFdt(blob))).toBe(dtc(blob));
  });

  test('values of any bytes', () => {
    const characters = [
      0, 0, 0, 1, 7, 8, 9, 10, 11, 12, 13, 14, 27, 0x20, 0x22, 0x27, 0x30, 0x37, 0x38, 0x41, 0x5c, 0x61, 0x66, 0x7e, 0x7f, 0x80, 0xff,
    ];
    const value = fc.array(fc.oneof(fc.constantFrom(...characters), fc.nat(255)), { maxLength: 12 }).map((list) => Uint8Array.from(list));
    const text = fc.array(fc.constantFrom(...characters.filter((code) => code < 0x7f && code !== 1 && code !== 14 && code !== 27)), {
      maxLength: 9,
    });
    const terminated = text.map((list) => Uint8Array.from([...list, 0]));
    fc.assert(
      fc.property(fc.array(fc.oneof(value, terminated), { minLength: 300, maxLength: 400 }), (values) => {
        const blob = buildFdt(values.map((each, index) => prop(`p${index}`, each)));
        expect(formatDts(parseFdt(blob)).split('\n')).toEqual(dtc(blob).split('\n'));
      }),
      { numRuns: 10 },
    );
  });

  test('random trees without `name`, whose removal dtc makes depend on other findings', () => {
    fc.assert(
      fc.property(someBlob, (blob) => {
        fc.pre(!Buffer.from(blob).includes('name\0'));
        expect(formatDts(parseFdt(blob))).toBe(dtc(blob));
      }),
      { numRuns: 60 },
    );
  });

  test('edited trees', () => {
    const fdt = parseFdt(buildFdt([prop('a', 'x'), node('b@1', prop('reg', [1]))], { slack: 100 }));
    const copy = { ...newNodeFrom(new FdtNode(fdt.tree, 1)), name: 'b@2' };
    const { bytes } = editFdt(fdt, [{ kind: 'addNode', parent: fdt.root, node: copy }], { capacity: 4096 });
    expect(formatDts(parseFdt(bytes))).toBe(dtc(bytes));
  });
});
