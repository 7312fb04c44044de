import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';

export interface CpioEntry {
  readonly path: string;
  readonly content: { readonly file: string } | { readonly text: string } | 'folder' | 'console';
}

const [FOLDER, FILE, DEVICE] = [0o040755, 0o100755, 0o020600];
const CONSOLE = { major: 5, minor: 1 };

/** Writes an initramfs in the `newc` format. Folders have to come before what is in them. */
export function writeCpio(path: string, entries: readonly CpioEntry[]): void {
  const descriptor = openSync(path, 'w');
  try {
    entries.forEach(({ path: name, content }, index) => {
      writeEntry(descriptor, index + 1, name, content);
    });
    writeEntry(descriptor, 0, 'TRAILER!!!', { text: '' });
  } finally {
    closeSync(descriptor);
  }
}

function writeEntry(descriptor: number, inode: number, name: string, content: CpioEntry['content']): void {
  const data = typeof content === 'string' ? Buffer.alloc(0) : 'file' in content ? readFileSync(content.file) : Buffer.from(content.text);
  const mode = content === 'folder' ? FOLDER : content === 'console' ? DEVICE : FILE;
  const device = content === 'console' ? CONSOLE : { major: 0, minor: 0 };
  const fields = [inode, mode, 0, 0, 1, 0, data.length, 0, 0, device.major, device.minor, name.length + 1, 0];
  const header = Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}${name}\0`);
  for (const part of [header, data]) {
    writeSync(descriptor, part);
    writeSync(descriptor, Buffer.alloc(-part.length & 3));
  }
}
