import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  PagesMemory,
  RECORDED_KERNELS,
  loadedSegments,
  recordedMemory,
  recordedStates,
  writeDump,
  type RecordedKernel,
  type RecordedState,
} from '../helpers/kernel-fixture.js';
import { kernelWriter, recorded } from '../helpers/kernel-writer.js';
import { scratchFolder } from '../helpers/run.js';
import { runHere } from '../helpers/run-here.js';

const folder = scratchFolder();

/** Offsets of struct resource. */
const [END, CHILD] = [8n, 56n];

interface Checked {
  readonly current: boolean | null;
  readonly compared: { readonly memory: boolean; readonly cpus: boolean };
  readonly missingMemory: readonly { readonly start: string }[] | null;
  readonly missingCpus: readonly number[] | null;
  readonly findings: readonly { readonly severity: string; readonly code: string; readonly message: string }[];
}

function stateOf(kernel: RecordedKernel, state: string): RecordedState {
  const said = recordedStates(kernel)[state];
  if (said === undefined) throw new Error(`${kernel} was not recorded ${state}`);
  return said;
}

/** The guest's memory in that state, as far as it was recorded: kernel and initrd of the image are zeros, so its digest does not match. */
function dumpOf(kernel: RecordedKernel, state: string, name = 'guest.elf'): string {
  return writeDump(join(folder, name), recordedMemory(kernel, stateOf(kernel, state)));
}

/** The same, in which something of the kernel's is another. */
function changed(kernel: RecordedKernel, state: string, change: (memory: ReturnType<typeof kernelWriter>) => void): string {
  const memory = recorded(kernel, state);
  change(kernelWriter(memory));
  return writeDump(
    join(folder, 'changed.elf'),
    new PagesMemory(memory.pages),
    loadedSegments(recordedMemory(kernel, stateOf(kernel, state))),
  );
}

/** An image that is all there, and that the kernel has forgotten. */
function unloaded(kernel: RecordedKernel, state: string): string {
  return changed(kernel, state, ({ symbol, write }) => {
    write(symbol('kexec_crash_image'), 0n);
  });
}

function checked(...args: string[]): Checked & { codes: string[] } {
  const { stdout, stderr } = runHere(['check', '--json', ...args]);
  expect(stderr).toBe('');
  const result = JSON.parse(stdout) as Checked;
  // The large segments were not recorded.
  return { ...result, codes: result.findings.map(({ code }) => code).filter((code) => code !== 'digest-mismatch') };
}

describe.each(RECORDED_KERNELS)('check of the memory of %s alone', (kernel) => {
  it.each(['loaded', 'loaded-again', 'loaded-after-restart'])('takes the image that is loaded, and finds it current: %s', (state) => {
    const result = checked(dumpOf(kernel, state));
    expect(result).toMatchObject({
      loaded: true,
      kernel: { release: expect.stringMatching(/^6\./) as string },
      current: true,
      compared: { memory: true, cpus: true },
      stateFrom: { memory: 'kernel', cpus: 'kernel' },
    });
    expect(result.codes.filter((code) => code !== 'elfcorehdr-reservation-short')).toEqual([]);
  });

  it.each(['nothing-loaded', 'unloaded', 'restarted'])('says that nothing is loaded, whatever earlier images memory holds: %s', (state) => {
    const dump = dumpOf(kernel, state);
    const checking = runHere(['check', dump, '--json']);
    expect(checking.status).toBe(1);
    expect(JSON.parse(checking.stdout)).toMatchObject({ loaded: false, current: false, sound: null, findings: [{ code: 'not-loaded' }] });
    for (const command of [['inspect'], ['sync'], ['plan', '--add-memory', '0x80000000+256M']]) {
      const result = runHere([...command, dump, '--json']);
      expect(result.status, command.join(' ')).toBe(3);
      expect(JSON.parse(result.stdout)).toMatchObject({
        error: { code: 'not-loaded', kind: 'input', file: dump, message: expect.stringContaining('no kdump image is loaded') as string },
      });
    }
  });
});

