import { isatty } from 'node:tty';
import { run } from '../src/cli/program.js';
import { nodeFileSystem } from '../src/file/node-file-system.js';
import { writeStandard } from '../src/file/standard-streams.js';

declare const PROGRAM_VERSION: string;

let allWritten = true;
const writeTo = (descriptor: 1 | 2) => (text: string) => {
  allWritten = writeStandard(descriptor, text) && allWritten;
};
const end = (code: number): void => {
  process.exitCode = allWritten ? code : 5;
};

const code = run(process.argv.slice(2), {
  fileSystem: nodeFileSystem,
  version: PROGRAM_VERSION,
  environment: process.env,
  isTerminal: isatty(1),
  // Asked for only when they are needed: the streams take a while to load, and only those of a terminal have columns.
  get columns() {
    return isatty(1) ? process.stdout.columns : undefined;
  },
  get errorIsTerminal() {
    return isatty(2);
  },
  get errorColumns() {
    return isatty(2) ? process.stderr.columns : undefined;
  },
  writeOut: writeTo(1),
  writeError: writeTo(2),
});
if (typeof code === 'number') end(code);
else void code.then(end);
