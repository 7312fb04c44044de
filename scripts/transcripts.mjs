// Runs the `$ …` lines of every ```console block in README.md and docs/, and writes their real output under them.
// With --verify it writes nothing and fails where the documentation says something else. Needs readelf and objcopy of binutils.
// Each file has its own directory, with the inputs made in prepare(); its blocks run in order and see each other's files.
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  copyFileSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const program = join(root, 'dist/kdump-hotplug.cjs');
const captures = join(root, 'fixtures/captures/ppc64le-6.12-64k');
const verify = process.argv.includes('--verify');

const work = mkdtempSync(join(tmpdir(), 'kdump-hotplug-docs-'));
process.on('exit', () => rmSync(work, { recursive: true, force: true }));
const bin = join(work, 'bin');
mkdirSync(bin);
writeFileSync(join(bin, 'kdump-hotplug'), `#!/bin/sh\nexec "${process.execPath}" "${program}" "$@"\n`);
chmodSync(join(bin, 'kdump-hotplug'), 0o755);

function prepare(directory) {
  mkdirSync(directory);
  copyFileSync(join(root, 'fixtures/images/ppc64le-64k.kdump'), join(directory, 'before.kdump'));
  copyFileSync(join(root, 'fixtures/images/ppc64le-64k-no-hotplug.kdump'), join(directory, 'no-hotplug.kdump'));
  copyFileSync(join(captures, 'kexec-debug.log'), join(directory, 'kexec.log'));
  copyFileSync(join(captures, '00-loaded/fdt.dtb'), join(directory, 'fdt.dtb'));
  // A later state of the same guest: 256 MiB and CPU 2 were added.
  mkdirSync(join(directory, 'device-tree'));
  execFileSync('tar', ['xf', join(captures, '02-mem-add-256M/device-tree.tar.gz'), '-C', join(directory, 'device-tree')]);
  copyFileSync(join(captures, '02-mem-add-256M/iomem.txt'), join(directory, 'iomem.txt'));
  // The image as it lies in the guest's memory: 2 GiB, most of it a hole.
  const parts = join(directory, 'parts');
  execFileSync(process.execPath, [program, 'extract', join(directory, 'before.kdump'), '-d', parts, '--manifest']);
  const { segments } = JSON.parse(readFileSync(join(parts, 'manifest.json'), 'utf8'));
  const ram = openSync(join(directory, 'guest.ram'), 'w');
  ftruncateSync(ram, 2 ** 31);
  for (const { address, file } of segments) {
    if (file === undefined) continue;
    const bytes = readFileSync(join(parts, file));
    writeSync(ram, bytes, 0, bytes.length, Number(address));
  }
  closeSync(ram);
  rmSync(parts, { recursive: true });
}

function runBlock(lines, directory, before) {
  let status = before;
  const output = [];
  for (let i = 0; i < lines.length; i += 1) {
    if (!lines[i].startsWith('$ ')) continue;
    let command = lines[i].slice(2);
    output.push(lines[i]);
    while (command.endsWith('\\')) {
      i += 1;
      output.push(lines[i]);
      command = `${command}\n${lines[i]}`;
    }
    const result = spawnSync('bash', ['-c', `exec 2>&1; (exit ${status})\n${command}`], {
      cwd: directory,
      encoding: 'utf8',
      maxBuffer: 1 << 26,
      env: { PATH: `${bin}:${process.env.PATH}`, HOME: work, LC_ALL: 'C' },
    });
    status = result.status;
    // Depends on who runs this, not on the program.
    const text = result.stdout.replace(/^could not ask \d+ processes.*\n/gm, '');
    output.push(...text.replace(/\n$/, '').split('\n'));
    if (output.at(-1) === '') output.pop();
  }
  return { output, status };
}

let differing = 0;
const files = ['README.md', ...readdirSync(join(root, 'docs'), { recursive: true }).map((name) => `docs/${name}`)]
  .filter((name) => name.endsWith('.md'))
  .sort();
for (const file of files) {
  const text = readFileSync(join(root, file), 'utf8');
  if (!text.includes('```console\n')) continue;
  const directory = join(work, file.replace(/\W/g, '-'));
  prepare(directory);
  // A JSON block after "This is `name`:" is an input.
  for (const [, name, body] of text.matchAll(/This is `([\w.-]+)`:\n\n```json\n([^]*?)^```$/gm)) writeFileSync(join(directory, name), body);
  let status = 0;
  const result = text.replace(/^```console\n([^]*?)^```$/gm, (_, body) => {
    const block = runBlock(body.split('\n'), directory, status);
    status = block.status;
    return `\`\`\`console\n${block.output.join('\n')}\n\`\`\``;
  });
  rmSync(directory, { recursive: true });
  if (result === text) continue;
  differing += 1;
  console.log(`${file}: ${verify ? 'outdated' : 'updated'}`);
  if (!verify) writeFileSync(join(root, file), result);
}
if (verify && differing > 0) process.exitCode = 1;
