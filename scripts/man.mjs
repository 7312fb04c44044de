// Makes man/kdump-hotplug.1 from the definitions that the program itself reads its command line with.
// It is made at each build and not kept: a page in the repository would only ever be late.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const at = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const { version, description } = JSON.parse(readFileSync(at('package.json'), 'utf8'));

/** The program with all its commands, and their examples. */
async function definitions() {
  const folder = mkdtempSync(join(tmpdir(), 'kdump-hotplug-man-'));
  try {
    const outfile = join(folder, 'definitions.cjs');
    const contents = `export { buildProgram } from './src/cli/program.js';\nexport { examplesOf } from './src/cli/examples.js';`;
    await build({
      stdin: { contents, resolveDir: at('.') },
      outfile,
      bundle: true,
      platform: 'node',
      format: 'cjs',
      logLevel: 'error',
    });
    const { default: module } = await import(pathToFileURL(outfile).href);
    // What a completion script is made of is all of them.
    const program = module.buildProgram(['completion'], { version, writeOut() {}, writeError() {} }, () => {});
    return { program, examplesOf: module.examplesOf };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Text that roff prints as it is. */
const text = (value) =>
  value
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll(/^([.'])/gm, '\\&$1');
const bold = (value) => `\\fB${text(value)}\\fR`;
const sentence = (value) => value[0].toUpperCase() + value.slice(1);

function optionEntry(option) {
  const flags = option.flags.replaceAll(/<([^>]*)>/g, (_, name) => `\0${name}\x01`);
  const shown = text(flags).replaceAll('\0', '\\fI').replaceAll('\x01', '\\fR');
  const choices = option.argChoices === undefined ? '' : `; ${option.argChoices.join(', ')}`;
  return `.TP\n${shown}\n${text(sentence(option.description) + choices)}.`;
}

function operandEntry(argument) {
  const { argChoices, description } = argument;
  const name = argument.name();
  const choices = argChoices === undefined ? '' : `; ${argChoices.join(', ')}`;
  return `.TP\n\\fI${text(name)}\\fR\n${text(sentence(description || name) + choices)}.`;
}

/** Options by the heading they have in the help. */
function groupsOf(command) {
  const groups = new Map();
  for (const option of command.createHelp().visibleOptions(command)) {
    const heading = option.helpGroupHeading ?? 'Options:';
    groups.set(heading, [...(groups.get(heading) ?? []), option]);
  }
  return groups;
}

/** Groups that several commands have are told once. */
function sharedGroups(commands) {
  const shared = new Map();
  for (const command of commands) {
    for (const [heading, options] of groupsOf(command)) {
      if (heading === 'Options:') continue;
      const all = shared.get(heading) ?? new Map();
      for (const option of options) if (!all.has(option.flags)) all.set(option.flags, option);
      shared.set(heading, all);
    }
  }
  return shared;
}

function commandSection(command) {
  const groups = groupsOf(command);
  const also = [...groups.keys()].filter((heading) => heading !== 'Options:').map((heading) => bold(heading.replace(/:$/, '')));
  const operands = command.registeredArguments.map((each) => {
    const name = each.variadic ? `${each.name()}…` : each.name();
    return each.required ? `\\fI${text(name)}\\fR` : `[\\fI${text(name)}\\fR]`;
  });
  return [
    `.SS ${text(command.name())}`,
    `${bold(`kdump-hotplug ${command.name()}`)} [\\fIoptions\\fR] ${operands.join(' ')}`.trimEnd(),
    '.PP',
    `${text(sentence(command.description()).replace(/\.?$/, (end) => (command.description().endsWith('?') ? '' : end || '.')))}`,
    ...command.registeredArguments.map(operandEntry),
    ...(groups.get('Options:') ?? []).map(optionEntry),
    '.PP',
    `And under OPTIONS: ${also.join(', ')}.`,
  ].join('\n');
}

const table = (rows) => rows.map(([term, meaning]) => `.TP\n${bold(term)}\n${text(meaning)}`).join('\n');

const { program, examplesOf } = await definitions();
const { commands } = program;
const today = new Date(Number(process.env.SOURCE_DATE_EPOCH ?? Date.now() / 1000) * 1000).toISOString().slice(0, 10);

const page = `.\\" Made by scripts/man.mjs; do not edit.
.TH KDUMP\\-HOTPLUG 1 ${today} "kdump\\-hotplug ${version}" "User Commands"
.SH NAME
kdump\\-hotplug \\- ${text(description[0].toLowerCase() + description.slice(1))}
.SH SYNOPSIS
${bold('kdump-hotplug')} \\fIcommand\\fR [\\fIoptions\\fR] [\\fIoperands\\fR]
.br
${bold('kdump-hotplug help')} [\\fIcommand\\fR]
.SH DESCRIPTION
A crash kernel is loaded ahead of time, and with it a description of the machine: the elfcorehdr lists the memory that a dump will hold,
and on architectures with a device tree the FDT lists the CPUs.
Both are out of date after CPUs or memory were added or removed.
${bold('kdump-hotplug')} shows what is in such an image, tells whether it is up to date, and rewrites just these segments.
It works on files: a packed image of its own, or the memory of a guest.
.PP
Numbers are decimal or 0x\\&...; sizes may end in K, M, G or T (powers of 1024).
A \\fIrange\\fR is START+SIZE, or START\\-END with END inclusive, as in /proc/iomem.
Options come after the command.
.SH COMMANDS
${commands.map(commandSection).join('\n')}
.SH OPTIONS
${[...sharedGroups(commands)]
  .map(([heading, options]) => `.SS ${text(heading.replace(/:$/, ''))}\n${[...options.values()].map(optionEntry).join('\n')}`)
  .join('\n')}
.SH EXIT STATUS
${table([
  ['0', 'Done. For check: sound, and what was compared is current (with --strict: everything was). For diff: no difference.'],
  ['1', 'check: not sound or not current. diff: they differ.'],
  ['2', 'The command line or the change file is wrong.'],
  ['3', 'The input is not a kdump image, or is damaged, or of a kind not supported.'],
  ['4', 'The change was refused; nothing was written.'],
  ['5', 'Reading or writing failed, or another process uses the image; it is as it was, or recover makes it so.'],
])}
.PP
Results go to standard output, everything else to standard error, with ${bold('--quiet')} nothing but errors.
An error is one line.
.SH ENVIRONMENT
${table([
  ['NO_COLOR', 'If not empty, no colours, unless --color says otherwise.'],
  ['FORCE_COLOR', 'If not empty and not 0, colours also where the output is no terminal.'],
  ['TERM', 'Its value dumb means no colours.'],
  ['LC_ALL, LC_CTYPE, LANG', 'In a UTF-8 locale, maps on a terminal are drawn with blocks, else in ASCII.'],
])}
.SH FILES
${table([
  [
    '.IMAGE.kdhp-journal',
    'Beside an image while it is patched. The next command that writes, or recover, takes an interrupted patch back by it.',
  ],
  ['OUTPUT.partial', 'A new file until it is complete.'],
])}
.SH EXAMPLES
${commands
  .flatMap((command) => examplesOf(command.name()))
  .map(([does, line]) => `.PP\n${text(sentence(does))}${does.endsWith('?') ? '' : ':'}\n.PP\n.nf\n.RS 4\n${text(line)}\n.RE\n.fi`)
  .join('\n')
  .replace('.PP\n', '')}
.SH SEE ALSO
.BR crash (8),
.BR dtc (1),
.BR kdumpctl (8),
.BR kexec (8),
.BR makedumpfile (8)
`;

mkdirSync(at('man'), { recursive: true });
writeFileSync(at('man/kdump-hotplug.1'), page);
