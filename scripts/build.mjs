// Bundles the command-line program into one file, beside the few lines that start it.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { lazyModules } from './build/lazy-modules.mjs';

const at = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const { version } = JSON.parse(readFileSync(at('package.json'), 'utf8'));

const {
  outputFiles: [bundle],
} = await build({
  entryPoints: [at('bin/kdump-hotplug.ts')],
  outfile: at('dist/program.cjs'),
  write: false,
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  minify: true,
  legalComments: 'none',
  // One byte a character: the program is read without decoding.
  charset: 'ascii',
  plugins: [lazyModules],
  define: { PROGRAM_VERSION: JSON.stringify(version) },
});

// A function of `require`, so that its text is compiled as it is read.
const code = `(function (require) {${bundle.text}})`;
const id = createHash('sha256').update(code).digest('hex').slice(0, 32);

/** In one step, for whoever runs the program meanwhile. */
function replace(path, contents, mode) {
  const unfinished = `${path}.${process.pid}`;
  writeFileSync(unfinished, contents);
  chmodSync(unfinished, mode);
  renameSync(unfinished, path);
}

mkdirSync(at('dist'), { recursive: true });
replace(at('dist/program.cjs'), `${code}//${id}`, 0o644);
replace(at('dist/kdump-hotplug.cjs'), readFileSync(at('scripts/build/start.cjs')), 0o755);
fillCaches();

/**
 * The first run of each command makes its code cache (build/start.cjs), with the functions that it used: so here one change is made, looked at and
 * rolled back, and no measurement or test begins with compiling. Where a command does not work, for want of flock(1) say, it is without a cache.
 */
function fillCaches() {
  const directory = mkdtempSync(join(tmpdir(), 'kdump-hotplug-build-'));
  const run = (...args) => spawnSync(process.execPath, [at('dist/kdump-hotplug.cjs'), ...args], { cwd: directory, stdio: 'ignore' });
  const change = ['image', '--add-memory', '0x80000000+256M', '--add-cpu', '2'];
  try {
    cpSync(at('fixtures/images/ppc64le-64k.kdump'), join(directory, 'image'));
    run('inspect', 'image');
    run('plan', ...change);
    run('apply', ...change, '--save-undo', 'undo');
    run('undo', 'image', 'undo');
    run('check', 'image');
    run('recover', 'image');
  } finally {
    rmSync(directory, { recursive: true });
  }
}
