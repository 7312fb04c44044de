import { describe, expect, test } from 'vitest';
import { readMemoryNodes, readOfflineMemory } from '../../src/machine/memory-blocks.js';
import type { DirectoryReader } from '../../src/machine/device-tree.js';
import { thrown } from '../helpers/thrown.js';

const PATH = '/sys/devices/system/memory';

/** A directory of memory blocks, and what else the kernel has there. */
function reader(blockSize: string, states: Readonly<Record<string, string>>, more: readonly string[] = []): DirectoryReader {
  const files = new Map(Object.entries(states).map(([name, state]) => [`${PATH}/${name}/state`, state]));
  files.set(`${PATH}/block_size_bytes`, blockSize);
  return {
    list: (path) =>
      path === PATH
        ? [...Object.keys(states), 'block_size_bytes', 'auto_online_blocks', 'power', ...more].map((name) => ({ name, kind: 'directory' }))
        : [],
    readFile: (path, limit) => {
      const text = files.get(path);
      if (text === undefined) throw new Error(`no ${path}`);
      return Buffer.from(text).subarray(0, limit);
    },
  };
}

describe('readOfflineMemory', () => {
  test('blocks by their numbers, in order, neighbours joined', () => {
    const states = { memory34: 'offline\n', memory2: 'offline\n', memory0: 'online\n', memory35: 'offline\n', memory1: 'going-offline\n' };
    expect(readOfflineMemory(reader('8000000\n', states), PATH)).toEqual([
      { start: 0x10000000n, end: 0x18000000n },
      { start: 0x110000000n, end: 0x120000000n },
    ]);
  });

  test('files of a copy that tar padded with NUL to the size that sysfs claims are read all the same', () => {
    const pad = '\0'.repeat(4086);
    expect(readOfflineMemory(reader(`1000\n${pad}`, { memory1: `offline\n${pad}`, memory2: `online\n${pad}` }), PATH)).toEqual([
      { start: 0x1000n, end: 0x2000n },
    ]);
  });

  test('none is offline', () => {
    expect(readOfflineMemory(reader('10000000', { memory0: 'online' }), PATH)).toEqual([]);
  });

  test('the size is hexadecimal, as the kernel prints it', () => {
    expect(readOfflineMemory(reader('1000\n', { memory1: 'offline\n' }), PATH)).toEqual([{ start: 0x1000n, end: 0x2000n }]);
  });

  test('other names are not blocks', () => {
    const states = { memory0: 'online', memory7x: 'offline', xmemory7: 'offline', memory: 'offline', 'memory-1': 'offline' };
    expect(readOfflineMemory(reader('8000000', states), PATH)).toEqual([]);
  });

  test('a block that ends at 2^64 is the last there can be', () => {
    const size = 1n << 60n;
    expect(readOfflineMemory(reader(size.toString(16), { memory15: 'offline' }), PATH)).toEqual([{ start: 15n * size, end: 1n << 64n }]);
    const error = thrown(() => readOfflineMemory(reader(size.toString(16), { memory16: 'offline' }), PATH));
    expect(error).toMatchObject({ kind: 'input', details: { segment: 'memory16' } });
  });

  test.each([
    ['', 'block_size_bytes'],
    ['0', 'block_size_bytes'],
    ['8000001', 'block_size_bytes'],
    ['0x8000000', 'block_size_bytes'],
    ['134217728 bytes', 'block_size_bytes'],
    ['10000000000000000', 'block_size_bytes'],
  ])('block size %j is refused', (size, segment) => {
    const error = thrown(() => readOfflineMemory(reader(size, { memory0: 'online' }), PATH));
    expect(error).toMatchObject({ kind: 'input', details: { file: PATH, segment } });
    expect(error.message).toContain('/sys/devices/system/memory');
  });

  test('a directory without blocks is refused: all memory would seem to be online', () => {
    expect(thrown(() => readOfflineMemory(reader('8000000', {}), PATH))).toMatchObject({
      kind: 'input',
      details: { found: 'no memory blocks' },
    });
  });
});

describe('readMemoryNodes', () => {
  test('by the link in each block; of several nodes in one, or none, nothing is told', () => {
    const links: Record<string, string[]> = {
      memory0: ['node0'],
      memory1: ['node0', 'node1'],
      memory2: ['node1'],
      memory3: ['node1'],
      memory4: [],
    };
    const blocks = reader('10000000', Object.fromEntries(Object.keys(links).map((name) => [name, 'online'])));
    const list: DirectoryReader['list'] = (path) => {
      const names = links[path.slice(PATH.length + 1)];
      return names === undefined ? blocks.list(path) : [...names, 'state', 'nodeinfo'].map((name) => ({ name, kind: 'other' }));
    };
    expect(readMemoryNodes({ ...blocks, list }, PATH)).toEqual([
      { range: { start: 0n, end: 0x10000000n }, node: 0 },
      { range: { start: 0x20000000n, end: 0x40000000n }, node: 1 },
    ]);
  });
});
