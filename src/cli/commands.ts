import type { CommandDefinition } from './command.js';
import { applyCommand, planCommand } from './commands/apply.js';
import { captureCommand } from './commands/capture.js';
import { checkCommand } from './commands/check.js';
import { completionCommand } from './commands/completion.js';
import { diffCommand } from './commands/diff.js';
import { extractCommand } from './commands/extract.js';
import { inspectCommand } from './commands/inspect.js';
import { packCommand } from './commands/pack.js';
import { recoverCommand } from './commands/recover.js';
import { reportCommand } from './commands/report.js';
import { syncCommand } from './commands/sync.js';
import { undoCommand } from './commands/undo.js';
import { watchCommand } from './commands/watch.js';

/** The commands by name, in the order of the help. */
export const COMMANDS: Readonly<Record<string, CommandDefinition>> = {
  inspect: inspectCommand,
  check: checkCommand,
  plan: planCommand,
  apply: applyCommand,
  sync: syncCommand,
  watch: watchCommand,
  undo: undoCommand,
  recover: recoverCommand,
  diff: diffCommand,
  report: reportCommand,
  capture: captureCommand,
  pack: packCommand,
  extract: extractCommand,
  completion: completionCommand,
};
