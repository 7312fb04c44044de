import type { CommandCompletion, OptionCompletion, Values } from './completions.js';

export function fishScript(commands: readonly CommandCompletion[]): string {
  const isFirst = '-n __fish_use_subcommand';
  return [
    '# fish completion for kdump-hotplug, made by: kdump-hotplug completion fish',
    'complete -c kdump-hotplug -f',
    ...commands.map(({ name, summary }) => `complete -c kdump-hotplug ${isFirst} -a ${name} -d ${quoted(summary)}`),
    `complete -c kdump-hotplug ${isFirst} -a help -d 'options and examples of a command'`,
    `complete -c kdump-hotplug -n '__fish_seen_subcommand_from help' -a ${quoted(commands.map(({ name }) => name).join(' '))}`,
    ...commands.flatMap(commandLines),
  ].join('\n');
}

function commandLines({ name, options, operands }: CommandCompletion): string[] {
  const start = `complete -c kdump-hotplug -n '__fish_seen_subcommand_from ${name}'`;
  return [
    ...options.map((option) => `${start}${optionFlags(option)} -d ${quoted(option.description)}`),
    ...operands.map(({ values }) => `${start}${operandFlags(values)}`),
  ];
}

function optionFlags({ flags, values }: OptionCompletion): string {
  const names = flags.map((flag) => (flag.startsWith('--') ? ` -l ${flag.slice(2)}` : ` -s ${flag.slice(1)}`)).join('');
  if (values === undefined) return names;
  return values === 'files' ? `${names} -r -F` : `${names} -x${values === null ? '' : operandFlags(values)}`;
}

function operandFlags(values: Values): string {
  if (values === null) return '';
  if (values === 'files') return ' -F';
  return ` -a ${values === 'directories' ? "'(__fish_complete_directories)'" : quoted(values.join(' '))}`;
}

/** fish knows two escapes in single quotes. */
function quoted(text: string): string {
  return `'${text.replaceAll(/[\\']/g, '\\$&')}'`;
}
