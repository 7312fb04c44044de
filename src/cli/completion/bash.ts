import { quoted, type CommandCompletion, type Values } from './completions.js';

/** For bash 4.4 and later. It needs nothing of the bash-completion package, whose loader finds it by its name. */
export function bashScript(commands: readonly CommandCompletion[]): string {
  const names = ['help', ...commands.map(({ name }) => name)];
  return `# bash completion for kdump-hotplug, made by: kdump-hotplug completion bash
_kdump_hotplug() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD - 1]} command=\${COMP_WORDS[1]}
  local options= with_value= values= operand=0 i
  COMPREPLY=()

  if ((COMP_CWORD == 1)); then
    mapfile -t COMPREPLY < <(compgen -W ${quoted(`${names.join(' ')} --help --version`)} -- "$current")
    return
  fi

  # --option=value comes as three words.
  if [[ $current == = ]]; then
    current=
  elif [[ $previous == = ]]; then
    previous=\${COMP_WORDS[COMP_CWORD - 2]}
  fi

  case $command in
${commands.map(optionsCase).join('\n')}
  help)
    mapfile -t COMPREPLY < <(compgen -W ${quoted(names.join(' '))} -- "$current")
    return
    ;;
  *) return ;;
  esac

  for ((i = 2; i < COMP_CWORD; i++)); do
    case \${COMP_WORDS[i]} in
    -*)
      if [[ " $with_value " == *" \${COMP_WORDS[i]} "* ]]; then
        ((i++))
        [[ \${COMP_WORDS[i]} == = ]] && ((i++))
      fi
      ;;
    *) ((operand++)) ;;
    esac
  done

  if [[ " $with_value " == *" $previous "* ]]; then
    case "$command $previous" in
${commands.flatMap(valueCases).join('\n')}
    esac
  elif [[ $current == -* ]]; then
    values=$options
  else
    case "$command $operand" in
${commands.flatMap(operandCases).join('\n')}
    esac
  fi

  case $values in
  '<files>')
    compopt -o filenames
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
    ;;
  '<directories>')
    compopt -o filenames
    mapfile -t COMPREPLY < <(compgen -d -- "$current")
    ;;
  *) mapfile -t COMPREPLY < <(compgen -W "$values" -- "$current") ;;
  esac
}
complete -F _kdump_hotplug kdump-hotplug`;
}

function optionsCase({ name, options }: CommandCompletion): string {
  const flags = options.flatMap((option) => option.flags);
  const withValue = options.filter(({ values }) => values !== undefined).flatMap((option) => option.flags);
  return `  ${name})
    options=${quoted(flags.join(' '))}
    with_value=${quoted(withValue.join(' '))}
    ;;`;
}

function valueCases({ name, options }: CommandCompletion): string[] {
  return options.flatMap(({ flags, values }) =>
    values == null ? [] : [`    ${flags.map((flag) => `"${name} ${flag}"`).join(' | ')}) values=${quoted(words(values))} ;;`],
  );
}

function operandCases({ name, operands }: CommandCompletion): string[] {
  return operands.flatMap(({ values, isRepeated }, index) =>
    values === null ? [] : [`    "${name} "${isRepeated ? '*' : index}) values=${quoted(words(values))} ;;`],
  );
}

function words(values: Exclude<Values, null>): string {
  return typeof values === 'string' ? `<${values}>` : values.join(' ');
}
