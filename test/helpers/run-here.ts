import { run, type World } from '../../src/cli/program.js';
import { nodeFileSystem } from '../../src/file/node-file-system.js';

/** Runs a command line in this process, which is much faster than starting the program. Not for commands that wait for events. */
export function runHere(args: readonly string[], world: Partial<World> = {}): { status: number; stdout: string; stderr: string } {
  let [stdout, stderr] = ['', ''];
  const status = run(args, {
    fileSystem: nodeFileSystem,
    version: 'test',
    environment: {},
    isTerminal: false,
    writeOut: (text) => {
      stdout += text;
    },
    writeError: (text) => {
      stderr += text;
    },
    ...world,
  });
  if (typeof status !== 'number') throw new Error('the command did not end at once');
  return { status, stdout, stderr };
}
