import { quoted, type CommandCompletion, type OptionCompletion, type OperandCompletion, type Values } from './completions.js';

/** For a file `_kdump-hotplug` in a directory of $fpath, or to be sourced. */
export function zshScript(commands: readonly CommandCompletion[]): string {
  const described = [...commands, { name: 'help', summary: 'options and examples of a command' }];
  return `#compdef kdump-hotplug
# zsh completion for kdump-hotplug, made by: kdump-hotplug completion zsh
_kdump_hotplug_commands() {
  local -a commands=(
${described.map(({ name, summary }) => `    ${quoted(`${name}:${summary}`)}`).join('\n')}
  )
  _describe command commands
}

_kdump_hotplug() {
  local curcontext=$curcontext state line
  typeset -A opt_args
  _arguments -C '(- *)'{-h,--help}'[help]' '(- *)'{-V,--version}'[version]' '1: :_kdump_hotplug_commands' '*:: :->rest'
  [[ $state == rest ]] || return
  case $words[1] in
${commands.map(commandCase).join('\n')}
  help) _arguments '1: :_kdump_hotplug_commands' ;;
  esac
}

if [[ \${funcstack[1]} == _kdump-hotplug ]]; then
  _kdump_hotplug "$@"
else
  compdef _kdump_hotplug kdump-hotplug
fi`;
}

function commandCase({ name, options, operands }: CommandCompletion): string {
  const specs = [...options.flatMap(optionSpecs), ...operands.map(operandSpec)];
  return `  ${name})
    _arguments -s \\
${specs.map((spec) => `      ${quoted(spec)}`).join(' \\\n')}
    ;;`;
}

/** An option with a value may come again; the other forms of one without need not. */
function optionSpecs({ flags, description, values }: OptionCompletion): string[] {
  const text = `[${description.replaceAll(/[[\]\\]/g, '\\$&')}]`;
  if (values === undefined) return flags.map((flag) => `(${flags.join(' ')})${flag}${text}`);
  return flags.map((flag) => `*${flag}${flag.startsWith('--') ? '=' : '+'}${text}:value:${action(values)}`);
}

function operandSpec({ name, values, isRepeated }: OperandCompletion, index: number): string {
  return `${isRepeated ? '*' : index + 1}:${name}:${action(values)}`;
}

function action(values: Values): string {
  if (values === null) return '';
  if (values === 'files') return '_files';
  return values === 'directories' ? '_files -/' : `(${values.join(' ')})`;
}
