// The programs that the benchmark compares with: found, or compiled from peers/*.c. One that is absent is named and left out.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const at = (path) => fileURLToPath(new URL(path, import.meta.url));

/** NODE_EXTRA_CA_CERTS costs some releases of Node tens of milliseconds at every start. */
export const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => name !== 'NODE_EXTRA_CA_CERTS'));

export class Peers {
  absent = new Set();
  #directory;

  constructor(directory) {
    this.#directory = directory;
  }

  /** Path of the program made of peers/<name>.c, or undefined. */
  compiled(name, ...libraries) {
    const program = join(this.#directory, name);
    if (existsSync(program)) return program;
    const { status, error } = spawnSync('cc', ['-O2', '-o', program, at(`peers/${name}.c`), ...libraries], { stdio: 'ignore' });
    if (status === 0) return program;
    this.absent.add(
      error === undefined ? `${name} (${libraries.length > 0 ? 'needs libfdt-dev' : 'does not compile'})` : `${name} (no C compiler)`,
    );
    return undefined;
  }

  /** The name of an installed program, or undefined. */
  installed(name) {
    if (spawnSync('sh', ['-c', 'command -v -- "$1"', 'sh', name]).status === 0) return name;
    this.absent.add(name);
    return undefined;
  }
}

/** First lines of what the programs say about their versions, for the results. */
export function versions() {
  const first = (program, ...words) => {
    const { stdout, stderr, status } = spawnSync(program, words, { encoding: 'utf8' });
    return status === 0 ? (stdout || stderr).split('\n')[0].trim() : 'absent';
  };
  return {
    node: process.version,
    openssl: process.versions.openssl,
    cc: first('cc', '--version'),
    binutils: first('objcopy', '--version'),
    libfdt: first('dtc', '--version'),
    coreutils: first('cp', '--version'),
    kernel: execFileSync('uname', ['-srm'], { encoding: 'utf8' }).trim(),
  };
}
