// Bundles the command-line program into one file: one module to load is the fastest start Node has.
import { chmodSync, readFileSync, renameSync } from 'node:fs';
import { build } from 'esbuild';

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
const outfile = new URL('../dist/kdump-hotplug.cjs', import.meta.url).pathname;

const unfinished = `${outfile}.${process.pid}`;

await build({
  entryPoints: [new URL('../bin/kdump-hotplug.ts', import.meta.url).pathname],
  outfile: unfinished,
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
chmodSync(unfinished, 0o755);
// In one step, for whoever runs the program meanwhile.
renameSync(unfinished, outfile);
