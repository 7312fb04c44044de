import type { FindingCode } from '../codes.js';

/** What to do about a finding; what is in backticks is code. */
export interface Guidance {
  /** What docs/findings.md says of its cause that the message of the finding does not. */
  readonly cause?: string;
  readonly remedy: string;
}

/** Every finding, by its code, in words of docs/findings.md: a test holds the two together. */
export const REMEDIES: Readonly<Record<FindingCode, Guidance>> = {
  'no-notes': {
    remedy: 'reload',
  },
  'notes-not-first': {
    remedy: 'reload',
  },
  'overlapping-memory': {
    remedy: 'reload',
  },
  'device-memory-listed': {
    cause: "The kernel's own rebuild lists it once a driver has put it online",
    remedy: '`apply --remove-memory` with the range',
  },
  'crashkernel-listed': {
    remedy: 'reload',
  },
  'backup-missing': {
    remedy: 'reload',
  },
  'backup-elsewhere': {
    remedy: 'reload',
  },
  'fdt-missing': {
    cause: 'no FDT was found, which every image of this architecture has',
    remedy: 'take the whole image anew, or name its segments with `--kexec-log`; in an image made by hand, pack the FDT too',
  },
  'purgatory-missing': {
    cause:
      'no purgatory was found, which every image of this architecture has. One loaded with `--no-checks` has no region table to know it by',
    remedy: 'name the segments with `--kexec-log`; in an image made by hand, pack the purgatory too',
  },
  'segment-outside-crashkernel': {
    cause: 'In an image made by hand: addresses of different machines',
    remedy: 'reload; correct the manifest',
  },
  'elfcorehdr-not-reserved': {
    cause: "Older kexec-tools with the kernel's own handler get there",
    remedy: 'any `apply` that changes the image, without `--compat linux`, extends it; or reload with newer kexec-tools',
  },
  'elfcorehdr-size-stated-short': {
    remedy: 'any `apply` that changes the image, without `--compat linux`, extends it; or reload with newer kexec-tools',
  },
  'fdt-not-reserved': {
    remedy: 'reload',
  },
  'elfcorehdr-elsewhere': {
    remedy: 'reload; in an image made by hand, use the FDT of the same load',
  },
  'initrd-elsewhere': {
    remedy: 'reload; in an image made by hand, use the FDT of the same load',
  },
  'no-cpus': {
    remedy: 'reload',
  },
  'cpu-node-cut-short': {
    remedy: '`sync --device-tree`, which grows the FDT where it can; or reload',
  },
  'duplicate-cpu': {
    remedy: 'reload',
  },
  'one-byte-too-long': {
    remedy: 'the next change of memory corrects it',
  },
  'not-linear-map': {
    cause: 'as kexec-tools writes on some architectures',
    remedy: 'none needed for the dump; tools that look up memory by virtual address will not find it',
  },
  'partial-load': {
    remedy: 'reload',
  },
  'shared-page': {
    remedy: 'none needed',
  },
  'elfcorehdr-full': {
    remedy: 'reload with a larger reservation before memory is added',
  },
  'fdt-full': {
    remedy: 'reload before a CPU is added',
  },
  'elfcorehdr-reservation-short': {
    remedy: 'none: `apply` extends it when the elfcorehdr outgrows it',
  },
  'digest-mismatch': {
    cause: 'covered segments changed after the load',
    remedy: 'reload. If the guest was running, pause it and look again',
  },
  'digest-ignored': {
    remedy: 'none',
  },
  'loaded-unknown': {
    cause: 'its kernel is older than Linux 6.0, has no CONFIG_KALLSYMS_ALL, or part of its memory lies in another file',
    remedy: 'look in the guest: `cat /sys/kernel/kexec_crash_loaded`',
  },
  'not-loaded': {
    remedy: 'load an image',
  },
  'image-not-loaded': {
    cause: 'options name the place of an image that was loaded before',
    remedy: 'leave out `--crash-kernel` and `--kexec-log`; where nothing is loaded, load an image',
  },
  'memory-map-differs': {
    cause: '`--iomem` is of another moment or another machine',
    remedy: 'leave out `--iomem`, or copy it anew',
  },
  'memory-missing': {
    cause: 'some kexec-tools leave such memory out',
    remedy: '`sync`',
  },
  'memory-gone': {
    remedy: '`sync`',
  },
  'device-memory-left-out': {
    cause:
      "the machine has coherent device memory, such as a GPU's, as System RAM, and the image leaves it out, as kexec-tools does: its link is down after a crash",
    remedy: 'none; `--force` adds it all the same',
  },
  'memory-offline': {
    cause: "The kernel's handler lists it again at its next update",
    remedy: '`sync` with `--memory-blocks`',
  },
  'cpu-missing': {
    remedy: '`sync --device-tree`',
  },
  'cpu-gone': {
    remedy: '`sync --device-tree`; the kernel leaves it too',
  },
  'cpu-differs': {
    remedy: '`sync --device-tree`',
  },
  'memory-not-compared': {
    remedy: 'give `--iomem`',
  },
  'cpus-not-compared': {
    cause: 'the live device tree where the image has an FDT, `/sys/devices/system/cpu` where it has none, as on x86_64',
    remedy: 'give `--device-tree`, or `--cpus` for an image without FDT',
  },
  'cpu-note-missing': {
    cause: '`kexec -c` lists the CPUs that were there at the load',
    remedy: '`sync --cpus` for an image without FDT; else reload',
  },
  'cpu-note-unknown': {
    cause: 'the image is of another boot, or a CPU keeps its notes elsewhere now',
    remedy: 'reload',
  },
  'crashkernel-differs': {
    cause: 'the image is of another boot or another machine',
    remedy: 'take the image and the state from the same boot',
  },
  'firmware-exact': {
    remedy: 'none',
  },
  'node-assumed': {
    remedy: '`--device-tree`, or `node` in a change file',
  },
  'fdt-grows': {
    remedy: 'none',
  },
  'elfcorehdr-reservation-extended': {
    remedy: 'none',
  },
  'no-region-table': {
    remedy: '`--kexec-log` names the segments; else reload',
  },
  'change-refused': {
    remedy: 'what the reason says; else reload',
  },
  'fewer-notes-than-cpus': {
    remedy: 'reload, unless the kernel has `nr_cpus=`',
  },
};
