// Bundles the command-line program into one file: one module to load is the fastest start Node has.
import { chmodSync, readFileSync } from 'node:fs';
import { build } from 'esbuild';

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
const outfile = new URL('../dist/kdump-hotplug.cjs', import.meta.url).pathname;

await build({
  entryPoints: [new URL('../bin/kdump-hotplug.ts', import.meta.url).pathname],
  outfile,
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  minify: true,
  keepNames: true,
  legalComments: 'none',
  banner: { js: '#!/usr/bin/env node' },
  define: { PROGRAM_VERSION: JSON.stringify(version) },
});
chmodSync(outfile, 0o755);
