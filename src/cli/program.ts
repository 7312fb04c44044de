import { Command, CommanderError, Option } from 'commander';
import { KdumpError, printable } from '../errors.js';
import type { FileSystem } from '../file/file-system.js';
import { jsonText } from '../text/json-text.js';
import type { Act, CommonOptions, Context } from './command.js';
import { COMMANDS } from './commands.js';
import type { Console } from './console.js';
import { examplesOf } from './examples.js';
import { exitCodeOf, type Outcome } from './outcome.js';
import { NO_PROGRESS, terminalProgress } from './progress.js';
import { errorToJson } from './render/error-json.js';
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
  const asked = asCommand(args);
  // What is wrong with the command line is told in the form that it asks for, too.
  let isJson = asked.slice(0, endOfOptions(asked)).includes('--json');
  const failed = (error: unknown): number => {
    if (error instanceof CommanderError && error.exitCode === 0) return exitCodeOf('done');
    // No command at all: the help was printed instead.
    if (error instanceof CommanderError && error.code === 'commander.help') return exitCodeOf('usage');
    const document = errorToJson(error instanceof CommanderError ? usageError(error, asked) : error);
    world.writeError(`kdump-hotplug: ${document.error.message}\n`);
    // Each line of what watch prints is a document.
    if (isJson) world.writeOut(`${jsonText(document, asked[0] === 'watch' ? undefined : 2)}\n`);
    return exitCodeOf(document.error.kind);
  };
  let result: Outcome | Promise<Outcome> = 'done';
  try {
    buildProgram(asked, world, (options, action) => {
      isJson = options.json === true;
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

function commandIn(args: readonly string[]): string | undefined {
  return args.find((arg) => Object.hasOwn(COMMANDS, arg));
}

/** What commander says of a wrong command line, as an error like any other. */
function usageError(error: CommanderError, args: readonly string[]): KdumpError {
  const problem = error.message
    .trim()
    .replace(/^error: /, '')
    .replace(/\n/g, ' ');
  const wanted = commandIn(args);
  const isTooEarly = wanted !== undefined && args[0] !== wanted && error.code === 'commander.unknownOption';
  return new KdumpError('usage', printable(problem), isTooEarly ? { remedy: 'options come after the command' } : {});
}

/** Where the options end: what follows `--` are operands. */
function endOfOptions(args: readonly string[]): number {
  const end = args.indexOf('--');
  return end < 0 ? args.length : end;
}

/** The program with its commands; only the one that `args` ask for has its options. */
export function buildProgram(
  args: readonly string[],
  world: Pick<World, 'version' | 'columns' | 'writeOut' | 'writeError'>,
  act: Act,
): Command {
  const wanted = commandIn(args);
  const program = new Command('kdump-hotplug')
    .description('Reads, checks and patches kdump images after CPU and memory hotplug')
    .version(world.version)
    .showSuggestionAfterError()
    .configureOutput({
      writeOut: world.writeOut,
      writeErr: world.writeError,
      // It is thrown as well, and told by whoever catches it.
      outputError: () => undefined,
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
      print(json ? jsonText(document(), 2) : text(themeFor(color, world, verbose)));
    },
    note: (text) => {
      if (!quiet) world.writeError(`${text}\n`);
    },
    detail: (text) => {
      if (verbose && !quiet) world.writeError(`${text}\n`);
    },
  };
}
