import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { copyOf, fixtureImage } from '../helpers/fixtures.js';
import { run, scratchFolder, type RunResult } from '../helpers/run.js';
import { start } from '../helpers/start.js';

const folder = scratchFolder();
const before = readFileSync(fixtureImage('ppc64le-64k'));
const BLOCKS = ['--memory-block-size', '256M'];

const udev = (action: string, device: string): string => {
  const subsystem = device.replace(/[0-9]+$/, '');
  return `ACTION=${action}\nDEVPATH=/devices/system/${subsystem}/${device}\nSUBSYSTEM=${subsystem}\n\n`;
};

interface Report {
  readonly line: number;
  readonly event: string;
  readonly outcome: string;
  readonly reason: string | null;
  readonly changes: object[];
  readonly write: number | null;
}

function watch(image: string, input: string, ...options: string[]): RunResult & { reports: Report[]; lines: string[] } {
  const result = run(['watch', image, ...BLOCKS, '--json', ...options], { input });
  const reports = result.stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Report);
  return { ...result, reports, lines: reports.map(({ line, outcome, event }) => `${line} ${outcome}: ${event}`) };
}

/** The image with these options of `apply`. */
function applied(...options: string[]): Buffer {
  const image = copyOf('ppc64le-64k', folder);
  expect(run(['apply', image, ...options]).status).toBe(0);
  return readFileSync(image);
}

describe('a burst of events', () => {
  test('of all kinds is one write, that of apply', () => {
    const image = copyOf('ppc64le-64k', folder);
    const input = `${udev('online', 'memory8')}${udev('online', 'memory9')}{"action":"add","cpu":{"id":2}}\nmemory add indexed-count 2 0x8000000c\ncpu add index 0x10000003\n`;
    const { status, reports, lines, stderr } = watch(image, input);
    expect(lines).toEqual([
      '1 applied: online memory8',
      '5 applied: online memory9',
      '9 applied: add CPU 2',
      '10 applied: memory add indexed-count 2 0x8000000c',
      '11 applied: cpu add index 0x10000003',
    ]);
    expect(status).toBe(0);
    expect(reports.every(({ write }) => write === 1)).toBe(true);
    expect(stderr).toContain('5 events in one write');
    expect(
      readFileSync(image).equals(applied('--add-memory', '0x80000000+512M', '--add-memory', '0xc0000000+512M', '--add-cpu', '2-3')),
    ).toBe(true);
    // The same again is no write at all.
    const again = watch(image, input);
    expect(again).toMatchObject({ status: 0 });
    expect(again.reports.every(({ outcome, write }) => outcome === 'nothing to do' && write === null)).toBe(true);
  });

  test('that says things twice, late, or against each other', () => {
    const image = copyOf('ppc64le-64k', folder);
    const { status, lines, reports } = watch(
      image,
      [
        udev('add', 'memory8'),
        udev('online', 'memory8'),
        udev('online', 'memory9'),
        udev('offline', 'memory9'),
        udev('offline', 'memory6'),
        udev('remove', 'memory6'),
        udev('remove', 'memory12'),
        udev('change', 'memory8'),
        udev('online', 'memory2'),
        udev('offline', 'cpu1'),
        udev('remove', 'cpu1'),
        udev('online', 'cpu1'),
      ].join(''),
    );
    expect(lines).toEqual([
      '1 applied: add memory8',
      '5 nothing to do: online memory8',
      '9 nothing to do: online memory9',
      '13 nothing to do: offline memory9',
      '17 applied: offline memory6',
      '21 nothing to do: remove memory6',
      '25 nothing to do: remove memory12',
      '29 ignored: change memory8',
      '33 nothing to do: online memory2',
      '37 nothing to do: offline cpu1',
      '41 nothing to do: remove cpu1',
      '45 nothing to do: online cpu1',
    ]);
    expect(reports.map(({ reason }) => reason)).toMatchObject([
      null,
      'line 1 says the same',
      'overtaken by line 13',
      'it is not listed',
      null,
      'line 17 says the same',
      'it is not listed',
      'neither a memory block nor a CPU comes or goes',
      'it is listed already, but for what the dump leaves out',
      'a CPU that is offline keeps its node, as the kernel leaves it',
      'its node stays, as the kernel leaves it; --prune-cpus deletes it',
      'it is in the FDT already',
    ]);
    expect(status).toBe(0);
    expect(readFileSync(image).equals(applied('--add-memory', '0x80000000+256M', '--remove-memory', '0x60000000+256M'))).toBe(true);
  });

  test('is made but for what cannot be', () => {
    const image = copyOf('ppc64le-64k', folder);
    const add = (start: string, size = '256M'): string => `{"action":"add","memory":{"start":"${start}","size":"${size}"}}\n`;
    const { status, lines } = watch(
      image,
      `${add('0x80000000')}${add('0x78000000', '512M')}nonsense\n${add('0x30000000')}memory add count 4\n${add('0xa0000000')}cpu add index 0x10000044\n`,
    );
    expect(lines).toEqual([
      '1 applied: add memory 0x80000000-0x8fffffff (256 MiB)',
      '2 refused: add memory 0x78000000-0x97ffffff (512 MiB)',
      '3 malformed: nonsense',
      '4 refused: add memory 0x30000000-0x3fffffff (256 MiB)',
      '5 refused: memory add count 4',
      '6 applied: add memory 0xa0000000-0xafffffff (256 MiB)',
      '7 refused: cpu add index 0x10000044',
    ]);
    expect(status).toBe(4);
    expect(readFileSync(image).equals(applied('--add-memory', '0x80000000+256M', '--add-memory', '0xa0000000+256M'))).toBe(true);
  });

  test('blocks that touch are one range, also where ranges stay apart', () => {
    const many = Array.from({ length: 64 }, (_, index) => udev('online', `memory${8 + ((index * 7) % 64)}`)).join('');
    const image = copyOf('ppc64le-64k', folder);
    expect(watch(image, many).status).toBe(0);
    expect(readFileSync(image).equals(applied('--add-memory', '0x80000000+16G'))).toBe(true);
  });
});

