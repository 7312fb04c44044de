import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { journalNameOf } from '../../src/journal/find-journal.js';
import { copyOf, fixtureImage } from '../helpers/fixtures.js';
import { has, PROGRAM, scratchFolder } from '../helpers/run.js';
import { runHere } from '../helpers/run-here.js';

const ADD = ['--add-memory', '0x80000000+256M', '--add-cpu', '2'];
const folder = scratchFolder();

const before = readFileSync(fixtureImage('ppc64le-64k'));
const after = ((): Buffer => {
  const image = copyOf('ppc64le-64k', folder);
  expect(runHere(['apply', image, ...ADD]).status).toBe(0);
  return readFileSync(image);
})();

/** `old` or `new`, at once for readers, and in the bytes after recovery. */
function stateOf(image: string): string {
  const { status, stdout } = runHere(['inspect', image, '--json']);
  expect(status).toBe(0);
  expect(runHere(['recover', image]).status).toBe(0);
  const bytes = readFileSync(image);
  const state = bytes.equals(after) ? 'new' : bytes.equals(before) ? 'old' : 'torn';
  expect((JSON.parse(stdout) as { fdt: { cpus: unknown[] } }).fdt.cpus).toHaveLength(state === 'new' ? 3 : 2);
  return state;
}

describe.skipIf(!has('strace'))('a signal in the middle of a patch', () => {
  test.each(['SIGINT', 'SIGTERM', 'SIGHUP'])('%s', (signal) => {
    for (const [call, number] of [
      ['pwrite64', 1],
      ['fsync', 2],
      ['pwrite64', 3],
      ['pwrite64', 6],
      ['fsync', 5],
      ['unlink', 1],
    ] as const) {
      const image = copyOf('ppc64le-64k', folder);
      const result = spawnSync(
        'strace',
        [
          '-f',
          '-o',
          '/dev/null',
          '-e',
          `inject=${call}:signal=${signal}:when=${number}`,
          process.execPath,
          PROGRAM,
          'apply',
          image,
          ...ADD,
        ],
        { stdio: 'ignore' },
      );
      const state = stateOf(image);
      const where = `${signal} at ${call} ${number}: exit ${result.status ?? ''} ${result.signal ?? ''}`;
      expect(['old', 'new'], where).toContain(state);
      // Exit code 0 is given for the new image alone.
      if (result.status === 0) expect(state, where).toBe('new');
    }
  });
});

describe('surroundings', () => {
  test('a pipe that nobody reads does not change what is done', () => {
    const image = copyOf('ppc64le-64k', folder);
    const result = spawnSync('sh', ['-c', '{ "$@"; echo $? >&3; } 3>&2 | true', 'sh', process.execPath, PROGRAM, 'apply', image, ...ADD], {
      encoding: 'utf8',
    });
    expect(result.stderr.trim()).toBe('0');
    expect(stateOf(image)).toBe('new');
  });

  test.skipIf(process.geteuid?.() !== 0 || spawnSync('setpriv', ['--version']).error !== undefined)(
    'a directory that may not be written: nothing is done',
    () => {
      const closed = join(folder, 'closed');
      mkdirSync(closed);
      const image = join(closed, 'image.kdump');
      copyFileSync(fixtureImage('ppc64le-64k'), image);
      chmodSync(image, 0o666);
      chmodSync(closed, 0o555);
      chmodSync(folder, 0o755);
      const result = spawnSync(
        'setpriv',
        ['--reuid=65534', '--regid=65534', '--clear-groups', process.execPath, PROGRAM, 'apply', image, ...ADD],
        { encoding: 'utf8' },
      );
      // Where the program itself cannot be read by others there is nothing to test.
      if (result.stderr.includes('Cannot find module') || result.status === 126 || result.status === 127) return;
      expect(result).toMatchObject({ status: 5 });
      expect(readFileSync(image).equals(before)).toBe(true);
    },
  );

  test.each([0, 4, 8, 12, 40, 200])('a limit of %d KiB on files', (limit) => {
    const image = copyOf('ppc64le-64k', folder);
    const journal = join(folder, journalNameOf(basename(image)));
    const result = spawnSync('bash', ['-c', `ulimit -f ${limit}; exec "$@"`, 'bash', process.execPath, PROGRAM, 'apply', image, ...ADD], {
      encoding: 'utf8',
    });
    // Where the image lies above the limit, the old bytes cannot be put back either: the message says so, and to `recover`.
    expect(existsSync(journal)).toBe(result.stderr.includes('run recover'));
    const state = stateOf(image);
    expect(['old', 'new']).toContain(state);
    expect(result.status === 0).toBe(state === 'new');
    expect(existsSync(journal)).toBe(false);
  });
});
