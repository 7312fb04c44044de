import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { build, packedFile, partsOf } from '../helpers/build-image.js';
import { runHere as run } from '../helpers/run-here.js';
import { scratchFolder } from '../helpers/run.js';

// The machine that the tests run on, which has no kdump image loaded: a clear answer, whatever it lets one see.

const folder = scratchFolder();
const IOMEM = '/proc/iomem';
const KCORE = '/proc/kcore';

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return undefined;
  }
}

const iomem = textOf(IOMEM) ?? '';
const isPrivileged = /[1-9a-f]/.test(iomem.replace(/ : .*$/gm, ''));
const hasCrashKernel = iomem.includes('Crash kernel');
const nobody = 65534;
/** Without privilege the kernel shows zeros for all addresses. */
const zeros = process.getuid?.() === 0 ? spawnSync('cat', [IOMEM], { uid: nobody, gid: nobody, encoding: 'latin1' }).stdout : iomem;

function skipped(condition: boolean, reason: string): boolean {
  if (condition) console.warn(`${reason}: tests on this machine's own memory are skipped`);
  return condition;
}

function canRead(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

const one = (stderr: string): void => {
  expect(stderr).toMatch(/^kdump-hotplug: [^\n]+\n$/);
};

describe.skipIf(skipped(iomem === '', `no ${IOMEM}`) || skipped(hasCrashKernel, 'a crashkernel range is reserved'))('/proc/iomem', () => {
  test.skipIf(!isPrivileged)('an image is compared with it', () => {
    const image = packedFile(join(folder, 'image.kdump'), build(partsOf('x86_64')));
    const result = run(['check', image.path, '--iomem', IOMEM, '--json']);
    expect(result).toMatchObject({ status: 1, stderr: '' });
    const { missingMemory, current } = JSON.parse(result.stdout) as { current: boolean; missingMemory: { start: string; size: number }[] };
    expect(current).toBe(false);
    const ram = [...iomem.matchAll(/^([0-9a-f]+)-([0-9a-f]+) : System RAM/gm)].map(([, first = '', last = '']) => [
      BigInt(`0x${first}`),
      BigInt(`0x${last}`),
    ]);
    expect(missingMemory.length).toBeGreaterThan(0);
    for (const { start } of missingMemory) {
      expect(
        ram.some(([first = 0n, last = 0n]) => first <= BigInt(start) && BigInt(start) <= last),
        start,
      ).toBe(true);
    }
  });

  test.skipIf(!isPrivileged)('taken as the place of an image, it says that none is loaded', () => {
    const memory = join(folder, 'memory.ram');
    writeFileSync(memory, Buffer.alloc(0x10000));
    const output = join(folder, 'captured.kdump');
    // A file may be the memory of any machine.
    for (const [source, answer] of [
      [memory, /no kdump image found/],
      [KCORE, /no kdump image is loaded on this machine.*no "Crash kernel" range.*crashkernel=/],
    ] as const) {
      const result = run(['capture', source, '--iomem', IOMEM, '-o', output]);
      expect(result).toMatchObject({ status: 3, stdout: '' });
      one(result.stderr);
      expect(result.stderr).toMatch(answer);
      expect(existsSync(output)).toBe(false);
    }
  });

  test.skipIf(!isPrivileged)('/proc/kcore: none is loaded, by every command that reads', () => {
    for (const command of [
      ['inspect', KCORE],
      ['check', KCORE],
      ['plan', KCORE, '--add-memory', '0x4000000000+1G'],
      ['capture', KCORE, '-o', join(folder, 'x')],
    ]) {
      const result = run(command);
      expect(result).toMatchObject({ status: 3, stdout: '' });
      one(result.stderr);
      expect(result.stderr).toContain('no kdump image is loaded on this machine');
    }
    expect(existsSync(join(folder, 'x'))).toBe(false);
  });

  test.skipIf(skipped(/[1-9a-f]/.test(zeros.replace(/ : .*$/gm, '')) || zeros === '', 'everybody sees the addresses of /proc/iomem'))(
    'without privilege it has zeros, which are not taken for a machine without memory',
    () => {
      const copy = join(folder, 'zeros');
      writeFileSync(copy, zeros);
      const image = packedFile(join(folder, 'zeros.kdump'), build(partsOf('x86_64')));
      for (const command of [
        ['check', image.path],
        ['sync', image.path],
        ['capture', image.path, '-o', join(folder, 'y')],
      ]) {
        const result = run([...command, '--iomem', copy]);
        expect(result).toMatchObject({ status: 3, stdout: '' });
        one(result.stderr);
        expect(result.stderr).toMatch(/zero.*as the kernel shows them without privilege.*read \/proc\/iomem as root/);
      }
    },
  );
});

describe('/proc/kcore', () => {
  test('is never patched', () => {
    for (const command of ['apply', 'plan']) {
      const result = run([command, KCORE, '--crash-kernel', '0x2000000-0x2ffffff', '--add-memory', '0x4000000000+1G']);
      expect(result.stdout).toBe('');
      one(result.stderr);
      if (command === 'apply') {
        expect(result.status).toBe(4);
        expect(result.stderr).toMatch(/can only be read.*capture/);
      }
    }
  });

  test.skipIf(skipped(!canRead(KCORE), `no ${KCORE} to read`))('a range of it without an image is none', () => {
    const result = run(['inspect', KCORE, '--crash-kernel', '0x2000000-0x20fffff']);
    expect(result).toMatchObject({ status: 3, stdout: '' });
    one(result.stderr);
    expect(result.stderr).toContain('no kdump image found');
  });
});
