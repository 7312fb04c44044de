import { Command, CommanderError, Option } from 'commander';
import { KdumpError, printable } from '../errors.js';
import type { FileSystem } from '../file/file-system.js';
import { parseSegmentOperand } from '../image/manifest.js';
import { parseNumber } from '../text/numbers.js';
import { addChangeOptions, compatOption, type ChangeArgument } from './change-options.js';
import { apply, type ApplyOptions } from './commands/apply.js';
import { capture, type CaptureOptions } from './commands/capture.js';
import { check, type CheckOptions } from './commands/check.js';
import { diff } from './commands/diff.js';
import { extract, type ExtractOptions } from './commands/extract.js';
import { inspect, type InspectOptions } from './commands/inspect.js';
import { pack, type PackOptions } from './commands/pack.js';
import { recoverImage } from './commands/recover.js';
import { undo, type UndoOptions } from './commands/undo.js';
import type { RecoverOptions } from '../patch/recover.js';
import { sync, type SyncOptions } from './commands/sync.js';
import type { Console } from './console.js';
import { addImageOptions, operand, repeated, type ImageOptions } from './options.js';
import { exitCodeOf, outcomeOf, type Outcome } from './outcome.js';
import { addStateOptions } from './state-options.js';
import { themeFor, type ColorChoice } from './theme.js';

/** What the program needs of the world. */
export interface World {
  readonly fileSystem: FileSystem;
  readonly version: string;
  readonly environment: NodeJS.ProcessEnv;
  readonly isTerminal: boolean;
  readonly writeOut: (text: string) => void;
  readonly writeError: (text: string) => void;
}

interface CommonOptions {
  color?: ColorChoice;
  quiet?: boolean;
  verbose?: boolean;
}

/** Runs the command line `args` (without node and script) and returns the exit code. Never throws. */
export function run(args: readonly string[], world: World): number {
  let outcome: Outcome = 'done';
  const program = buildProgram(world, (result) => {
    outcome = result;
  });
  try {
    program.parse(args, { from: 'user' });
    return exitCodeOf(outcome);
  } catch (error) {
    if (error instanceof CommanderError) return exitCodeOf(error.exitCode === 0 ? 'done' : 'usage');
    world.writeError(`kdump-hotplug: ${messageOf(error)}\n`);
    return exitCodeOf(outcomeOf(error));
  }
}

function messageOf(error: unknown): string {
  if (error instanceof KdumpError) return error.message;
  return `a bug: ${printable(error instanceof Error ? error.message : String(error))}; please report it with the command line`;
}

