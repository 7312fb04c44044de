import { copyFileSync, mkdirSync, readFileSync, readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/**
 * Installs the library into the node_modules of `folder`: package.json as it is, and dist/lib with each module compiled by itself, as
 * `npm run build` has it but for the types. What the tarball really holds is tested by test/package.
 */
export function installLibrary(folder: string): void {
  const modules = join(folder, 'node_modules');
  const target = join(modules, 'kdump-hotplug');
  mkdirSync(target, { recursive: true });
  copyFileSync(join(ROOT, 'package.json'), join(target, 'package.json'));
  const sources = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' });
  buildSync({
    entryPoints: sources.filter((file) => file.endsWith('.ts') && !file.startsWith('cli/')).map((file) => join(ROOT, 'src', file)),
    outdir: join(target, 'dist/lib'),
    outbase: join(ROOT, 'src'),
    format: 'esm',
    target: 'node20',
  });
  const { dependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { dependencies: Record<string, string> };
  for (const name of Object.keys(dependencies)) symlinkSync(join(ROOT, 'node_modules', name), join(modules, name), 'dir');
}
