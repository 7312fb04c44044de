import { describe, expect, test } from 'vitest';
import { KdumpError } from '../../src/errors.js';
import type { FileStatus, FileSystem } from '../../src/file/file-system.js';
import { nodeFileSystem } from '../../src/file/node-file-system.js';
import { serversOf } from '../../src/guest/peer.js';

const SOCKET = '/run/one.qmp';
const HEADER = 'Num       RefCount Protocol Flags    Type St Inode Path\n';

/** A line of /proc/net/unix, `at` as the kernel prints it for the end that a server took. */
function line(inode: number, path: string, state = '00000000 0001 03'): string {
  return `0000000000000000: 00000003 00000000 ${state} ${String(inode).padStart(5)} ${path}\n`;
}

/** A /proc with one process, 7; `files` are the inodes of paths. */
function proc(table: string, sockets: readonly number[], files: Record<string, bigint>): FileSystem {
  const folders: string[] = [];
  return {
    ...nodeFileSystem,
    realPath: (path) => path,
    readStart: (path) => {
      if (path !== '/proc/7/net/unix') throw new KdumpError('io', 'cannot open', { file: path });
      return Buffer.from(HEADER + table);
    },
    list: () => sockets.map((_, index) => ({ name: String(index), kind: 'other' })),
    linkTarget: (path) => `socket:[${sockets[Number(path.split('/').at(-1))] ?? ''}]`,
    openDirectory: (path) => folders.push(path.replace(/\/\.$/, '')) - 1,
    close: () => undefined,
    statusIn: (directory, name) => {
      const inode = files[`${folders[directory] ?? ''}/${name}`];
      return inode === undefined ? undefined : ({ inode, device: 1n } as FileStatus);
    },
  };
}

describe('which process serves a monitor', () => {
  const files = { [SOCKET]: 9n, [`/proc/7/root${SOCKET}`]: 9n, '/proc/7/root/run/other.qmp': 8n, '/proc/7/cwd/one.qmp': 9n };
  test.each<[string, boolean, string, number[]]>([
    ['holds the end that was taken', true, line(100, SOCKET), [100]],
    ['was given a relative name', true, line(100, 'one.qmp'), [100]],
    ['holds no socket of that name', false, line(100, SOCKET), [101]],
    ['only listens: it took no connection', false, line(100, SOCKET, '00010000 0001 01'), [100]],
    ['serves another socket', false, line(100, '/run/other.qmp'), [100]],
    ['serves a name that leads nowhere', false, line(100, '/run/gone.qmp'), [100]],
    [
      'serves another socket, and somebody bound a name with a line that says otherwise',
      false,
      line(100, '/run/other.qmp') + line(5, `x\n${line(100, SOCKET).trim()}`),
      [100],
    ],
    [
      'serves another socket, and that line comes first',
      false,
      line(5, `x\n${line(100, SOCKET).trim()}`) + line(100, '/run/other.qmp'),
      [100],
    ],
    ['is a client, whose end has no name', false, line(100, '').trim() + '\n' + line(5, `x\n${line(100, SOCKET).trim()}`), [100]],
  ])('one that %s', (_, serves, table, sockets) => {
    expect(serversOf(proc(table, sockets, files), SOCKET, [7])).toEqual(serves ? [7] : []);
  });

  test('one that may not be looked at does not', () => {
    expect(serversOf(proc(line(100, SOCKET), [100], files), SOCKET, [8])).toEqual([]);
  });
});