describe('CPUs of udev events', () => {
  test('are looked up in the live tree, whatever their number', () => {
    const tree = join(folder, 'tree');
    mkdirSync(tree);
    expect(run(['extract', fixtureImage('ppc64le-64k'), 'fdt', '-d', folder]).status).toBe(0);
    const patched = copyOf('ppc64le-64k', folder);
    expect(run(['apply', patched, '--add-cpu', '5']).status).toBe(0);
    expect(run(['extract', patched, 'fdt', '-d', tree]).status).toBe(0);
    const image = copyOf('ppc64le-64k', folder);
    // Linux gives core 5 the first number that is free.
    const { reports, status } = watch(image, udev('online', 'cpu2'), '--device-tree', join(tree, 'fdt.dtb'));
    expect(reports).toMatchObject([{ outcome: 'applied', changes: [{ action: 'add', cpu: { id: 5 } }] }]);
    expect(status).toBe(0);
    const pruned = watch(image, udev('remove', 'cpu2'), '--device-tree', join(folder, 'fdt.dtb'), '--prune-cpus');
    expect(pruned.reports).toMatchObject([{ outcome: 'applied', changes: [{ action: 'remove', cpu: { id: 5 } }] }]);
    expect(run(['diff', fixtureImage('ppc64le-64k'), image])).toMatchObject({ status: 0 });
  });

  test('without it a new one is taken by its number, and said so, unless numbers have gaps', () => {
    const image = copyOf('ppc64le-64k', folder);
    const first = watch(image, udev('online', 'cpu2'));
    expect(first.reports).toMatchObject([{ outcome: 'applied', changes: [{ cpu: { id: 2 } }] }]);
    expect(first.reports[0]?.reason).toContain('--device-tree makes sure');
    expect(run(['apply', image, '--add-cpu', '5']).status).toBe(0);
    const second = watch(image, udev('online', 'cpu4'));
    expect(second.lines).toEqual(['1 refused: online cpu4']);
    expect(second.status).toBe(4);
  });
});

