import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { cells, prop } from '../fdt/build.js';
import { build, partsOf, ramFile } from '../helpers/build-image.js';
import { Capture, type Guest } from '../helpers/capture-image.js';
import { runHere as run } from '../helpers/run-here.js';
import { scratchFolder } from '../helpers/run.js';

// Memory that is not where the file is taken to have it: nothing is accepted at wrong addresses, and the command that reads it is said.

const folder = scratchFolder();
const RAM_SIZE = 2 ** 31;

/** The segments of a capture in a sparse file, `front` bytes behind where they belong; `change` alters the contents. */
function shiftedFile(guest: Guest, front: number, change: (role: string, bytes: Buffer) => Buffer = (_, bytes) => bytes): string {
  const capture = new Capture(guest);
  const path = join(folder, `${guest}-${front}-${change.name}.ram`);
  const descriptor = openSync(path, 'w');
  ftruncateSync(descriptor, RAM_SIZE + Math.max(front, 0));
  for (const { role, mem } of capture.segments) {
    const bytes = change(role, Buffer.from(capture.contents(role)));
    writeSync(descriptor, bytes, 0, bytes.length, Number(mem - capture.base) + front);
  }
  closeSync(descriptor);
  return path;
}

/** The options that the refusal says, once it has said by how much addresses are off. */
function optionsSaid(path: string, by: string): string[] {
  const said: string[][] = ['inspect', 'check'].map((command) => {
    const result = run([command, path]);
    expect(result).toMatchObject({ status: 3, stdout: '' });
    expect(result.stderr).toMatch(/^kdump-hotplug: [^\n]+\n$/);
    const [, off, options = ''] =
      /kdump image found, but addresses are off by (0x[0-9a-f]+): .*; use (--[^\n]*)$/m.exec(result.stderr) ?? [];
    expect(off, result.stderr).toBe(by);
    return options.split(' ');
  });
  expect(said[0]).toEqual(said[1]);
  return said[0] ?? [];
}

function captured(path: string, options: readonly string[]): Buffer {
  const out = `${path}.kdump`;
  expect(run(['capture', path, ...options, '-o', out, '--overwrite'])).toMatchObject({ status: 0, stderr: '' });
  return readFileSync(out);
}

const atItsPlace = (guest: Guest): Buffer => {
  const path = shiftedFile(guest, 0);
  return captured(path, new Capture(guest).base === 0n ? [] : ['--base', `0x${new Capture(guest).base.toString(16)}`]);
};

/** As in files of which only zeros and random bytes are known. */
function withoutParameters(role: string, bytes: Buffer): Buffer {
  return role === 'boot-params' ? Buffer.alloc(bytes.length, 0x6b) : bytes;
}

describe.each(['x86_64-6.12-file-load', 'x86_64-6.12-kexec-load', 'ppc64le-6.12-64k'] as const)('%s', (guest) => {
  test.each([0x100000, 0x3000, 0x40000000])('%i bytes in front: refused, and the options that are said read it', (front) => {
    const path = shiftedFile(guest, front);
    const options = optionsSaid(path, `0x${front.toString(16)}`);
    expect(options.slice(0, 3)).toEqual(['--format', 'raw', '--map']);
    expect(captured(path, options).equals(atItsPlace(guest))).toBe(true);
  });
});

test.each(['x86_64-6.12-file-load', 'x86_64-6.12-kexec-load'] as const)(
  '%s without boot parameters to go by, 1 MiB in front as in a mapped-ram file of QEMU',
  (guest) => {
    const path = shiftedFile(guest, 0x100000, withoutParameters);
    expect(optionsSaid(path, '0x100000')).toEqual(['--format', 'raw', '--map', expect.stringMatching(/^0x100000:0x0:0x7/)]);
  },
);

