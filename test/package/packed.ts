import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** What the build reads, and what goes into the tarball as it is. */
const SOURCES = [
  'package.json',
  'tsconfig.json',
  'tsconfig.build.json',
  'README.md',
  'LICENSE',
  'CHANGELOG.md',
  'bin',
  'src',
  'scripts',
  'docs',
];
/** What the build only needs to be there. */
const NEEDED = ['node_modules', 'fixtures'];

export interface PackedFile {
  readonly path: string;
  readonly size: number;
  readonly mode: number;
}

export interface Packed {
  readonly tarball: string;
  /** Of the tarball, in bytes. */
  readonly size: number;
  readonly unpackedSize: number;
  readonly files: readonly PackedFile[];
}

/** Packs a copy of this tree in `folder` in which nothing is built yet: what is packed is what `npm pack` builds first. */
export function pack(folder: string): Packed {
  const tree = join(folder, 'tree');
  mkdirSync(tree);
  for (const name of SOURCES) cpSync(join(ROOT, name), join(tree, name), { recursive: true });
  for (const name of NEEDED) symlinkSync(join(ROOT, name), join(tree, name), 'dir');
  const [packed] = JSON.parse(npm(tree, 'pack', '--silent', '--json', '--pack-destination', folder)) as [
    { filename: string; size: number; unpackedSize: number; files: PackedFile[] },
  ];
  return { ...packed, tarball: join(folder, packed.filename) };
}

/** Installs the tarball into the empty folder `into`, without a network: what it depends on is packed from this tree's node_modules. */
export function install(tarball: string, into: string): void {
  mkdirSync(into);
  writeFileSync(join(into, 'package.json'), '{ "name": "consumer", "private": true, "type": "module" }');
  const { dependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { dependencies: Record<string, string> };
  const folders = Object.keys(dependencies).map((name) => join(ROOT, 'node_modules', name));
  const packed = JSON.parse(npm(into, 'pack', '--ignore-scripts', '--json', ...folders)) as { filename: string }[];
  const tarballs = [...packed.map(({ filename }) => `./${filename}`), tarball];
  npm(into, 'install', '--offline', '--ignore-scripts', '--no-audit', '--no-fund', '--cache', join(into, 'cache'), ...tarballs);
}

/** A development dependency of this tree, for the consumer in `folder` to find. */
export function lend(folder: string, name: string): void {
  const place = join(folder, 'node_modules', name);
  mkdirSync(join(place, '..'), { recursive: true });
  if (!existsSync(place)) symlinkSync(join(ROOT, 'node_modules', name), place, 'dir');
}

function npm(cwd: string, ...args: string[]): string {
  return execFileSync('npm', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Runs a program of this tree's node_modules. */
export function tool(cwd: string, name: string, ...args: string[]): { status: number; output: string } {
  try {
    const output = execFileSync(process.execPath, [join(ROOT, 'node_modules', name), ...args], { cwd, encoding: 'utf8', stdio: 'pipe' });
    return { status: 0, output };
  } catch (error) {
    const { status, stdout, stderr } = error as { status: number; stdout: string; stderr: string };
    return { status, output: stdout + stderr };
  }
}
