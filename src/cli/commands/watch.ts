import { KdumpError } from '../../errors.js';
import { parseNumber, parseSize } from '../../text/numbers.js';
import { compatOption } from '../options/change-options.js';
import type { CommandDefinition } from '../command.js';
import { IMAGE_ARGUMENT, addImageOptions } from '../options/image-options.js';
import { operand } from '../options/operand.js';
import { addQmpOption, requireImage } from '../options/qmp-option.js';
import type { WatchOptions } from '../options/watch-options.js';

export const watchCommand: CommandDefinition = {
  summary: 'apply hotplug events as they come',
  define(command, act) {
    command
      .argument('[image]', IMAGE_ARGUMENT)
      .optionsGroup('Events:')
      .option('--memory-block-size <size>', 'what memory32 is: /sys/devices/system/memory/block_size_bytes', operand(parseBlockSize))
      .option('--memory-blocks <dir>', 'where that and the state of new blocks are read: /sys/devices/system/memory')
      .option('--iomem <file>', 'the memory of the machine, read anew at each burst: crashkernel ranges, and where there is System RAM')
      .option('--device-tree <path>', 'the live device tree, read anew at each burst: a dtb, or a directory such as /proc/device-tree')
      .option('--cpus <dir>', 'x86_64: where CPUs keep their crash notes, read anew at each burst: /sys/devices/system/cpu')
      .option('--settle <ms>', 'how long it has to be quiet before a burst is written (default 50)', operand(parseMilliseconds))
      .optionsGroup('Writing:')
      .option('-n, --dry-run', 'write nothing, show what would be written')
      .option('--live', 'the file is the memory of a paused guest')
      .option('--prune-cpus', 'a CPU that is removed loses its node')
      .option('--force', 'go on where a refusal says that it is forcible')
      .addOption(compatOption());
    addQmpOption(addImageOptions(command))
      .option('--interval <ms>', 'how often QEMU is asked for its devices (default 1000)', operand(parseMilliseconds))
      .action((path: string | undefined, options: WatchOptions) => {
        act(options, (context) => {
          if (options.qmp === undefined) requireImage(path);
          return import('../watch/watch-loop.js').then(({ watch }) => watch(context, path, options));
        });
      });
  },
};

function parseBlockSize(text: string): bigint {
  const size = parseSize(text);
  if (size === 0n || (size & (size - 1n)) !== 0n) {
    throw new KdumpError('usage', 'not the size of memory blocks', { found: text, expected: 'a power of two' });
  }
  return size;
}

function parseMilliseconds(text: string): number {
  const value = parseNumber(text);
  if (value > 3_600_000n) throw new KdumpError('usage', 'too long a time', { found: text, expected: 'at most an hour, in milliseconds' });
  return Number(value);
}
