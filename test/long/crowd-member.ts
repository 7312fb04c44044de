import { existsSync } from 'node:fs';
import { nodeFileSystem } from '../../src/file/node-file-system.js';
import { runHere } from '../helpers/run-here.js';

// Child process of the concurrency test: `patch <go> <image> <option>...` or `read <go> <image> <stop>`. Waits until the file <go> exists.

const BUSY = 5;
const [task, go = '', image = '', ...rest] = process.argv.slice(2);

while (!existsSync(go)) nodeFileSystem.pause(5);
if (task === 'patch') {
  for (let attempts = 1; ; attempts += 1) {
    const { status, stderr } = runHere(['apply', image, ...rest], { fileSystem: nodeFileSystem });
    if (status !== BUSY || attempts > 2000 || !stderr.includes('another process is patching it')) {
      process.stdout.write(JSON.stringify({ status, attempts, stderr }));
      break;
    }
    // Each attempt starts flock(1): with dozens waiting, short pauses would leave no time for the one that patches.
    nodeFileSystem.pause(400 + Math.random() * 1600);
  }
} else {
  const seen = { reads: 0, busy: 0, failures: [] as string[], states: [] as string[] };
  const states = new Set<string>();
  while (!existsSync(rest[0] ?? '')) {
    nodeFileSystem.pause(20);
    const { status, stdout, stderr } = runHere(['inspect', image, '--json'], { fileSystem: nodeFileSystem });
    seen.reads += 1;
    if (status === BUSY) seen.busy += 1;
    else if (status !== 0) seen.failures.push(stderr);
    else states.add(JSON.stringify((JSON.parse(stdout) as { elfcorehdr: { memory: unknown } }).elfcorehdr.memory));
  }
  seen.states.push(...states);
  process.stdout.write(JSON.stringify(seen));
}
