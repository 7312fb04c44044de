import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

/** Majors of Node that the package says it runs on and that are maintained. */
export const NODES = [20, 22, 24, 26];

/** A program of that Node: this one, or npm's package of it put below `folder`; else why there is none. */
export function nodeOf(major: number, folder: string): { path: string } | { missing: string } {
  if (Number.parseInt(process.versions.node) === major) return { path: process.execPath };
  const name = `node-${process.platform}-${process.arch}`;
  const into = join(folder, `node-${major}`);
  mkdirSync(into);
  try {
    execFileSync('npm', ['install', '--prefix', into, '--prefer-offline', '--no-audit', '--no-fund', `${name}@${major}`], {
      stdio: 'pipe',
      timeout: 120_000,
    });
  } catch {
    return { missing: `npm cannot install ${name}@${major}` };
  }
  return { path: join(into, 'node_modules', name, 'bin/node') };
}