describe('options beside the kernel', () => {
  const kernel = 'x86_64-6.12-5-levels';

  it('win: an image that is not loaded any more is read by the log of its load, and the kernel has the last word on it', () => {
    const log = join(folder, 'kexec.log');
    writeFileSync(log, stateOf(kernel, 'loaded').kexecLog ?? '');
    expect(checked(dumpOf(kernel, 'loaded'), '--kexec-log', log)).toMatchObject({ current: true, codes: [] });
    const gone = checked(unloaded(kernel, 'loaded'), '--kexec-log', log);
    expect(gone.current).toBe(false);
    expect(gone.findings.find(({ code }) => code === 'image-not-loaded')).toMatchObject({ severity: 'error' });
  });

  it('that say another memory map are found out, and count', () => {
    const dump = dumpOf(kernel, 'loaded');
    const iomem = join(folder, 'iomem');
    writeFileSync(iomem, stateOf(kernel, 'loaded').iomem);
    expect(checked(dump, '--iomem', iomem)).toMatchObject({ current: true, codes: [] });
    writeFileSync(iomem, stateOf(kernel, 'memory-added').iomem);
    const result = checked(dump, '--iomem', iomem);
    expect(result.current).toBe(false);
    expect(result.codes).toEqual(expect.arrayContaining(['memory-missing', 'memory-map-differs']));
  });
});

describe('memory that was added to a guest', () => {
  it('is missed, from the memory alone', () => {
    expect(checked(dumpOf('x86_64-6.1-4-levels', 'memory-added'))).toMatchObject({
      current: false,
      missingMemory: [{ start: '0x100000000' }],
    });
  });

  it('is there where the kernel brought it in itself', () => {
    const result = checked(dumpOf('ppc64le-6.12-64k', 'memory-added'));
    expect(result).toMatchObject({ current: true, missingMemory: [], missingCpus: [] });
  });

  it('is brought in by sync, from the memory alone', () => {
    const dump = changed('ppc64le-6.12-64k', 'loaded-for-hotplug', ({ symbol, u64, write }) => {
      // The end of the first resource, System RAM, is that of the memory.
      write(u64(symbol('iomem_resource') + CHILD) + END, 0x8fff_ffffn);
    });
    expect(checked(dump)).toMatchObject({ current: false, missingMemory: [{ start: '0x80000000' }] });
    expect(runHere(['sync', dump])).toMatchObject({ status: 0, stderr: '' });
    expect(checked(dump)).toMatchObject({ current: true, missingMemory: [] });
    expect(runHere(['sync', dump]).stdout).toContain('nothing to do');
  });
});

describe('a write into the memory of a kernel', () => {
  const kernel = 'ppc64le-6.12-64k';
  const apply = (dump: string, ...more: string[]): ReturnType<typeof runHere> => {
    const log = join(folder, 'stale.log');
    writeFileSync(log, stateOf(kernel, 'loaded-for-hotplug').kexecLog ?? '');
    return runHere(['apply', dump, '--kexec-log', log, '--add-memory', '0x80000000+256M', '--json', ...more]);
  };

  it('is made for the image that is loaded', () => {
    expect(apply(dumpOf(kernel, 'loaded-for-hotplug')).status).toBe(0);
  });

  it('is refused for one that is not', () => {
    const dump = unloaded(kernel, 'loaded-for-hotplug');
    const before = readFileSync(dump);
    const result = apply(dump);
    expect(result.status).toBe(4);
    expect(JSON.parse(result.stdout)).toMatchObject({ error: { code: 'refused', forcible: true } });
    expect(readFileSync(dump).equals(before)).toBe(true);
  });

  it('is made for one that is not by force', () => {
    expect(apply(unloaded(kernel, 'loaded-for-hotplug'), '--force').status).toBe(0);
  });

  it('is refused while the kernel is at its image, by force too', () => {
    const dump = changed(kernel, 'loaded-for-hotplug', ({ symbol, u64, write }) => {
      write(symbol('__kexec_lock'), u64(symbol('__kexec_lock')) | 1n);
    });
    const before = readFileSync(dump);
    for (const more of [[], ['--force']]) {
      const result = apply(dump, ...more);
      expect(result.status).toBe(4);
      expect(JSON.parse(result.stdout)).toMatchObject({ error: { found: 'its kexec lock is taken', forcible: false } });
    }
    expect(readFileSync(dump).equals(before)).toBe(true);
  });
});

it('memory without a kernel that can be read leaves it open whether an image is loaded, and says why', () => {
  const kernel = 'ppc64le-6.12-64k';
  const said = stateOf(kernel, 'loaded');
  const dump = dumpOf(kernel, 'loaded', 'without.elf');
  // The note's name.
  const bytes = readFileSync(dump);
  bytes.set(Buffer.from('VMCOREINF0'), bytes.indexOf('VMCOREINFO\0\0OSRELEASE'));
  writeFileSync(dump, bytes);
  const log = join(folder, 'ppc64le.log');
  writeFileSync(log, said.kexecLog ?? '');
  const result = checked(dump, '--kexec-log', log);
  expect(result.current).toBeNull();
  expect(result.findings.find(({ code }) => code === 'loaded-unknown')).toMatchObject({
    severity: 'info',
    message: 'not known whether this image is loaded: no kernel found in this memory',
  });
});
