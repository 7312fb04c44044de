import { spawnSync } from 'node:child_process';
import { linkSync, mkdirSync, readFileSync, renameSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { nodeFileSystem } from '../../src/file/node-file-system.js';
import { scratchFolder } from '../helpers/run.js';
import { thrown } from '../helpers/thrown.js';

const folder = scratchFolder();
let names = 0;
function fileWith(contents: string | Uint8Array): string {
  names += 1;
  const path = join(folder, `file-${names}`);
  writeFileSync(path, contents);
  return path;
}

const open: number[] = [];
function opened(...[path, mode]: Parameters<typeof nodeFileSystem.open>): number {
  const descriptor = nodeFileSystem.open(path, mode);
  open.push(descriptor);
  return descriptor;
}
afterEach(() => {
  for (const descriptor of open.splice(0)) nodeFileSystem.close(descriptor);
});

// A journal belongs to the owner of the image: else it would not be believed by others who may patch it.
test.skipIf(process.getuid?.() !== 0)('root gives a file to the user that it is for, with the mode it is to have', () => {
  const path = fileWith('abc');
  nodeFileSystem.setAttributes(opened(path, 'modify'), { user: 65534, group: 65533, mode: 0o640 });
  const { uid, gid, mode } = statSync(path);
  expect({ uid, gid, mode: mode & 0o7777 }).toEqual({ uid: 65534, gid: 65533, mode: 0o640 });
});

describe('positions', () => {
  // fs.writeSync would take such a position for "where the file stands".
  test.each([-1, 0.5, 2 ** 53, NaN])('%d is none: nothing is read or written', (position) => {
    const path = fileWith('abc');
    const descriptor = opened(path, 'modify');
    expect(
      thrown(() => {
        nodeFileSystem.write(descriptor, Uint8Array.of(1), position);
      }),
    ).toMatchObject({ kind: 'io', details: { file: path } });
    expect(thrown(() => nodeFileSystem.read(descriptor, new Uint8Array(1), position)).kind).toBe('io');
    expect(readFileSync(path, 'utf8')).toBe('abc');
  });

  test.each([-1n, 1n << 63n])('%d is none to read at', (position) => {
    const descriptor = opened(fileWith('abc'), 'read');
    expect(thrown(() => nodeFileSystem.read(descriptor, new Uint8Array(1), position)).details).toMatchObject({ expected: /2\^63/ });
  });

  // /proc/kcore has memory there when the kernel pages with five levels.
  test('above 2^53 are read as bigints', () => {
    const path = fileWith('abc');
    const descriptor = opened(path, 'read');
    const into = new Uint8Array(3);
    expect(nodeFileSystem.read(descriptor, into, (1n << 53n) + 1n)).toBe(0);
    expect(nodeFileSystem.read(descriptor, into, 0n)).toBe(3);
    expect(Buffer.from(into).toString()).toBe('abc');
  });

  test('beyond 4 GiB are those of the file', () => {
    const path = fileWith('');
    truncateSync(path, 2 ** 33);
    const descriptor = opened(path, 'modify');
    nodeFileSystem.write(descriptor, Uint8Array.of(1, 2, 3), 2 ** 32 + 5);
    const bytes = new Uint8Array(5);
    expect(nodeFileSystem.read(descriptor, bytes, 2 ** 32 + 4)).toBe(5);
    expect([...bytes]).toEqual([0, 1, 2, 3, 0]);
  });

  test('behind the end read nothing', () => {
    const descriptor = opened(fileWith('abc'), 'read');
    expect([nodeFileSystem.read(descriptor, new Uint8Array(8), 1), nodeFileSystem.read(descriptor, new Uint8Array(8), 3)]).toEqual([2, 0]);
  });
});

describe('what goes wrong is told with the path and the reason', () => {
  test.each<[string, () => unknown, string]>([
    ['no such file', () => nodeFileSystem.open(join(folder, 'absent'), 'read'), 'cannot open: no such file or directory (ENOENT)'],
    ['one that exists', () => nodeFileSystem.open(fileWith(''), 'create'), 'cannot open: it exists already (EEXIST)'],
    ['a directory to write', () => nodeFileSystem.open(folder, 'modify'), 'cannot open: it is a directory (EISDIR)'],
    ['no such directory', () => nodeFileSystem.list(join(folder, 'absent')), 'cannot list: no such file or directory (ENOENT)'],
    [
      'a file that is no directory',
      () => nodeFileSystem.openDirectory(fileWith('')),
      'cannot open: a part of the path is not a directory (ENOTDIR)',
    ],
    ['a circle of links', () => nodeFileSystem.realPath(circle()), 'cannot resolve: too many symbolic links (ELOOP)'],
    ['a descriptor that is not open', () => nodeFileSystem.status(9999), 'cannot stat: the system refused (EBADF)'],
    ['a lock on it', () => nodeFileSystem.lock(9999, 'shared'), 'cannot lock: flock(1) does not work here'],
  ])('%s', (_, action, problem) => {
    const error = thrown(action);
    expect(error).toMatchObject({ kind: 'io', problem });
    expect(error.details.file).toBeDefined();
  });

  function circle(): string {
    const path = join(folder, 'circle');
    symlinkSync(path, path);
    return path;
  }
});

describe('a directory that is held open', () => {
  test('is where its names are looked up, wherever it is moved', () => {
    const place = join(folder, 'place');
    mkdirSync(place);
    writeFileSync(join(place, 'image'), 'old');
    const directory = nodeFileSystem.openDirectory(place);
    open.push(directory);
    renameSync(place, `${place}-moved`);
    mkdirSync(place);
    writeFileSync(join(place, 'image'), 'planted');
    const descriptor = nodeFileSystem.openIn(directory, 'image', 'read');
    open.push(descriptor);
    const bytes = new Uint8Array(3);
    nodeFileSystem.read(descriptor, bytes, 0);
    expect(Buffer.from(bytes).toString()).toBe('old');
    expect(nodeFileSystem.statusIn(directory, 'image')?.inode).toBe(statSync(`${place}-moved/image`, { bigint: true }).ino);
    expect(nodeFileSystem.statusIn(directory, 'absent')).toBeUndefined();
    nodeFileSystem.removeIn(directory, 'image');
    expect([nodeFileSystem.exists(`${place}-moved/image`), nodeFileSystem.exists(join(place, 'image'))]).toEqual([false, true]);
    // Removing what is gone is no failure: somebody else may have recovered.
    nodeFileSystem.removeIn(directory, 'image');
    expect(thrown(() => nodeFileSystem.openIn(directory, 'absent', 'read')).details.file).toBe(`${place}/absent`);
  });

  test('does not follow a link in it', () => {
    const place = join(folder, 'links');
    mkdirSync(place);
    symlinkSync(fileWith('elsewhere'), join(place, 'link'));
    const directory = nodeFileSystem.openDirectory(place);
    open.push(directory);
    expect(nodeFileSystem.statusIn(directory, 'link')?.kind).toBe('other');
    expect(thrown(() => nodeFileSystem.openIn(directory, 'link', 'read')).problem).toContain('ELOOP');
  });
});

describe('locks', () => {
  test('exclude each other between open files, shared ones do not', () => {
    const path = fileWith('');
    const [first, second, third] = [opened(path, 'read'), opened(path, 'read'), opened(path, 'read')];
    expect(nodeFileSystem.lock(first, 'shared')).toBe(true);
    expect(nodeFileSystem.lock(second, 'shared')).toBe(true);
    expect(nodeFileSystem.lock(third, 'exclusive')).toBe(false);
    nodeFileSystem.close(open.splice(open.indexOf(first), 1)[0] as number);
    nodeFileSystem.close(open.splice(open.indexOf(second), 1)[0] as number);
    expect(nodeFileSystem.lock(third, 'exclusive')).toBe(true);
  });
});

describe('streams', () => {
  test('of a file are read up to the limit, and no further', () => {
    const path = fileWith(Buffer.alloc(200_000, 7));
    expect(nodeFileSystem.readStart(path, 150_000)).toHaveLength(150_000);
    expect(nodeFileSystem.readStart(path, 200_000)).toHaveLength(200_000);
    expect(nodeFileSystem.readStart(path, 1 << 30)).toHaveLength(200_000);
    expect(nodeFileSystem.readStart(fileWith(''), 100)).toHaveLength(0);
  });

  test('of /proc, whose files say that they are empty, are read whole', () => {
    expect(Buffer.from(nodeFileSystem.readStart('/proc/self/status', 1 << 20)).toString()).toContain('Threads:');
  });

  test('reading ahead fails in silence', () => {
    nodeFileSystem.readAhead(join(folder, 'absent'));
    nodeFileSystem.readAhead('/proc/locks');
  });
});

describe('a copy', () => {
  test('has the contents and the holes', () => {
    const source = fileWith('');
    truncateSync(source, 8 << 20);
    const descriptor = opened(source, 'modify');
    nodeFileSystem.write(descriptor, Buffer.from('data'), 5 << 20);
    const target = join(folder, 'copy');
    let copied = 0;
    nodeFileSystem.copy(descriptor, opened(target, 'create'), (bytes) => {
      copied += bytes;
    });
    expect(readFileSync(target).equals(readFileSync(source))).toBe(true);
    expect(statSync(target).blocks * 512).toBeLessThan(1 << 20);
    expect([0, 8 << 20]).toContain(copied);
  });

  test('has nothing left of what the file held before', () => {
    const source = fileWith('');
    truncateSync(source, 10_000);
    const target = fileWith('x'.repeat(20_000));
    nodeFileSystem.copy(opened(source, 'read'), opened(target, 'modify'));
    expect(readFileSync(target).equals(Buffer.alloc(10_000))).toBe(true);
  });
});

test('a list names every entry, and tells what it is when asked', () => {
  const place = join(folder, 'listed');
  mkdirSync(join(place, 'directory'), { recursive: true });
  writeFileSync(join(place, 'file'), '');
  symlinkSync('file', join(place, 'link'));
  expect(spawnSync('mkfifo', [join(place, 'pipe')]).status).toBe(0);
  const entries = Object.fromEntries(nodeFileSystem.list(place).map(({ name, kind }) => [name, kind]));
  expect(entries).toEqual({ directory: 'directory', file: 'file', link: 'other', pipe: 'other' });
});

test('a status has all names of a file', () => {
  const path = fileWith('abc');
  linkSync(path, `${path}-again`);
  expect(nodeFileSystem.status(opened(path, 'read'))).toMatchObject({ kind: 'file', size: 3n, links: 2n });
});

test('directories are made with those above them', () => {
  nodeFileSystem.makeDirectory(join(folder, 'a/b/c'));
  expect(nodeFileSystem.kindOf(join(folder, 'a/b/c'))).toBe('directory');
  nodeFileSystem.makeDirectory(join(folder, 'a/b/c'));
  expect(
    thrown(() => {
      nodeFileSystem.makeDirectory('/proc/self/x/y');
    }).kind,
  ).toBe('io');
});
