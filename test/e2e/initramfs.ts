import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeCpio, type CpioEntry } from './cpio.js';
import type { Packages } from './packages.js';

const INIT = fileURLToPath(new URL('init.sh', import.meta.url));

/** Where the kernel and initramfs of the capture kernel are in the guest. */
export const CAPTURE_KERNEL = '/capture/kernel';
export const CAPTURE_INITRAMFS = '/capture/initramfs';

/** A shell that takes commands over the console, and makedumpfile. */
export function writeCaptureInitramfs(path: string, packages: Packages): void {
  const makedumpfile = packages.file(/\/bin\/makedumpfile$/);
  writeCpio(path, [
    ...basis(packages),
    ...folders('lib', 'lib64'),
    { path: 'bin/makedumpfile', content: { file: makedumpfile } },
    ...librariesOf(makedumpfile, packages),
  ]);
}

/** A shell as well, with kexec and what it loads. */
export function writeInitramfs(path: string, packages: Packages, captureKernel: string, captureInitramfs: string): void {
  const kexec = packages.file(/\/sbin\/kexec$/);
  writeCpio(path, [
    ...basis(packages),
    ...folders('sbin', 'lib', 'lib64', 'capture'),
    { path: 'sbin/kexec', content: { file: kexec } },
    ...librariesOf(kexec, packages),
    { path: CAPTURE_KERNEL.slice(1), content: { file: captureKernel } },
    { path: CAPTURE_INITRAMFS.slice(1), content: { file: captureInitramfs } },
  ]);
}

function basis(packages: Packages): CpioEntry[] {
  return [
    ...folders('bin', 'dev'),
    // The kernel opens it for init, before anything is mounted.
    { path: 'dev/console', content: 'console' },
    { path: 'bin/busybox', content: { file: packages.file(/\/bin\/busybox$/) } },
    { path: 'init', content: { file: INIT } },
  ];
}

function folders(...names: string[]): CpioEntry[] {
  return names.map((path) => ({ path, content: 'folder' }));
}

/** The libraries that a program needs, and those need. A file names each in its string table, so all that it names are taken. */
function librariesOf(program: string, packages: Packages): CpioEntry[] {
  const available = new Map(packages.files(/\.so(\.\d+)*$/).map((file) => [basename(file), file]));
  const needed = new Map<string, CpioEntry>();
  const visit = (file: string): void => {
    const text = readFileSync(file, 'latin1');
    for (const [name, library] of available) {
      const loader = text.match(`/lib64/${name}\0`);
      if (loader !== null) needed.set(`loader ${name}`, { path: `lib64/${name}`, content: { file: library } });
      if (needed.has(name) || !text.includes(`\0${name}\0`)) continue;
      needed.set(name, { path: `lib/${name}`, content: { file: library } });
      visit(library);
    }
  };
  visit(program);
  return [...needed.values()];
}
