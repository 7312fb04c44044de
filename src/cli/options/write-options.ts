import type { Command } from 'commander';

/** Values of the options of commands that write to an image. */
export interface WriteOptions {
  dryRun?: boolean;
  output?: string;
  overwrite?: boolean;
  saveUndo?: string;
  live?: boolean;
}

export function addWriteOptions(command: Command): Command {
  return command
    .optionsGroup('Writing:')
    .option('-n, --dry-run', 'write nothing, show what would be written')
    .option('-o, --output <file>', 'write to a copy, leave the image alone')
    .option('--save-undo <file>', 'keep what is needed to take the patch back')
    .option('--live', 'the file is the memory of a paused guest')
    .option('--overwrite', 'replace an existing output file');
}