test('an elfcorehdr alone is no image of x86_64, sound or not', () => {
  const path = shiftedFile('x86_64-6.12-file-load', 0, function alone(role, bytes) {
    return role === 'elfcorehdr' ? bytes : Buffer.alloc(bytes.length);
  });
  const result = run(['check', path]);
  expect(result).toMatchObject({ status: 3, stdout: '' });
  expect(result.stderr).toMatch(/no kdump image found: .*that no boot parameters name, without a purgatory in 0x6f000000-0x7effffff/);
});

test('boot parameters that name it make an image of it, which is not sound without its purgatory', () => {
  const path = shiftedFile('x86_64-6.12-file-load', 0, function unpurged(role, bytes) {
    return role === 'purgatory' ? Buffer.alloc(bytes.length) : bytes;
  });
  const result = run(['check', path, '--json']);
  expect(result).toMatchObject({ status: 1, stderr: '' });
  const { sound, findings } = JSON.parse(result.stdout) as { sound: boolean; findings: { code: string; severity: string }[] };
  expect(sound).toBe(false);
  expect(findings).toContainEqual(expect.objectContaining({ code: 'purgatory-missing', severity: 'error' }));
});

test.each([
  ['aarch64-6.12', '0x40000000'],
  ['riscv64-6.12', '0x80000000'],
] as const)('%s: RAM that does not begin at 0 is read with the --base that is said', (guest, base) => {
  const path = shiftedFile(guest, 0);
  expect(optionsSaid(path, base)).toEqual(['--base', base]);
  expect(run(['inspect', path, '--base', base])).toMatchObject({ status: 0 });
});

test('vmcoreinfo that is elsewhere than the elfcorehdr says tells, too', () => {
  const guest = 'x86_64-6.12-kexec-load';
  const place = (
    JSON.parse(run(['inspect', shiftedFile(guest, 0), '--json']).stdout) as { elfcorehdr: { vmcoreinfo: { address: string } } }
  ).elfcorehdr.vmcoreinfo.address;
  const put = (path: string, front: number): string => {
    const descriptor = openSync(path, 'r+');
    const note = Buffer.alloc(24);
    note.writeUInt32LE(11);
    note.write('VMCOREINFO', 12, 'latin1');
    writeSync(descriptor, note, 0, note.length, Number(place) + front);
    closeSync(descriptor);
    return path;
  };
  expect(run(['inspect', put(shiftedFile(guest, 0, withoutParameters), 0)])).toMatchObject({ status: 0 });
  optionsSaid(put(shiftedFile(guest, 0x5000, withoutParameters), 0x5000), '0x5000');
});

test('--base beside --map is refused', () => {
  const path = shiftedFile('x86_64-6.12-file-load', 0);
  const result = run(['inspect', path, '--base', '0x1000', '--map', '0:0:1G']);
  expect(result).toMatchObject({ status: 2, stdout: '' });
  expect(result.stderr).toMatch(/--base and --map both say/);
});

test('a candidate whose segments overlap is rejected with that reason; another one is taken', () => {
  const parts = partsOf('aarch64');
  const overlapping = partsOf('aarch64', { crashKernelAt: 0x3000000n });
  const { address } = overlapping.places.get('elfcorehdr') ?? { address: 0n };
  overlapping.chosen = [
    ...overlapping.chosen.filter(({ prop: name }) => !name.startsWith('linux,initrd')),
    prop('linux,initrd-start', cells(0, Number(address) - 0x1000)),
    prop('linux,initrd-end', cells(0, Number(address) + 0x3000)),
  ];
  const name = (files: string): string => join(folder, files);
  const reason = run(['inspect', ramFile(name('overlapping.ram'), [build(overlapping)]).path, '--base', '0x40000000']);
  expect(reason).toMatchObject({ status: 3, stdout: '' });
  expect(reason.stderr).toMatch(/no kdump image found: .*device tree at 0x[0-9a-f]+: two segments overlap \(/);
  const both = ramFile(name('both.ram'), [build(parts), build(overlapping)]);
  expect(run(['inspect', both.path, '--base', '0x40000000'])).toMatchObject({ status: 0, stderr: '' });
});