describe('memory blocks', () => {
  test('whose size is not known are refused', () => {
    const image = copyOf('ppc64le-64k', folder);
    const { status, stdout } = run(['watch', image], { input: udev('online', 'memory8') });
    expect(status).toBe(4);
    expect(stdout).toContain('give --memory-block-size');
  });

  test('have the size and the state of --memory-blocks', () => {
    const blocks = join(folder, 'memory');
    for (const [name, state] of [
      ['memory8', 'online'],
      ['memory9', 'offline'],
    ] as const) {
      mkdirSync(join(blocks, name), { recursive: true });
      writeFileSync(join(blocks, name, 'state'), `${state}\n`);
    }
    writeFileSync(join(blocks, 'block_size_bytes'), '10000000\n');
    const image = copyOf('ppc64le-64k', folder);
    const { status, stdout } = run(['watch', image, '--memory-blocks', blocks], { input: udev('add', 'memory8') + udev('add', 'memory9') });
    expect(status).toBe(0);
    expect(stdout.split('\n').map((line) => line.slice(0, 13).trim())).toEqual(['applied', 'nothing to do', '']);
    expect(readFileSync(image).equals(applied('--add-memory', '0x80000000+256M'))).toBe(true);
  });

  test.each(['0', '3M', '256X'])('of %s bytes there are none', (size) => {
    expect(run(['watch', fixtureImage('ppc64le-64k'), '--memory-block-size', size])).toMatchObject({ status: 2 });
  });
});

describe('what arrives over time', () => {
  test('in pieces, with CRLF: each burst is written when it falls silent', async () => {
    const image = copyOf('ppc64le-64k', folder);
    const program = start(['watch', image, ...BLOCKS]);
    await program.says('watching');
    const text = `UDEV  [1.5] online   /devices/system/memory/memory8 (memory)\n${udev('online', 'memory8')}`.replaceAll('\n', '\r\n');
    for (let at = 0; at < text.length; at += 40) {
      program.process.stdin.write(text.slice(at, at + 40));
      await sleep(10);
    }
    await program.says('applied');
    expect(readFileSync(image).equals(applied('--add-memory', '0x80000000+256M'))).toBe(true);
    program.process.stdin.write('{"action":"add","cpu":{"id":2}}\n');
    await program.says('CPU 2');
    program.process.stdin.end();
    const { status, stderr } = await program.ended;
    expect(status).toBe(0);
    expect(stderr.match(/in one write/g)).toHaveLength(2);
  });

  test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('%s: what has come is applied first', async (signal) => {
    const image = copyOf('ppc64le-64k', folder);
    const program = start(['watch', image, ...BLOCKS, '--settle', '60000']);
    await program.says('watching');
    // The blank line behind the event is still to come, and the line after that is cut.
    program.process.stdin.write(`${udev('online', 'memory8')}${udev('online', 'memory9').trim()}\nmemory add inde`);
    await sleep(300);
    expect(readFileSync(image).equals(before)).toBe(true);
    program.process.kill(signal);
    const result = await program.ended;
    expect(result).toMatchObject({ status: 2, signal: null });
    expect(result.stdout).toContain('the input ends in the middle of a line');
    expect(readFileSync(image).equals(applied('--add-memory', '0x80000000+512M'))).toBe(true);
  });

  test('a stream that never falls silent is written all the same', async () => {
    const image = copyOf('ppc64le-64k', folder);
    const program = start(['watch', image, ...BLOCKS, '--settle', '500']);
    await program.says('watching');
    const timer = setInterval(() => program.process.stdin.write(udev('change', 'memory8')), 100);
    program.process.stdin.write(udev('online', 'memory8'));
    await program.says('applied');
    clearInterval(timer);
    program.process.stdin.end();
    expect(await program.ended).toMatchObject({ status: 0 });
  });

  test('an image that somebody else is patching is waited for', async () => {
    const image = copyOf('ppc64le-64k', folder);
    const program = start(['watch', image, ...BLOCKS]);
    await program.says('watching');
    const { spawn } = await import('node:child_process');
    const holder = spawn('flock', [image, 'sleep', '1']);
    await sleep(300);
    program.process.stdin.end(udev('online', 'memory8'));
    expect(await program.ended).toMatchObject({ status: 0 });
    holder.kill();
    expect(readFileSync(image).equals(applied('--add-memory', '0x80000000+256M'))).toBe(true);
  });

  test('where the image stays busy, each event says so by a code; what needs no image is told as ever', async () => {
    const image = copyOf('ppc64le-64k', folder);
    const program = start(['watch', image, ...BLOCKS, '--json']);
    await program.says('watching');
    const { spawn } = await import('node:child_process');
    const holder = spawn('flock', [image, 'sleep', '60']);
    await sleep(300);
    program.process.stdin.end(`${udev('online', 'memory8')}nonsense\n${udev('change', 'memory8')}`);
    const { status, stdout } = await program.ended;
    holder.kill();
    const told = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(told.map(({ outcome, code, kind }) => [outcome, code, kind])).toEqual([
      ['failed', 'busy', 'io'],
      ['malformed', 'usage', 'usage'],
      ['ignored', null, null],
    ]);
    expect(told.every(({ reason }) => typeof reason === 'string')).toBe(true);
    expect(status).toBe(5);
  });

  test('what comes while it waits for the image is taken in: a block that goes again is never written', async () => {
    const image = copyOf('ppc64le-64k', folder);
    const before = readFileSync(image);
    const program = start(['watch', image, ...BLOCKS]);
    await program.says('watching');
    const { spawn } = await import('node:child_process');
    const holder = spawn('flock', [image, 'sleep', '2']);
    await sleep(300);
    program.process.stdin.write(udev('online', 'memory8'));
    await sleep(300);
    program.process.stdin.end(udev('offline', 'memory8'));
    const { status, stdout, stderr } = await program.ended;
    holder.kill();
    expect({ status, lines: stdout.split('\n').length - 1 }).toEqual({ status: 0, lines: 2 });
    expect(stderr).not.toContain('in one write');
    expect(readFileSync(image).equals(before)).toBe(true);
  });
});