function buildProgram(world: World, finish: (outcome: Outcome) => void): Command {
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

  const add = (name: string, description: string): Command =>
    program
      .command(name)
      .description(description)
      .addOption(new Option('--color <when>', 'colours in the output').choices(['auto', 'always', 'never']))
      .option('-q, --quiet', 'less on standard error')
      .option('-v, --verbose', 'more on standard error')
      .option('--json', 'one JSON document on standard output');
  const console = (options: CommonOptions): Console => consoleFor(world, options);
  const { fileSystem } = world;

  addImageOptions(add('inspect', 'show what is in an image'))
    .argument('<image>')
    .option('--verify', "check the purgatory's digest, which reads all it covers")
    .option('--fdt', 'print the device tree source')
    .action((path: string, options: InspectOptions & CommonOptions) => {
      finish(inspect(fileSystem, path, options, console(options)));
    });

  addImageOptions(addStateOptions(add('check', 'is an image sound, and does it match a machine?').argument('<image>'))).action(
    (path: string, options: CheckOptions & CommonOptions) => {
      finish(check(fileSystem, path, options, console(options)));
    },
  );

  for (const name of ['plan', 'apply'] as const) {
    const given: ChangeArgument[] = [];
    const planning = name === 'plan';
    const command = addImageOptions(
      addChangeOptions(
        add(name, planning ? 'show what apply would do, and whether it fits' : 'make changes in an image, in place').argument('<image>'),
        given,
      ),
    );
    if (!planning) addWriteOptions(command);
    command.action((path: string, options: ApplyOptions & CommonOptions) => {
      finish(apply(fileSystem, path, given, planning ? { ...options, dryRun: true } : options, console(options)));
    });
  }

  addWriteOptions(addImageOptions(addStateOptions(add('sync', 'bring an image to the state of a machine').argument('<image>'))))
    .option('--force', 'go on where a refusal says that it is forcible')
    .addOption(compatOption())
    .action((path: string, options: SyncOptions & CommonOptions) => {
      finish(sync(fileSystem, path, options, console(options)));
    });

  add('undo', 'take back an apply or sync that was given --save-undo')
    .argument('<image>')
    .argument('<undo-file>')
    .option('--live', 'the file is the memory of a paused guest')
    .option('--force', 'go on where a refusal says that it is forcible')
    .action((path: string, undoFile: string, options: UndoOptions & CommonOptions) => {
      finish(undo(fileSystem, path, undoFile, options, console(options)));
    });

  add('recover', 'take back an interrupted patch, as every writing command does first')
    .argument('<image>')
    .option('--forward', 'finish it instead')
    .option('--live', 'the file is the memory of a paused guest')
    .option('--force', 'although somebody else wrote to the image since')
    .action((path: string, options: RecoverOptions & CommonOptions & { json?: boolean }) => {
      finish(recoverImage(fileSystem, path, options, console(options)));
    });

  addImageOptions(add('diff', 'what differs between two images, in CPUs and memory ranges'))
    .argument('<before>')
    .argument('<after>')
    .action((before: string, after: string, options: ImageOptions & CommonOptions & { json?: boolean }) => {
      finish(diff(fileSystem, before, after, options, console(options)));
    });

  addImageOptions(add('capture', 'take the segments out of memory into a packed image'))
    .argument('<memory>')
    .requiredOption('-o, --output <image>', 'the new image')
    .option('--iomem <file>', 'take the crashkernel range from there (default /proc/iomem for /proc/kcore)')
    .option('--overwrite', 'replace an existing output file')
    .action((source: string, options: CaptureOptions & CommonOptions) => {
      finish(capture(fileSystem, source, options, console(options)));
    });

  add('pack', 'make a packed image from segment files or a manifest')
    .requiredOption('-o, --output <image>', 'the new image')
    .option('--manifest <file>', 'describes the segments, JSON')
    .option('--architecture <name>', 'of the kernel, with --segment')
    .option('--segment <name=file@addr[+memsz]>', 'a segment; repeatable', repeated(parseSegmentOperand))
    .option('--entry <addr>', 'kexec entry point, with --segment', operand(parseNumber))
    .option('--overwrite', 'replace an existing output file')
    .action((options: PackOptions & CommonOptions) => {
      finish(pack(fileSystem, options, console(options)));
    });

  addImageOptions(add('extract', 'take segments out, each into a file of its own'))
    .argument('<image>')
    .argument('[segment...]')
    .option('-d, --directory <dir>', 'where the files go', '.')
    .option('--manifest', 'also write the manifest that pack takes')
    .option('--overwrite', 'replace existing output files')
    .action((path: string, names: string[], options: ExtractOptions & CommonOptions) => {
      finish(extract(fileSystem, path, names, options, console(options)));
    });
  return program;
}

function addWriteOptions(command: Command): Command {
  return command
    .option('-n, --dry-run', 'write nothing, show what would be written')
    .option('-o, --output <file>', 'write to a copy, leave the image alone')
    .option('--save-undo <file>', 'keep what is needed to take the patch back')
    .option('--live', 'the file is the memory of a paused guest')
    .option('--overwrite', 'replace an existing output file');
}

function consoleFor(world: World, { color = 'auto', quiet = false, verbose = false }: CommonOptions): Console {
  return {
    theme: themeFor(color, world.environment, world.isTerminal),
    print: (text) => {
      world.writeOut(`${text}\n`);
    },
    note: (text) => {
      if (!quiet) world.writeError(`${text}\n`);
    },
    detail: (text) => {
      if (verbose && !quiet) world.writeError(`${text}\n`);
    },
  };
}
