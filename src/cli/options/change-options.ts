import { Option, type Command } from 'commander';
import { KdumpError } from '../../errors.js';
import type { FileSystem } from '../../file/file-system.js';
import { readWholeFile } from '../../file/input-file.js';
import { HEAD_SIZE, expectingFile } from '../../file/known-files.js';
import type { PlanOptions } from '../../plan/plan.js';
import { readMachineState } from '../../machine/read-machine-state.js';
import { MAX_CHANGE_FILE, parseChanges, type Change } from '../../machine/changes.js';
import { parseCpuIds, parseRange } from '../../text/numbers.js';
import { operand } from './operand.js';

/** Values of the options that describe changes. Changes of several options are in the order given. */
export interface ChangeOptions {
  iomem?: string;
  deviceTree?: string;
  cpus?: string;
  compat?: 'linux';
  pruneCpus?: boolean;
  force?: boolean;
}

/** A change option as it was met: changes, or the path of a change file. */
export type ChangeArgument = readonly Change[] | { readonly file: string };

/** Adds the options; what they say is put into `given` in the order of the command line. */
export function addChangeOptions(command: Command, given: ChangeArgument[]): Command {
  const keep = (read: (text: string) => ChangeArgument): ((text: string) => void) => {
    const parse = operand(read);
    return (text) => {
      given.push(parse(text));
    };
  };
  const memory = (action: 'add' | 'remove') => keep((text) => [{ action, memory: parseRange(text) }]);
  const cpus = (action: 'add' | 'remove') => keep((text) => parseCpuIds(text).map((id) => ({ action, cpu: { id } })));
  return command
    .optionsGroup('Changes:')
    .option('--add-memory <range>', 'System RAM that appeared: START+SIZE, or START-END with END inclusive', memory('add'))
    .option('--remove-memory <range>', 'System RAM that was removed or taken offline', memory('remove'))
    .option('--add-cpu <ids>', 'CPUs that appeared, as in reg of their nodes: 2, 0x10, 8-15, 2,4', cpus('add'))
    .option('--remove-cpu <ids>', 'CPUs that went away', cpus('remove'))
    .option(
      '--changes <file>',
      'a change file, JSON or NDJSON; - for standard input',
      keep((file) => ({ file })),
    )
    .option('--iomem <file>', 'the memory of the machine: crashkernel ranges, and where there is System RAM')
    .option('--device-tree <path>', 'the live device tree: a dtb, or a directory such as /proc/device-tree')
    .option('--cpus <dir>', 'x86_64: where an added CPU keeps its crash notes: /sys/devices/system/cpu, read as root, or a copy of it')
    .option('--prune-cpus', "--remove-cpu also deletes the CPU's node")
    .option('--force', 'go on where a refusal says that it is forcible')
    .addOption(compatOption());
}

export function compatOption(): Option {
  return new Option('--compat <kernel>', "the kernel's bytes, with its known defects, instead of the correct ones").choices(['linux']);
}

/** The changes asked for. @throws KdumpError `usage` when there are none, or a change file is wrong */
export function changesFrom(given: readonly ChangeArgument[], fileSystem: FileSystem): Change[] {
  if (given.length === 0) {
    throw new KdumpError('usage', 'no change given', { expected: '--add-memory, --remove-memory, --add-cpu, --remove-cpu or --changes' });
  }
  return given.flatMap((argument) => ('file' in argument ? readChanges(fileSystem, argument.file) : argument));
}

export function planOptionsFrom({ iomem, deviceTree, cpus, compat, pruneCpus, force }: ChangeOptions, fileSystem: FileSystem): PlanOptions {
  return {
    compat,
    pruneCpus,
    force,
    ...readMachineState(fileSystem, { iomem, deviceTree, cpus }),
  };
}

function readChanges(fileSystem: FileSystem, path: string): Change[] {
  try {
    return parseChangesIn(fileSystem, path);
  } catch (error) {
    if (!(error instanceof KdumpError)) throw error;
    const located = error.within({ file: path === '-' ? 'standard input' : path });
    // Whatever is wrong with a change file is a mistake in how the program was called.
    throw located.kind === 'input' ? new KdumpError('usage', located.problem, located.details) : located;
  }
}

function parseChangesIn(fileSystem: FileSystem, path: string): Change[] {
  const { text, head } = textOf(fileSystem, path);
  return expectingFile('json', 'a change file', head, () => parseChanges(text));
}

/** Of its own, so that the bytes need not be kept while the text is read. */
function textOf(fileSystem: FileSystem, path: string): { text: string; head: Uint8Array } {
  const bytes = path === '-' ? fileSystem.readStandardInput(MAX_CHANGE_FILE) : readWholeFile(fileSystem, path, MAX_CHANGE_FILE);
  return {
    text: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8'),
    head: Uint8Array.from(bytes.subarray(0, HEAD_SIZE)),
  };
}
