import { describe, expect, test } from 'vitest';
import type { DirectoryEntry } from '../../src/file/file-system.js';
import {
  MAX_DEVICE_TREE_BYTES,
  readDeviceTreeDirectory,
  type DeviceTreeNode,
  type DirectoryReader,
} from '../../src/machine/device-tree.js';
import { thrown } from '../helpers/thrown.js';

interface Directory {
  [name: string]: Directory | Uint8Array | 'link';
}

/** A directory tree in memory that counts what is read. */
class MemoryReader implements DirectoryReader {
  readonly listed: string[] = [];

  private readonly root: Directory;
  private readonly at: string;

  constructor(root: Directory, at = '/dt') {
    this.root = root;
    this.at = at;
  }

  list(path: string): DirectoryEntry[] {
    this.listed.push(path);
    return Object.entries(this.find(path) as Directory)
      .reverse()
      .map(([name, content]) => ({ name, kind: content === 'link' ? 'other' : content instanceof Uint8Array ? 'file' : 'directory' }));
  }

  readFile(path: string, limit: number): Uint8Array {
    return (this.find(path) as Uint8Array).subarray(0, limit);
  }

  private find(path: string): Directory[string] {
    expect(path.startsWith(this.at)).toBe(true);
    const names = path.slice(this.at.length).split('/').filter(Boolean);
    return names.reduce<Directory[string]>((directory, name) => (directory as Directory)[name] ?? expect.fail(`no ${path}`), this.root);
  }
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(`${text}\0`);
const cell = (value: number): Uint8Array => Uint8Array.of(0, 0, 0, value);

/** ppc64le-6.12-64k, 01-cpu-add-2, shortened. */
const PPC64: Directory = {
  name: bytes(''),
  '#address-cells': cell(2),
  'pci@800000020000000': { name: bytes('pci'), 'ethernet@0': { name: bytes('ethernet') } },
  cpus: {
    name: bytes('cpus'),
    'PowerPC,POWER9@1': { name: bytes('PowerPC,POWER9'), reg: cell(1), 'ibm,dfp': new Uint8Array(0) },
    'PowerPC,POWER9@0': { name: bytes('PowerPC,POWER9'), reg: cell(0) },
    'PowerPC,POWER9@2': { name: bytes('PowerPC,POWER9@2'), reg: cell(2) },
  },
  chosen: { name: bytes('chosen'), bootargs: bytes('console=hvc0') },
};

function outline({ name, properties, children }: DeviceTreeNode): unknown {
  return [name, [...properties.keys()], children.map(outline)];
}

describe('readDeviceTreeDirectory', () => {
  test('directories are nodes, files are properties, both by name', () => {
    const tree = readDeviceTreeDirectory(new MemoryReader(PPC64), '/dt');
    expect(outline(tree)).toEqual([
      '',
      ['#address-cells', 'name'],
      [
        ['chosen', ['bootargs', 'name'], []],
        [
          'cpus',
          ['name'],
          [
            ['PowerPC,POWER9@0', ['name', 'reg'], []],
            ['PowerPC,POWER9@1', ['ibm,dfp', 'name', 'reg'], []],
            ['PowerPC,POWER9@2', ['name', 'reg'], []],
          ],
        ],
        ['pci@800000020000000', ['name'], [['ethernet@0', ['name'], []]]],
      ],
    ]);
    expect(tree.children[1]?.children[2]?.properties.get('reg')).toEqual(cell(2));
  });

  test('reads no other part than asked for', () => {
    const reader = new MemoryReader(PPC64);
    const tree = readDeviceTreeDirectory(reader, '/dt', ['cpus']);
    expect(tree.children.map(({ name }) => name)).toEqual(['cpus']);
    expect(tree.properties.size).toBe(2);
    expect(reader.listed.filter((path) => path.includes('pci'))).toEqual([]);
  });

  test.each(['/dt/', '/dt//', '/'])('root path %s', (path) => {
    expect(readDeviceTreeDirectory(new MemoryReader(PPC64, path === '/' ? '' : '/dt'), path).children).toHaveLength(3);
  });

  test('a property named __proto__ is a property', () => {
    const reader: DirectoryReader = { list: () => [{ name: '__proto__', kind: 'file' }], readFile: () => cell(1) };
    expect([...readDeviceTreeDirectory(reader, '/dt').properties.keys()]).toEqual(['__proto__']);
  });

  test('a link is refused, with its path', () => {
    const { kind, details } = thrown(() => readDeviceTreeDirectory(new MemoryReader({ cpus: { node: 'link' } }), '/dt'));
    expect({ kind, file: details.file }).toEqual({ kind: 'input', file: '/dt/cpus/node' });
  });

  test.each([{}, { pci: { a: cell(1) } }])('a directory without a device tree is refused', (directory) => {
    const { kind, details } = thrown(() => readDeviceTreeDirectory(new MemoryReader(directory), '/dt', ['cpus']));
    expect({ kind, file: details.file }).toEqual({ kind: 'input', file: '/dt' });
  });

  test.each(['', '.', '..', 'a/b', 'a\0b'])('the name %j is refused', (name) => {
    const reader: DirectoryReader = { list: () => [{ name, kind: 'file' }], readFile: () => cell(1) };
    expect(thrown(() => readDeviceTreeDirectory(reader, '/dt')).kind).toBe('input');
  });

  test('64 levels and not one more', () => {
    const nested = (levels: number): Directory => (levels === 0 ? { reg: cell(0) } : { node: nested(levels - 1) });
    expect(readDeviceTreeDirectory(new MemoryReader(nested(64)), '/dt').children).toHaveLength(1);
    expect(thrown(() => readDeviceTreeDirectory(new MemoryReader(nested(65)), '/dt')).details.file).toBe(`/dt${'/node'.repeat(65)}`);
  });

  test('a tree without end is refused', () => {
    const wide: DirectoryReader = {
      list: (path) =>
        Array.from({ length: path === '/dt' ? 1001 : 1000 }, (_, index) => ({
          name: `n${index}`,
          kind: path === '/dt' ? 'directory' : 'file',
        })),
      readFile: () => new Uint8Array(0),
    };
    expect(thrown(() => readDeviceTreeDirectory(wide, '/dt')).kind).toBe('input');
  });

  test('16 MiB of values and not a byte more, and no file is read beyond that', () => {
    const limits: number[] = [];
    const reader = (size: number): DirectoryReader => ({
      list: () => [
        { name: 'a', kind: 'file' },
        { name: 'b', kind: 'file' },
      ],
      readFile: (path, limit) => {
        limits.push(limit);
        return new Uint8Array(Math.min(limit, path.endsWith('a') ? 1 : size));
      },
    });
    expect(readDeviceTreeDirectory(reader(MAX_DEVICE_TREE_BYTES - 1), '/dt').properties.size).toBe(2);
    expect(thrown(() => readDeviceTreeDirectory(reader(Infinity), '/dt')).details.file).toBe('/dt/b');
    expect(Math.max(...limits)).toBe(MAX_DEVICE_TREE_BYTES + 1);
  });

  test('what the reader throws comes through', () => {
    const reader: DirectoryReader = {
      list: () => {
        throw new RangeError('EACCES');
      },
      readFile: () => cell(0),
    };
    expect(() => readDeviceTreeDirectory(reader, '/dt')).toThrow(RangeError);
  });
});
