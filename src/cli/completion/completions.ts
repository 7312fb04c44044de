import type { Argument, Command, Option } from 'commander';

/** What a value can be completed to; null where only the user knows. */
export type Values = 'files' | 'directories' | readonly string[] | null;

export interface OptionCompletion {
  /** `-o`, `--output` */
  readonly flags: readonly string[];
  readonly description: string;
  /** undefined for an option without a value. */
  readonly values: Values | undefined;
}

export interface OperandCompletion {
  readonly name: string;
  readonly values: Values;
  readonly isRepeated: boolean;
}

export interface CommandCompletion {
  readonly name: string;
  readonly summary: string;
  readonly options: readonly OptionCompletion[];
  readonly operands: readonly OperandCompletion[];
}

export function completionsOf(command: Command): CommandCompletion {
  const help = command.createHelp();
  return {
    name: command.name(),
    summary: help.subcommandDescription(command),
    options: help.visibleOptions(command).map((option) => ({
      flags: [option.short, option.long].filter((flag) => flag !== undefined),
      description: option.description,
      values: option.required || option.optional ? valuesOfOption(option) : undefined,
    })),
    operands: command.registeredArguments.map((argument) => ({
      name: argument.name(),
      values: valuesOfOperand(argument),
      isRepeated: argument.variadic,
    })),
  };
}

/** What its value is called says what it is: `<file>`, `<dir>`. */
function valuesOfOption({ argChoices, flags }: Option): Values {
  if (argChoices !== undefined) return argChoices;
  const [, name = ''] = /[<[](.*)[>\]]/.exec(flags) ?? [];
  if (name.startsWith('dir')) return 'directories';
  return /^(file|path|image|socket)$/.test(name) ? 'files' : null;
}

/** Operands are images and other files. */
function valuesOfOperand({ argChoices }: Argument): Values {
  return argChoices ?? 'files';
}

/** A word for the shell, whatever is in it. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
