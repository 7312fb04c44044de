import { nodeFileSystem } from '../src/file/node-file-system.js';
import { run } from '../src/cli/program.js';

declare const PROGRAM_VERSION: string;

// A reader that has seen enough closes the pipe; that is no reason to fail, or to change the exit code.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') process.exitCode = 5;
  });
}

process.exitCode = run(process.argv.slice(2), {
  fileSystem: nodeFileSystem,
  version: PROGRAM_VERSION,
  environment: process.env,
  isTerminal: process.stdout.isTTY,
  writeOut: (text) => process.stdout.write(text),
  writeError: (text) => process.stderr.write(text),
});
