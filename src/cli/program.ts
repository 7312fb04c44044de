import { Command, CommanderError, Option } from 'commander';
import { KdumpError, printable } from '../errors.js';
import type { FileSystem } from '../file/file-system.js';
import type { Act, CommonOptions } from './command.js';
import { COMMANDS } from './commands.js';
import type { Console } from './console.js';
import { exitCodeOf, outcomeOf, type Outcome } from './outcome.js';
import { themeFor } from './theme.js';

/** What the program needs of the world. */
export interface World {
  readonly fileSystem: FileSystem;
  readonly version: string;
  readonly environment: NodeJS.ProcessEnv;
  readonly isTerminal: boolean;
  readonly writeOut: (text: string) => void;
  readonly writeError: (text: string) => void;
}

/** Runs the command line `args` (without node and script) and gives the exit code: at once, or when a command that waits for events ends. Never throws. */
export function run(args: readonly string[], world: World): number | Promise<number> {
  const failed = (error: unknown): number => {
    if (error instanceof CommanderError) return exitCodeOf(error.exitCode === 0 ? 'done' : 'usage');
    world.writeError(`kdump-hotplug: ${messageOf(error)}\n`);
    return exitCodeOf(outcomeOf(error));
  };
  let result: Outcome | Promise<Outcome> = 'done';
  try {
    buildProgram(args, world, (options, action) => {
      result = action({ fileSystem: world.fileSystem, console: consoleFor(world, options) });
    }).parse(args, { from: 'user' });
    return typeof result === 'string' ? exitCodeOf(result) : (result as Promise<Outcome>).then(exitCodeOf, failed);
  } catch (error) {
    return failed(error);
  }
}

function messageOf(error: unknown): string {
  if (error instanceof KdumpError) return error.message;
  return `a bug: ${printable(error instanceof Error ? error.message : String(error))}; please report it with the command line`;
}

function buildProgram(args: readonly string[], world: World, act: Act): Command {
  const program = new Command('kdump-hotplug')
    .description('Reads, checks and patches kdump images after CPU and memory hotplug')
    .version(world.version)
    .showSuggestionAfterError()
    .configureOutput({
      writeOut: world.writeOut,
      writeErr: world.writeError,
      outputError: (text, write) => {
        write(
          `kdump-hotplug: ${printable(
            text
              .trim()
              .replace(/^error: /, '')
              .replace(/\n/g, ' '),
          )}\n`,
        );
      },
    })
    .exitOverride();

  const wanted = args.find((arg) => Object.hasOwn(COMMANDS, arg));
  // Those that were not asked for matter only to the program's help and to suggestions.
  const isFirst = wanted !== undefined && wanted === args[0];
  for (const [name, definition] of Object.entries(COMMANDS)) {
    if (isFirst && name !== wanted) continue;
    const command = program.command(name).description(definition.summary);
    if (name === wanted) definition.define(addCommonOptions(command), act);
  }
  return program;
}

function addCommonOptions(command: Command): Command {
  return command
    .addOption(new Option('--color <when>', 'colours in the output').choices(['auto', 'always', 'never']))
    .option('-q, --quiet', 'less on standard error')
    .option('-v, --verbose', 'more on standard error')
    .option('--json', 'one JSON document on standard output');
}

function consoleFor(world: World, { color = 'auto', quiet = false, verbose = false, json = false }: CommonOptions): Console {
  const print = (text: string): void => {
    world.writeOut(`${text}\n`);
  };
  return {
    print,
    result: (document, text) => {
      print(json ? JSON.stringify(document(), null, 2) : text(themeFor(color, world.environment, world.isTerminal)));
    },
    note: (text) => {
      if (!quiet) world.writeError(`${text}\n`);
    },
    detail: (text) => {
      if (verbose && !quiet) world.writeError(`${text}\n`);
    },
  };
}
