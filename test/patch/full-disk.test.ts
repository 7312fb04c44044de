import { spawnSync } from 'node:child_process';
import {
  closeSync,
  copyFileSync,
  existsSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { EVERY_WAY } from '../helpers/every-way.js';
import { fixtureImage } from '../helpers/fixtures.js';
import { run, scratchFolder } from '../helpers/run.js';
import { runHere } from '../helpers/run-here.js';

const PAGE = 4096;
/** Pages from one size of the disk to the next. */
const STEP = EVERY_WAY ? 1 : 5;
const ADD = ['--add-memory', '0x80000000+256M', '--add-cpu', '2'];

const folder = scratchFolder();
const volume = join(folder, 'volume');
mkdirSync(volume);

function mounted(size: number): boolean {
  spawnSync('umount', [volume], { stdio: 'ignore' });
  return spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'none', volume], { stdio: 'ignore' }).status === 0;
}

function canMount(): boolean {
  const can = process.geteuid?.() === 0 && mounted(PAGE);
  if (!can) console.warn('no tmpfs can be mounted here: the tests of a full disk are skipped');
  return can;
}

afterAll(() => {
  spawnSync('umount', [volume], { stdio: 'ignore' });
});

describe.skipIf(!canMount())('a full disk', () => {
  const source = readFileSync(fixtureImage('ppc64le-64k'));
  const image = join(volume, 'image');

  test('leaves the old image or the new one, however little room there is', () => {
    const whole = join(folder, 'whole');
    copyFileSync(fixtureImage('ppc64le-64k'), whole);
    expect(runHere(['apply', whole, ...ADD]).status).toBe(0);
    const after = readFileSync(whole);
    const used = Math.ceil(source.length / PAGE) * PAGE;
    const outcomes = new Set<string>();
    // The journal takes about 52 KiB.
    const sizes = 30;
    for (let pages = 0; pages <= sizes; pages += STEP) {
      // A size of 0 would be no limit at all.
      expect(mounted(used + pages * PAGE)).toBe(true);
      writeFileSync(image, source);
      const { status, stderr } = runHere(['apply', image, ...ADD]);
      const now = readFileSync(image);
      const left = existsSync(join(volume, '.image.kdhp-journal'));
      expect([status === 0 ? 'new' : 'old', left], `${pages} pages: ${stderr}`).toEqual([
        now.equals(after) ? 'new' : now.equals(source) ? 'old' : 'torn',
        false,
      ]);
      expect([0, 5]).toContain(status);
      outcomes.add(String(status));
    }
    expect([...outcomes].sort()).toEqual(['0', '5']);
  });

  test('is found out before a hole is filled, and is no harm', () => {
    // A RAM file whose elfcorehdr and FDT are stored, and whose other pages are holes, which the patch has to fill.
    const packed = sections(source);
    const make = (): void => {
      rmSync(image, { force: true });
      const descriptor = openSync(image, 'wx+');
      ftruncateSync(descriptor, 0x40000000);
      for (const { address, bytes } of packed) {
        const end = bytes.findLastIndex((byte) => byte !== 0) + 1;
        for (let at = 0; at < end; at += PAGE) writeSync(descriptor, bytes, at, Math.min(PAGE, end - at), address + at);
      }
      closeSync(descriptor);
    };
    const state = (): string => {
      const descriptor = openSync(image, 'r');
      const parts = packed.map(({ address, bytes }) => {
        const now = Buffer.alloc(bytes.length);
        readSync(descriptor, now, 0, now.length, address);
        return now.toString('latin1');
      });
      closeSync(descriptor);
      return parts.join();
    };
    const options = ['--kexec-log', join(fixtureImage('ppc64le-64k'), '../../captures/ppc64le-6.12-64k/kexec-debug.log')];
    // So many ranges make the elfcorehdr longer than the one page that is stored of it.
    const changes = Array.from({ length: 160 }, (_, i) => ({
      action: 'add',
      memory: { start: `0x${(0x1_0000_0000 + i * 0x2000_0000).toString(16)}`, size: '0x10000000' },
    }));
    writeFileSync(join(folder, 'changes.json'), JSON.stringify({ changes }));
    const args = ['apply', image, ...options, '--changes', join(folder, 'changes.json')];
    expect(mounted(1 << 24)).toBe(true);
    make();
    const used = statSync(image).blocks * 512;
    const before = state();
    const { status, stderr } = runHere(args);
    expect({ status, stderr }).toMatchObject({ status: 0 });
    const after = state();
    expect(statSync(image).blocks * 512).toBeGreaterThan(used);
    const outcomes = new Map<string, number>();
    for (let pages = 0; pages <= 30; pages += STEP) {
      expect(mounted(used + pages * PAGE)).toBe(true);
      make();
      const result = runHere(args);
      const shown = runHere(['inspect', image, ...options]);
      expect(shown.status, `${pages} pages: ${shown.stderr}`).toBe(0);
      const now = state();
      const journal = existsSync(join(volume, '.image.kdhp-journal'));
      const outcome = `${result.status} ${now === after ? 'new' : now === before ? 'old' : 'torn'} ${journal ? 'journal' : ''}`;
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      expect(['0 new ', '5 old ', '5 old journal'], `${pages} pages: ${result.stderr}`).toContain(outcome);
      if (!journal) continue;
      // With room again, recovery works.
      expect(result.stderr).toContain('recover');
      expect(spawnSync('mount', ['-o', 'remount,size=64M', volume]).status).toBe(0);
      expect(runHere(['recover', image])).toMatchObject({ status: 0 });
      expect(state() === before).toBe(true);
    }
    console.log([...outcomes].map(([outcome, count]) => `${outcome.trim()}: ${count}`).join(', '));
  });

  test('standard output that is full does not change what is done', () => {
    expect(mounted(1 << 24)).toBe(true);
    writeFileSync(image, source);
    const descriptor = openSync('/dev/full', 'w');
    const program = spawnSync(process.execPath, [join(import.meta.dirname, '../../dist/kdump-hotplug.cjs'), 'apply', image, ...ADD], {
      stdio: ['ignore', descriptor, 'pipe'],
    });
    closeSync(descriptor);
    expect(program.status).toBe(5);
    expect(run(['apply', image, ...ADD]).stdout).toContain('nothing to do');
  });
});

function sections(file: Buffer): { address: number; bytes: Buffer }[] {
  const headers = Number(file.readBigUInt64LE(40));
  return Array.from({ length: file.readUInt16LE(60) }, (_, index) => headers + 64 * index)
    .filter((at) => file.readUInt32LE(at + 4) === 1 && file.readBigUInt64LE(at + 16) > 0n)
    .map((at) => {
      const offset = Number(file.readBigUInt64LE(at + 24));
      return {
        address: Number(file.readBigUInt64LE(at + 16)),
        bytes: file.subarray(offset, offset + Number(file.readBigUInt64LE(at + 32))),
      };
    });
}
