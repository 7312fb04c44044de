/** What a finding means and what to do about it; what is in backticks is code. */
export interface Guidance {
  readonly cause: string;
  readonly remedy: string;
}

/** Every finding that `check` can report, by its code, in the words of docs/findings.md: a test holds the two together. */
export const REMEDIES: Readonly<Record<string, Guidance>> = {
  'no-notes': {
    cause: 'no `PT_NOTE` in front: no registers, no vmcoreinfo',
    remedy: 'reload',
  },
  'notes-not-first': {
    cause: 'a `PT_NOTE` lies behind a `PT_LOAD`; the capture kernel merges notes as if all were in front',
    remedy: 'reload',
  },
  'overlapping-memory': {
    cause: 'two `PT_LOAD`s list the same memory',
    remedy: 'reload',
  },
  'device-memory-listed': {
    cause:
      "coherent device memory is listed: the machine stops when the capture kernel reads it. The kernel's own rebuild lists it once a driver has put it online",
    remedy: '`apply --remove-memory` with the range',
  },
  'crashkernel-listed': {
    cause: 'RAM that is listed overlaps the crashkernel range: the capture kernel would dump itself',
    remedy: 'reload',
  },
  'backup-missing': {
    cause: "the backup's `PT_LOAD` is to be read where no segment is",
    remedy: 'reload',
  },
  'backup-elsewhere': {
    cause: "the backup's `PT_LOAD` is not where purgatory copies low memory to",
    remedy: 'reload',
  },
  'segment-outside-crashkernel': {
    cause:
      'a segment lies outside the crashkernel range, where the running kernel overwrites it. In an image made by hand: addresses of different machines',
    remedy: 'reload; correct the manifest',
  },
  'elfcorehdr-not-reserved': {
    cause:
      "the memory reservation block keeps less of the elfcorehdr clear than it uses. Older kexec-tools with the kernel's own handler get there",
    remedy: 'any `apply` that changes the image, without `--compat linux`, extends it; or reload with newer kexec-tools',
  },
  'elfcorehdr-size-stated-short': {
    cause: '`linux,elfcorehdr` or `elfcorehdr=` states fewer bytes than it uses',
    remedy: 'any `apply` that changes the image, without `--compat linux`, extends it; or reload with newer kexec-tools',
  },
  'fdt-not-reserved': {
    cause: 'the memory reservation block keeps less of the FDT clear than it uses',
    remedy: 'reload',
  },
  'elfcorehdr-elsewhere': {
    cause: 'the FDT names another address for the elfcorehdr',
    remedy: 'reload; in an image made by hand, use the FDT of the same load',
  },
  'initrd-elsewhere': {
    cause: 'the FDT names another place for the initrd',
    remedy: 'reload; in an image made by hand, use the FDT of the same load',
  },
  'no-cpus': {
    cause: 'the FDT has no `/cpus`, or no CPU in it',
    remedy: 'reload',
  },
  'cpu-node-cut-short': {
    cause: 'a CPU node lacks `reg` or `device_type`: the kernel ran out of room while it wrote the FDT',
    remedy: '`sync --device-tree`, which grows the FDT where it can; or reload',
  },
  'duplicate-cpu': {
    cause: 'two nodes describe one CPU',
    remedy: 'reload',
  },
  'one-byte-too-long': {
    cause: 'a range ends one byte past a page: what Linux 6.12 to 7.2 writes on ppc64 when memory is removed from the middle of a range',
    remedy: 'the next change of memory corrects it',
  },
  'not-linear-map': {
    cause: 'a `p_vaddr` is no kernel address, as kexec-tools writes on some architectures',
    remedy: 'none needed for the dump; tools that look up memory by virtual address will not find it',
  },
  'partial-load': {
    cause: '`p_filesz` is smaller than `p_memsz`: the rest reads as zeros',
    remedy: 'reload',
  },
  'shared-page': {
    cause: 'two ranges meet inside a page, and the dump has that page twice',
    remedy: 'none needed',
  },
  'elfcorehdr-full': {
    cause: 'no further program header fits',
    remedy: 'reload with a larger reservation before memory is added',
  },
  'fdt-full': {
    cause: 'no further CPU node fits',
    remedy: 'reload before a CPU is added',
  },
  'elfcorehdr-reservation-short': {
    cause: "the FDT's memory reservation block reserves less than `memsz` for the elfcorehdr, but enough for now",
    remedy: 'none: `apply` extends it when the elfcorehdr outgrows it',
  },
  'digest-mismatch': {
    cause: 'covered segments changed after the load: purgatory will hang',
    remedy: 'reload. If the guest was running, pause it and look again',
  },
  'digest-ignored': {
    cause: 'the digest does not match, and the purgatory of `kexec_file_load` on ppc64 never looks',
    remedy: 'none',
  },
  'memory-missing': {
    cause:
      'RAM of the machine is not listed. Where it holds a nested resource, such as `Reserved`, that is named: some kexec-tools leave such memory out',
    remedy: '`sync`',
  },
  'memory-gone': {
    cause: 'memory is listed that is no System RAM of the machine',
    remedy: '`sync`',
  },
  'device-memory-left-out': {
    cause:
      "the machine has coherent device memory, such as a GPU's, as System RAM, and the image leaves it out, as kexec-tools does: its link is down after a crash",
    remedy: 'none; `--force` adds it all the same',
  },
  'memory-offline': {
    cause: "memory is listed that is offline. The kernel's handler lists it again at its next update",
    remedy: '`sync` with `--memory-blocks`',
  },
  'cpu-missing': {
    cause: 'a CPU, or a core with its threads, is not in the FDT: a crash on it gives no dump',
    remedy: '`sync --device-tree`',
  },
  'cpu-gone': {
    cause: 'the FDT has a CPU, or a core with its threads, that is not in the device tree of the machine',
    remedy: '`sync --device-tree`; the kernel leaves it too',
  },
  'cpu-differs': {
    cause: "a CPU's node has other properties than on the machine",
    remedy: '`sync --device-tree`',
  },
  'memory-not-compared': {
    cause: 'nothing tells what memory the machine has',
    remedy: 'give `--iomem`',
  },
  'cpus-not-compared': {
    cause:
      'nothing tells which CPUs the machine has: the live device tree where the image has an FDT, `/sys/devices/system/cpu` where it has none, as on x86_64',
    remedy: 'give `--device-tree`, or `--cpus` for an image without FDT',
  },
  'cpu-note-missing': {
    cause: "the elfcorehdr does not list a present CPU's crash notes, or not whole. `kexec -c` lists the CPUs that were there at the load",
    remedy: '`sync --cpus` for an image without FDT; else reload',
  },
  'cpu-note-unknown': {
    cause:
      'the elfcorehdr lists more notes than the machine can have CPUs for: the image is of another boot, or a CPU keeps its notes elsewhere now',
    remedy: 'reload',
  },
  'crashkernel-differs': {
    cause: 'the machine has no crashkernel range where the image lies or names one: the image is of another boot or another machine',
    remedy: 'take the image and the state from the same boot',
  },
};
