import { expect, test } from 'vitest';
import { formatDts } from '../../src/fdt/dts.js';
import { parseFdt } from '../../src/fdt/fdt.js';
import { NOP, buildFdt, node, prop, type BlobOptions, type Item } from './build.js';

function dts(items: readonly Item[], options?: BlobOptions): string {
  return formatDts(parseFdt(buildFdt(items, options)));
}

/** The value of one property as it is printed. */
function printed(...bytes: readonly number[]): string {
  return /\tp(.*);\n/.exec(dts([prop('p', Uint8Array.from(bytes))]))?.[1] ?? '';
}

test('layout', () => {
  const tree = [prop('model', 'test'), prop('flag'), node('cpus', NOP, node('cpu@0', prop('reg', [0])), node('cpu@1')), node('chosen')];
  expect(dts(tree, { reservations: [[0x1000n, 0x20n]] })).toBe(
    [
      '/dts-v1/;',
      '',
      '/memreserve/\t0x0000000000001000 0x0000000000000020;',
      '/ {',
      '\tmodel = "test";',
      '\tflag;',
      '',
      '\tcpus {',
      '',
      '\t\tcpu@0 {',
      '\t\t\treg = <0x00>;',
      '\t\t};',
      '',
      '\t\tcpu@1 {',
      '\t\t};',
      '\t};',
      '',
      '\tchosen {',
      '\t};',
      '};',
      '',
    ].join('\n'),
  );
});

test.each([
  [[], ''],
  [[0x61, 0], ' = "a"'],
  [[0x61, 0, 0x62, 0], ' = "a\\0b"'],
  [[0x61], ' = [61]'],
  [[0], ' = [00]'],
  [[0, 0x61, 0x62, 0], ' = "\\0ab"'],
  [[0, 0, 0x61, 0], ' = <0x6100>'],
  [[0, 0, 0, 1], ' = <0x01>'],
  [[0xff, 0xff, 0xff, 0xff, 0, 0, 1, 0], ' = <0xffffffff 0x100>'],
  [[1, 2, 3], ' = [01 02 03]'],
  [[0x22, 0x5c, 0], ' = "\\"\\\\"'],
  [[7, 8, 9, 10, 11, 12, 13, 0], ' = "\\a\\b\\t\\n\\v\\f\\r"'],
  [[0x1b, 0x5b, 0x33, 0x31, 0x6d, 0], ' = [1b 5b 33 31 6d 00]'],
  [[0x7f, 0x61, 0], ' = [7f 61 00]'],
  [[0xc3, 0xa9, 0], ' = [c3 a9 00]'],
])('value %j', (bytes, expected) => {
  expect(printed(...bytes)).toBe(expected);
});

test('a `name` that repeats the name without unit address is left out', () => {
  expect(dts([node('cpu@0', prop('name', 'cpu')), node('cpu@1', prop('name', 'cpu@1'))])).toContain(
    '\tcpu@0 {\n\t};\n\n\tcpu@1 {\n\t\tname = "cpu@1";\n\t};',
  );
});

test('no byte of the tree reaches the output but printable ASCII', () => {
  const all = Array.from({ length: 255 }, (_, i) => String.fromCharCode(i + 1));
  const nasty = all.map((character) => node(`n${character}`, prop(`p${character}`, `v${character}`)));
  expect(dts(nasty)).toMatch(/^[\t\n -~]+$/);
  expect(dts([node('\x1b[31m} ; / {')])).toContain('\t\\x1b\\x5b31m\\x7d\\x20\\x3b\\x20\\x2f\\x20\\x7b {');
});

test('100,000 nodes in linear time', () => {
  const words = Array.from({ length: 100_000 }, () => [1, 0x61000000, 2]).flat();
  expect(dts([{ words }]).split('\n')).toHaveLength(300_005);
});
