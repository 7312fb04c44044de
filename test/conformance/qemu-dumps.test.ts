import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { build, BuiltFile, partsOf, ramFile } from '../helpers/build-image.js';
import { dumpGuestMemory } from '../helpers/qemu.js';
import { has, scratchFolder } from '../helpers/run.js';
import { expectUsable } from './usable-dump.js';

// Dumps as QEMU itself writes them.

const folder = scratchFolder();

describe.each([
  ['ppc64', { ram: 0x10000000, note: 'EI_DATA of a machine at reset' }],
  ['x86_64', { ram: 0x4000000, note: '' }],
] as const)('dump-guest-memory of qemu-system-%s', (architecture, { ram: size }) => {
  const available = has(`qemu-system-${architecture}`);

  describe.skipIf(!available)('a guest with an image in its RAM', () => {
    const dump = join(folder, `${architecture}.dump`);
    // pseries: firmware lies at the bottom of the RAM.
    const built = build(partsOf(architecture, { crashKernelAt: 0x2000000n }));

    beforeAll(async () => {
      const ram = ramFile(join(folder, `${architecture}.ram`), [built], size);
      await dumpGuestMemory(architecture, { ram: ram.path, size, output: dump });
      execFileSync('chmod', ['600', dump]);
    }, 60_000);

    /** Where QEMU put the RAM. */
    const dumped = (): BuiltFile => {
      const head = readFileSync(dump).subarray(0, 0x1000);
      const little = head[5] === 1;
      const view = new DataView(head.buffer, head.byteOffset);
      const table = Number(view.getBigUint64(32, little));
      const loads = Array.from({ length: view.getUint16(56, little) }, (_, index) => table + 56 * index)
        .filter((at) => view.getUint32(at, little) === 1)
        .map((at) => ({
          offset: Number(view.getBigUint64(at + 8, little)),
          address: view.getBigUint64(at + 24, little),
          size: view.getBigUint64(at + 32, little),
        }));
      return new BuiltFile(built, dump, loads, []);
    };

    test('it has the oddities that QEMU gives it', () => {
      const head = readFileSync(dump).subarray(0, 64);
      const little = head[5] === 1;
      const view = new DataView(head.buffer, head.byteOffset);
      expect(view.getUint16(16, little)).toBe(4);
      expect((dumped().stored('elfcorehdr')[0]?.offset ?? 0) % 0x1000).not.toBe(0);
      if (architecture === 'ppc64') expect(view.getUint16(52, little)).toBe(8);
    });

    test('the image is found, inspected, checked, captured and patched', () => {
      expectUsable(dumped());
    });
  });
});
