// The main job on the kdump image of a real machine: plan, apply, look at the difference. `npm run demo` builds the program and runs this.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));
const program = path('../dist/kdump-hotplug.cjs');
const source = path('../fixtures/images/ppc64le-64k.kdump');
const keep = process.argv.includes('--keep');
const { env } = process;
const colors =
  !env.NO_COLOR && env.FORCE_COLOR !== '0' && env.TERM !== 'dumb' && (process.stdout.isTTY === true || Boolean(env.FORCE_COLOR));
const paint = (code, text) => (colors ? `\u001b[${code}m${text}\u001b[0m` : text);

for (const [file, how] of [
  [program, 'npm run bundle'],
  [source, 'npm run fixtures'],
]) {
  if (!existsSync(file)) {
    console.error(`demo: ${file} is not there; make it with: ${how}`);
    process.exit(1);
  }
}

const directory = mkdtempSync(join(tmpdir(), 'kdump-hotplug-demo-'));
process.on('exit', () => {
  if (!keep) rmSync(directory, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

/** Runs the program and gives its exit code and output. */
function run(args, color = colors) {
  const childEnv = { ...env, FORCE_COLOR: color ? '1' : '0' };
  const { status, stdout, stderr, error } = spawnSync(process.execPath, [program, ...args], {
    cwd: directory,
    env: childEnv,
    encoding: 'utf8',
  });
  if (error !== undefined) throw error;
  return { status, output: stdout + stderr };
}

const json = (...args) => JSON.parse(run([...args, '--json'], false).output);
const hash = (name) =>
  createHash('sha256')
    .update(readFileSync(join(directory, name)))
    .digest('hex');

let number = 0;
function show(sentence, args, expected) {
  number += 1;
  console.log(`\n${paint('1', `${number}. ${sentence}`)}\n\n${paint('36', `$ kdump-hotplug ${args.join(' ')}`)}`);
  const { status, output } = run(args);
  process.stdout.write(output);
  expect(status === expected, `kdump-hotplug ${args.join(' ')} gave exit code ${status}, not ${expected}`);
}

function expect(holds, otherwise) {
  if (holds) return;
  console.error(paint('31', `\ndemo: ${otherwise}`));
  process.exit(1);
}

const changes = ['--add-memory', '0x80000000+256M', '--add-cpu', '2'];

console.log(`A ppc64le machine has 2 CPUs, 2 GiB of memory and a kdump image loaded.
Then it is given 256 MiB more, and a CPU. Without an update a crash dump lacks
the new memory, and a crash on the new CPU gives no dump at all.

(elfcorehdr and FDT of this image are those of a real guest; kernel and initrd
are stand-ins, since nothing reads them.)`);
for (const name of ['before.kdump', 'after.kdump']) copyFileSync(source, join(directory, name));
const before = hash('before.kdump');

show('The image as it was loaded. Look at the memory in the dump, and the CPUs.', ['inspect', 'before.kdump'], 0);

show(
  `What the change comes to. Nothing is written.
   Every property of the new CPU's node that is not a copy is named.`,
  ['plan', 'after.kdump', ...changes],
  0,
);
expect(hash('after.kdump') === before, 'plan wrote to the image');

show('The same, written to the image.', ['apply', 'after.kdump', ...changes], 0);
expect(hash('after.kdump') !== before, 'apply wrote nothing');

show('The image now: one more CPU, and memory up to 0x8fffffff.', ['inspect', 'after.kdump'], 0);

show(
  `What differs, in CPUs and memory ranges (exit code 1: they differ).
   The kernel does the same to the range of the firmware (RTAS): loaded in
   whole pages, rebuilt at its exact size.`,
  ['diff', 'before.kdump', 'after.kdump'],
  1,
);
const { memory, cpus, otherSegments } = json('diff', 'before.kdump', 'after.kdump');
expect(
  memory.added.some(({ start, size }) => start === '0x80000000' && size === 0x10000000),
  'the new memory is not there',
);
expect(
  cpus.added.length === 1 && cpus.added[0].id === 2 && cpus.removed.length + cpus.changed.length === 0,
  'the CPUs are not as they should be',
);
expect(otherSegments.length === 0, `other segments changed: ${otherSegments.join(', ')}`);

const after = hash('after.kdump');
show('The same changes again: there is nothing to do.', ['apply', 'after.kdump', ...changes], 0);
expect(json('apply', 'after.kdump', ...changes).applied === false && hash('after.kdump') === after, 'the second apply wrote to the image');

show(
  `Would the purgatory start it? Look at the digest: all that it covers is
   read and hashed.`,
  ['inspect', 'after.kdump', '--verify'],
  0,
);
expect(json('inspect', 'after.kdump', '--verify').purgatory.digest === 'match', 'the digest does not match');
expect(hash('before.kdump') === before, 'the first copy changed');

console.log(
  `\nEvery step did as it should. ${keep ? `The images are in ${directory}` : 'To keep the images: npm run demo -- --keep'}\nNow with an image of your own: docs/containers.md tells where to get it.`,
);
