import { Option, type Command } from 'commander';
import { FORMATS, formatNamed, type ImageFormat } from '../../container/recognise.js';
import type { MachineState } from '../../machine/machine-state.js';
import type { Range } from '../../memory/range.js';
import { parseMapping, parseNumber, parseRange, type Mapping } from '../../text/numbers.js';
import { choice, operand, repeated } from './operand.js';

/** Values of the options of every command that takes an image. */
export interface ImageOptions {
  format?: ImageFormat;
  base?: bigint;
  map?: readonly Mapping[];
  crashKernel?: Range;
  kexecLog?: string;
  /** What other options say of the machine, which may be where its crashkernel range is. */
  machine?: MachineState;
}

/** Of the argument that every command with image options has. */
export const IMAGE_ARGUMENT = 'a packed image, or memory that holds one: a RAM file, an ELF dump, /proc/kcore';

export function addImageOptions(command: Command): Command {
  return command
    .optionsGroup('Image options:')
    .addOption(
      new Option('--format <format>', 'the container; without it recognised from the content')
        .choices(FORMATS)
        .argParser(choice(FORMATS, formatNamed)),
    )
    .option('--base <addr>', 'raw: physical address of file offset 0 (default 0)', operand(parseNumber))
    .option('--map <file-offset:addr:size>', 'raw: where a piece of the file lies in physical memory; repeatable', repeated(parseMapping))
    .option('--crash-kernel <range>', 'look for segments only there ("Crash kernel" of /proc/iomem)', operand(parseRange))
    .option('--kexec-log <file>', 'take the segment table from the output of kexec -d or the kernel log');
}
