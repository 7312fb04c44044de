import type { PackageSet } from './packages.js';

/** How QEMU makes a guest of an architecture, and how its kernels are started. */
export interface Machine {
  readonly qemu: string;
  /** The Debian package that this program is in. */
  readonly qemuPackage: string;
  readonly packages: PackageSet;
  readonly kernelFile: RegExp;
  readonly options: readonly string[];
  readonly commandLine: string;
  /** Options of kexec, and the command line it appends. */
  readonly captureCommandLine: string;
}

export const RAM_SIZE = 2 * 2 ** 30;
const SLOTS = '2G,slots=16,maxmem=8G';
/**
 * Memory that is plugged in goes online at once on every architecture. As movable memory it is what files are put in first, so that a marker
 * gets there soon, and it can be taken out again.
 */
const COMMON = 'memhp_default_state=online_movable';

const PSERIES = {
  qemu: 'qemu-system-ppc64',
  qemuPackage: 'qemu-system-ppc',
  kernelFile: /\/boot\/vmlinux-[^/]*$/,
  options: [
    // Emulation offers none of the mitigations that the machine would promise.
    ...['-M', 'pseries,memory-backend=ram,cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,cap-ccf-assist=off', '-cpu', 'power9'],
    ...['-m', SLOTS, '-smp', '2,sockets=1,cores=8,threads=1,maxcpus=8'],
  ],
  commandLine: `console=hvc0 crashkernel=512M ${COMMON}`,
  captureCommandLine: 'console=hvc0 nr_cpus=1',
} as const;

const Q35 = {
  qemu: 'qemu-system-x86_64',
  qemuPackage: 'qemu-system-x86',
  kernelFile: /\/boot\/vmlinuz-[^/]*$/,
  options: ['-M', 'q35,memory-backend=ram', '-cpu', 'max', '-m', SLOTS, '-smp', '2,sockets=4,cores=2,threads=1,maxcpus=8'],
  commandLine: `console=ttyS0 crashkernel=256M ${COMMON}`,
  // Without the last one, the capture kernel takes the added memory for its own, and it cannot be read from the dump.
  captureCommandLine: 'console=ttyS0 nr_cpus=1 reset_devices acpi_no_memhotplug',
} as const;

/** Linux 6.1, which leaves the image as it was loaded. */
export const PPC64LE: Machine = {
  ...PSERIES,
  packages: { suite: 'bookworm', next: 'trixie', architecture: 'ppc64el', kernel: 'linux-image-powerpc64le' },
};

/** Linux 6.12, which updates an image that was loaded with `kexec --hotplug`. */
export const PPC64LE_UPDATING: Machine = {
  ...PSERIES,
  packages: { suite: 'trixie', next: 'forky', architecture: 'ppc64el', kernel: 'linux-image-powerpc64le-64k' },
};

/** Linux 6.1, which leaves the image as it was loaded. */
export const X86_64: Machine = {
  ...Q35,
  packages: { suite: 'bookworm', next: 'trixie', architecture: 'amd64', kernel: 'linux-image-amd64' },
};

/** Linux 6.12, which updates an image that was loaded with `kexec --hotplug` or `kexec -s`. */
export const X86_64_UPDATING: Machine = {
  ...Q35,
  packages: { suite: 'trixie', next: 'forky', architecture: 'amd64', kernel: 'linux-image-amd64' },
};
