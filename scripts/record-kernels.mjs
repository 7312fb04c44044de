// npm run fixtures:kernels -- [name…]: boots guests under QEMU, and writes what the program reads of their kernels into fixtures/kernels.
import { mkdirSync, rmSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const at = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));
// Where the files lie that it finds from its own place.
const outfile = at(`test/e2e/record-kernels-${process.pid}.mjs`);
await build({
  entryPoints: [at('test/e2e/record-kernels.ts')],
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'esm',
  packages: 'external',
  outfile,
});
const { kernelNames, recordKernel } = await import(pathToFileURL(outfile).href).finally(() => rmSync(outfile));

const folder = at('fixtures/kernels');
mkdirSync(folder, { recursive: true });
const names = process.argv.slice(2);
for (const name of names.length > 0 ? names : kernelNames()) await recordKernel(name, folder);
