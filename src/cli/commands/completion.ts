import { Argument } from 'commander';
import type { CommandDefinition, CommonOptions } from '../command.js';
import type { Outcome } from '../outcome.js';

const SHELLS = ['bash', 'zsh', 'fish'] as const;

export const completionCommand: CommandDefinition = {
  summary: 'print a script that completes command lines in a shell',
  needsAll: true,
  define(command, act) {
    command
      .addArgument(new Argument('<shell>', 'the shell that reads the script').choices(SHELLS))
      .action((shell: (typeof SHELLS)[number], options: CommonOptions) => {
        act(options, async ({ console }): Promise<Outcome> => {
          const { completionScript } = await import('../completion/script.js');
          const script = completionScript(shell, command.parent?.commands ?? []);
          console.result(
            () => ({ shell, script }),
            () => script,
          );
          return 'done';
        });
      });
  },
};