describe('input of any kind', () => {
  test('without line ends takes no memory', async () => {
    const program = start(['watch', fixtureImage('ppc64le-64k'), '-n', '-q']);
    const piece = Buffer.alloc(1 << 20, 0x61);
    for (let i = 0; i < 200; i += 1) {
      if (!program.process.stdin.write(piece)) await new Promise((resolve) => program.process.stdin.once('drain', resolve));
    }
    const resident = Number(/VmHWM:\s+([0-9]+)/.exec(readFileSync(`/proc/${program.process.pid ?? 0}/status`, 'utf8'))?.[1]);
    program.process.stdin.end('\n');
    const { status, stdout } = await program.ended;
    expect(status).toBe(2);
    expect(stdout).toContain('line is too long');
    expect(resident).toBeLessThan(200_000);
  });

  test('nothing, and nothing but what is no event', () => {
    expect(run(['watch', fixtureImage('ppc64le-64k')], { input: '' })).toMatchObject({ status: 0, stdout: '' });
    expect(run(['watch', fixtureImage('ppc64le-64k'), '-q'], { input: '\0\u0001\u001b[31m\n' })).toMatchObject({ status: 2, stderr: '' });
  });

  test('-n writes nothing', () => {
    const image = copyOf('ppc64le-64k', folder);
    const { lines } = watch(image, udev('online', 'memory8'), '-n');
    expect(lines).toEqual(['1 planned: online memory8']);
    expect(readFileSync(image).equals(before)).toBe(true);
  });

  test('an image that is none is found out before the first event', () => {
    const text = join(folder, 'text');
    writeFileSync(text, 'nothing');
    expect(run(['watch', text], { input: '' })).toMatchObject({ status: 3, stdout: '' });
    expect(run(['watch', join(folder, 'missing')], { input: '' })).toMatchObject({ status: 5 });
  });
});

test('an image that goes bad meanwhile is reported for each event', async () => {
  const image = copyOf('ppc64le-64k', folder);
  const program = start(['watch', image, ...BLOCKS]);
  await program.says('watching');
  cpSync(join(folder, 'text'), image);
  program.process.stdin.end(udev('online', 'memory8'));
  const { status, stdout } = await program.ended;
  expect(status).toBe(4);
  expect(stdout).toMatch(/^refused +line 1 +online memory8: /);
});
