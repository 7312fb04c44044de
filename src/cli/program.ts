import { Command, CommanderError, Option } from 'commander';
import { KdumpError, printable } from '../errors.js';
import type { FileSystem } from '../file/file-system.js';
import type { Act, CommonOptions, Context } from './command.js';
import { COMMANDS } from './commands.js';
import type { Console } from './console.js';
import { examplesOf } from './examples.js';
import { exitCodeOf, outcomeOf, type Outcome } from './outcome.js';
import { NO_PROGRESS, terminalProgress } from './progress.js';
import { themeFor } from './render/theme.js';

const COLUMNS = 80;

/** What the program needs of the world. */
export interface World {
  readonly fileSystem: FileSystem;
  readonly version: string;
  readonly environment: NodeJS.ProcessEnv;
  /** Whether standard output is one. */
  readonly isTerminal: boolean;
  /** Its width. */
  readonly columns?: number | undefined;
  /** Whether standard error is a terminal, and its width. */
  readonly errorIsTerminal?: boolean;
  readonly errorColumns?: number | undefined;
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
  const asked = asCommand(args);
  try {
    buildProgram(asked, world, (options, action) => {
      result = action(contextFor(world, options));
    }).parse(asked, { from: 'user' });
    return typeof result === 'string' ? exitCodeOf(result) : (result as Promise<Outcome>).then(exitCodeOf, failed);
  } catch (error) {
    return failed(error);
  }
}

/** `help` of a command that there is not is asked for as that command: commander then names the one that was meant. */
function asCommand(args: readonly string[]): readonly string[] {
  const [first, name] = args;
  const isMistyped = first === 'help' && name !== undefined && name !== 'help' && !Object.hasOwn(COMMANDS, name);
  return isMistyped ? args.slice(1) : args;
}

function contextFor(world: World, options: CommonOptions): Context {
  const console = consoleFor(world, options);
  const showsProgress = options.quiet !== true && options.json !== true && world.errorIsTerminal === true;
  return {
    console,
    version: world.version,
    ...(showsProgress ? terminalProgress(world) : { fileSystem: world.fileSystem, progress: NO_PROGRESS }),
  };
}

function messageOf(error: unknown): string {
  if (error instanceof KdumpError) return error.message;
  return `a bug: ${printable(error instanceof Error ? error.message : String(error))}; please report it with the command line`;
}

/** The program with its commands; only the one that `args` ask for has its options. */
export function buildProgram(
  args: readonly string[],
  world: Pick<World, 'version' | 'columns' | 'writeOut' | 'writeError'>,
  act: Act,
): Command {
  const wanted = args.find((arg) => Object.hasOwn(COMMANDS, arg));
  const program = new Command('kdump-hotplug')
    .description('Reads, checks and patches kdump images after CPU and memory hotplug')
    .version(world.version)
    .showSuggestionAfterError()
    .configureOutput({
      writeOut: world.writeOut,
      writeErr: world.writeError,
      outputError: (text, write) => {
        const problem = text
          .trim()
          .replace(/^error: /, '')
          .replace(/\n/g, ' ');
        const isTooEarly = wanted !== undefined && args[0] !== wanted && problem.startsWith('unknown option');
        write(`kdump-hotplug: ${printable(problem)}${isTooEarly ? '; options come after the command' : ''}\n`);
      },
      getOutHelpWidth: () => world.columns ?? COLUMNS,
      getErrHelpWidth: () => COLUMNS,
    })
    .addHelpText('after', () => examplesText(''))
    .exitOverride();

  // Those that were not asked for matter only to the program's help and to suggestions.
  const isFirst = wanted !== undefined && wanted === args[0];
  const all = wanted !== undefined && COMMANDS[wanted]?.needsAll === true;
  for (const [name, definition] of Object.entries(COMMANDS)) {
    if (isFirst && !all && name !== wanted) continue;
    const command = program.command(name).description(definition.summary);
    if (!all && name !== wanted) continue;
    definition.define(command, act);
    addCommonOptions(command).addHelpText('after', () => examplesText(name));
  }
  return program;
}

function examplesText(name: string): string {
  return ['', 'Examples:', ...examplesOf(name).flatMap(([does, line]) => [`  # ${does}`, `  ${line}`])].join('\n');
}

function addCommonOptions(command: Command): Command {
  return command
    .optionsGroup('Common options:')
    .addOption(new Option('--color <when>', 'colours in the output').choices(['auto', 'always', 'never']))
    .option('-q, --quiet', 'less on standard error')
    .option('-v, --verbose', 'more on standard error, and long lists whole')
    .option('--json', 'one JSON document on standard output')
    .helpOption('-h, --help', 'these options, and examples');
}

function consoleFor(world: World, { color = 'auto', quiet = false, verbose = false, json = false }: CommonOptions): Console {
  const print = (text: string): void => {
    world.writeOut(`${text}\n`);
  };
  return {
    print,
    result: (document, text) => {
      print(json ? JSON.stringify(document(), null, 2) : text(themeFor(color, world, verbose)));
    },
    note: (text) => {
      if (!quiet) world.writeError(`${text}\n`);
    },
    detail: (text) => {
      if (verbose && !quiet) world.writeError(`${text}\n`);
    },
  };
}
