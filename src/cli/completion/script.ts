import type { Command } from 'commander';
import { bashScript } from './bash.js';
import { completionsOf } from './completions.js';
import { fishScript } from './fish.js';
import { zshScript } from './zsh.js';

const SCRIPTS = { bash: bashScript, zsh: zshScript, fish: fishScript };

/** The completion script of a shell, made from the very definitions that read the command line. */
export function completionScript(shell: keyof typeof SCRIPTS, commands: readonly Command[]): string {
  return SCRIPTS[shell](commands.map(completionsOf));
}
