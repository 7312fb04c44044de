import { join } from 'node:path';
import { nodeFileSystem } from '../../src/file/node-file-system.js';
import { checkImage } from '../../src/check/check.js';
import { diffImages } from '../../src/check/diff.js';
import type { MachineState } from '../../src/machine/machine-state.js';
import { closeImage, openImage } from '../../src/image/open.js';
import { parseIomem } from '../../src/machine/iomem.js';
import { renderReport } from '../../src/report/page.js';
import type { ReportSubject } from '../../src/report/subject.js';
import { node, prop, cells } from '../fdt/build.js';
import { build, cpuNode, load, note, packedFile, partsOf, type Built, type Parts } from '../helpers/build-image.js';

interface More {
  state?: MachineState;
  before?: string;
  sync?: ReportSubject['sync'];
}

/** Does something with the image at `path` as a report sees it. */
export function withSubject<T>(path: string, use: (subject: ReportSubject) => T, more: More = {}): T {
  const state = more.state ?? {};
  const image = openImage(nodeFileSystem, path);
  const before = more.before === undefined ? undefined : openImage(nodeFileSystem, more.before);
  try {
    return use({
      image,
      check: checkImage(image, state),
      state,
      before: before === undefined ? undefined : { image: before, check: checkImage(before, state), difference: diffImages(before, image) },
      sync: more.sync ?? null,
      version: '1.2.3',
    });
  } finally {
    closeImage(image);
    if (before !== undefined) closeImage(before);
  }
}

export function reportOn(path: string, more: More = {}): string {
  return withSubject(path, renderReport, more);
}

/** Text of /proc/iomem with this System RAM, and the crashkernel range in the resource that holds it. */
export function iomemOf(ram: readonly (readonly [bigint, bigint])[], crashKernel?: { start: bigint; end: bigint }): MachineState['iomem'] {
  const line = (start: bigint, end: bigint, name: string): string => `${start.toString(16)}-${(end - 1n).toString(16)} : ${name}\n`;
  return parseIomem(
    ram
      .map(([start, end]) => {
        const inside = crashKernel !== undefined && start <= crashKernel.start && crashKernel.end <= end;
        return line(start, end, 'System RAM') + (inside ? `  ${line(crashKernel.start, crashKernel.end, 'Crash kernel')}` : '');
      })
      .join(''),
  );
}

export const HOSTILE = `</code></title><script>alert(1)</script><img src=x onerror="alert(2)">" ' & \u001b[31m \u009b`;
export const HOSTILE_NAME = `we"ird'<script>alert(3)<&.kdump`;

/** An image whose every text wants to be markup, under a file name that does too. */
export function hostileImage(folder: string): string {
  const parts = partsOf('ppc64le');
  parts.chosen = parts.chosen.map((each) => {
    const bootargs = Buffer.from(each.value).toString('latin1').replace(/\0$/, '');
    return each.prop === 'bootargs' ? prop('bootargs', `${bootargs} ${HOSTILE}`) : each;
  });
  parts.cpus = [
    node('PowerPC"><script>@0', prop('device_type', 'cpu'), prop('reg', cells(0)), prop('ibm,ppc-interrupt-server#s', cells(0, 1))),
    cpuNode('ppc64le', 2),
  ];
  const built = build(parts);
  const fdt = built.segments.find(({ role }) => role === 'fdt')?.bytes;
  // As long as the name that the builder gives it.
  const model = `<script>"'&\u0007\u009b</b>`.padEnd('small test machine'.length, '!');
  fdt?.write(model, fdt.indexOf('small test machine'), 'latin1');
  return packedFile(join(folder, HOSTILE_NAME), built).path;
}

export const MANY_RANGES = 8192;
export const MANY_CPUS = 2048;

/** Thousands of memory ranges, some terabytes apart, and of CPU nodes with eight threads. */
export function bigImage(folder: string, { ranges = MANY_RANGES, cpus = MANY_CPUS } = {}): { path: string; parts: Parts } {
  const parts = partsOf('ppc64le', { fileLoaded: true, hotplug: true });
  const { start } = parts.crashKernel;
  const elfcorehdr = { address: start + 0x400000n, memsz: 0x100000n };
  parts.places.set('elfcorehdr', elfcorehdr);
  parts.places.set('fdt', { address: start + 0x800000n, memsz: 0x400000n });
  parts.chosen = parts.chosen
    .filter((each) => each.prop !== 'linux,elfcorehdr' && each.prop !== 'bootargs')
    .concat(prop('linux,elfcorehdr', cells(0, Number(elfcorehdr.address), 0, 0x100000)), prop('bootargs', 'nr_cpus=1'));
  parts.reservations = parts.reservations.map(([address, size]) =>
    address === start + 0x30000n ? [elfcorehdr.address, 0x100000n] : [address, size],
  );
  const { linear } = parts.facts;
  parts.programHeaders = [
    ...Array.from({ length: 8 }, (_, index) => note(0x700000n + BigInt(index) * 0x1000n)),
    note(0x800000n, 0x1024n),
    load(0n, 0x10000n, linear, { offset: parts.places.get('backup')?.address ?? 0n }),
    load(0x10000n, start - 0x10000n, linear),
    ...Array.from({ length: ranges }, (_, index) => load(manyAt(index), 0x300000n, linear)),
  ];
  parts.cpus = Array.from({ length: cpus }, (_, index) =>
    node(
      `PowerPC,POWER9@${(index * 8).toString(16)}`,
      prop('device_type', 'cpu'),
      prop('reg', cells(index * 8)),
      prop('ibm,ppc-interrupt-server#s', cells(...Array.from({ length: 8 }, (_each, thread) => index * 8 + thread))),
    ),
  );
  return { path: packedFile(join(folder, 'big.kdump'), build(parts)).path, parts };
}

/** Where the ranges of the big image are: 3 MiB every 4 MiB, the second half of them 8 TiB further up. */
export function manyAt(index: number): bigint {
  return 0x10000000n + BigInt(index) * 0x400000n + (index < MANY_RANGES / 2 ? 0n : 8n << 40n);
}

export function pack(folder: string, name: string, built: Built): string {
  return packedFile(join(folder, name), built).path;
}
