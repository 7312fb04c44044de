import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { parseKexecLog } from '../../src/kexec/kexec-log.js';
import type { KernelNode } from '../../src/kernel/live-tree.js';
import { formatIomem } from '../../src/kernel/resources.js';
import { findRunningKernel } from '../../src/kernel/running-kernel.js';
import { KERNEL_FIXTURES, RECORDED_KERNELS, recordedMemory, recordedStates, type RecordedKernel } from '../helpers/kernel-fixture.js';

const cases = RECORDED_KERNELS.flatMap((kernel) =>
  Object.entries(recordedStates(kernel)).map(([state, said]) => ({ kernel, state, said })),
);

function numbers(cpus: string, name: string): number[] {
  const list = new RegExp(`^${name} (.*)$`, 'm').exec(cpus)?.[1] ?? '';
  return list.split(',').flatMap((part) => {
    const [first = 0, last = first] = part.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}

describe.each(cases)('what $kernel, $state, says in its own memory', ({ kernel, state, said }) => {
  const running = findRunningKernel(recordedMemory(kernel, said));

  it('is of the kernel that uname names', () => {
    expect(running.info.release).toBe(said.release);
    expect(running.info.buildId).toMatch(/^[0-9a-f]{40}$/);
    expect(running.info.address).toBe(BigInt(said.note));
    expect(running.architecture).toBe(kernel.split('-')[0]);
  });

  it('are the resources of /proc/iomem, line by line', () => {
    expect(formatIomem(running.resources)).toBe(said.iomem);
  });

  it('is whether an image is loaded', () => {
    expect(running.loadedImage !== null).toBe(said.isLoaded);
    expect(running.isKexecLocked).toBe(false);
  });

  if (said.kexecLog !== null)
    it('are the segments that the load printed', () => {
      const { segments, entry } = parseKexecLog(said.kexecLog ?? '');
      const loaded = running.loadedImage;
      const ascending = [...(loaded?.segments ?? [])].sort((a, b) => (a.mem < b.mem ? -1 : 1));
      expect(ascending).toEqual(segments);
      if (entry !== undefined) expect(loaded?.entry).toBe(entry);
      expect(loaded?.isFileLoaded).toBe(said.kexecLog?.includes('kexec_file') === true);
    });

  it('are the CPUs of /sys/devices/system/cpu and their crash notes', () => {
    const { possible, present, online, crashNotes } = running.cpus;
    expect([possible, present, online]).toEqual([
      numbers(said.cpus, 'possible'),
      numbers(said.cpus, 'present'),
      numbers(said.cpus, 'online'),
    ]);
    const notes = [...said.cpus.matchAll(/^cpu(\d+) ([0-9a-f]+) (\d+)$/gm)];
    expect(notes.length).toBeGreaterThanOrEqual(present.length);
    for (const [, cpu, address, size] of notes) {
      expect(crashNotes?.get(Number(cpu))).toEqual({ address: BigInt(`0x${address ?? ''}`), size: BigInt(size ?? '') });
    }
  });

  if (kernel.startsWith('ppc64le'))
    it('is the live device tree of /proc/device-tree', () => {
      const trees = JSON.parse(gunzipSync(readFileSync(join(KERNEL_FIXTURES, kernel, 'trees.json.gz'))).toString()) as Record<
        string,
        string
      >;
      const root = running.deviceTree(() => true);
      const lines: string[] = [];
      const list = (node: KernelNode, path: string): void => {
        for (const [name, value] of node.properties) lines.push(`${path}/${name} ${Buffer.from(value).toString('base64')}`);
        for (const child of node.children) list(child, `${path}/${child.name}`);
      };
      if (root !== null) list(root, '.');
      expect(lines.sort()).toEqual((trees[state] ?? '').trimEnd().split('\n').sort());
    });
});

describe('the recorded guests', () => {
  it('are in every state of a life', () => {
    for (const kernel of RECORDED_KERNELS) {
      const states = recordedStates(kernel);
      expect(Object.entries(states).map(([state, { isLoaded }]) => [state, isLoaded])).toEqual(
        expect.arrayContaining([
          ['nothing-loaded', false],
          ['loaded', true],
          ['loaded-again', true],
          ['unloaded', false],
          ['restarted', false],
          ['loaded-after-restart', true],
        ]),
      );
    }
  });

  it('had kernels at other places after the restart, where KASLR moves them', () => {
    const places = (kernel: RecordedKernel): (string | undefined)[] => {
      const states = recordedStates(kernel);
      return ['loaded', 'restarted'].map((state) => /^ *([0-9a-f]+)-[0-9a-f]+ : Kernel code$/m.exec(states[state]?.iomem ?? '')?.[1]);
    };
    const [before, after] = places('x86_64-6.12-5-levels');
    expect(before).toBeDefined();
    expect(after).not.toBe(before);
  });
});
