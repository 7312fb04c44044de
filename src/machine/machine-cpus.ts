import { KdumpError } from '../errors.js';
import { excerpt } from '../text/excerpt.js';
import type { DirectoryReader } from './device-tree.js';
import { sysfsText } from './sysfs-text.js';

/** Where a CPU's registers are saved at a crash: `crash_notes` and `crash_notes_size`, physical. */
export interface CrashNotes {
  readonly address: bigint;
  readonly size: bigint;
}

/** The CPUs of a machine by the numbers that Linux gives them, as /sys/devices/system/cpu has them. Lists are ascending. */
export interface MachineCpus {
  /** That could ever be there: the kernel keeps room for the notes of each. */
  readonly possible: readonly number[];
  readonly present: readonly number[];
  readonly online: readonly number[];
  /** Of each CPU that has a directory: those present, on ppc64 all that are possible. */
  readonly crashNotes: ReadonlyMap<number, CrashNotes>;
}

const CPU = /^cpu([0-9]{1,5})$/;
/** An elfcorehdr cannot have the notes of more (e_phnum). */
const MOST_CPUS = 0x10000;
/** A file of sysfs has one page, of 64 KiB at most. */
const LONGEST_LIST = 0x10000;

/**
 * The CPUs of a directory such as /sys/devices/system/cpu, read as root (Documentation/ABI/testing/sysfs-devices-system-cpu).
 *
 * @throws KdumpError `input`, with the path in `file`, when it is not such a directory, or lacks the crash notes of a CPU that is present
 */
export function readMachineCpus(reader: DirectoryReader, path: string): MachineCpus {
  const entries = reader.list(path);
  const names = new Set(entries.map(({ name }) => name));
  const list = (name: string): number[] => {
    if (!names.has(name)) throw notCpus(path, `no ${name}`);
    return cpuList(sysfsText(reader, `${path}/${name}`, LONGEST_LIST), `${path}/${name}`);
  };
  const [possible, present, online] = [list('possible'), list('present'), list('online')];
  const crashNotes = new Map<number, CrashNotes>();
  for (const { name } of entries) {
    const number = CPU.exec(name)?.[1];
    if (number === undefined || !reader.list(`${path}/${name}`).some((entry) => entry.name === 'crash_notes')) continue;
    crashNotes.set(Number(number), {
      address: value(reader, `${path}/${name}/crash_notes`, 16),
      size: value(reader, `${path}/${name}/crash_notes_size`, 10),
    });
  }
  const without = present.find((cpu) => !crashNotes.has(cpu));
  if (without !== undefined) {
    throw new KdumpError('input', `CPU ${without} has no crash notes here`, {
      file: `${path}/cpu${without}`,
      expected: 'crash_notes and crash_notes_size',
      remedy: 'copy them as root; a kernel without CONFIG_CRASH_DUMP has none',
    });
  }
  return { possible, present, online, crashNotes };
}

/** `0-3,8`, ascending, or nothing (cpumap_print_to_pagebuf). */
function cpuList(text: string, file: string): number[] {
  const bad = (): KdumpError =>
    new KdumpError('input', 'not a list of CPUs', { file, found: excerpt(text), expected: 'numbers and ranges, such as 0-3,8' });
  const cpus: number[] = [];
  for (const part of text === '' ? [] : text.split(',')) {
    const [, first, last = first] = /^([0-9]{1,5})(?:-([0-9]{1,5}))?$/.exec(part) ?? [];
    const [start, end] = [Number(first), Number(last)];
    if (first === undefined || end < start || end >= MOST_CPUS || start <= (cpus.at(-1) ?? -1)) throw bad();
    for (let cpu = start; cpu <= end; cpu += 1) cpus.push(cpu);
  }
  return cpus;
}

function value(reader: DirectoryReader, file: string, base: 10 | 16): bigint {
  const text = sysfsText(reader, file);
  const isNumber = base === 16 ? /^[0-9a-f]{1,16}$/i.test(text) : /^[0-9]{1,10}$/.test(text);
  if (!isNumber) {
    const expected = base === 16 ? 'a hexadecimal address' : 'a number of bytes';
    throw new KdumpError('input', 'not the crash notes of a CPU', { file, found: excerpt(text), expected });
  }
  return BigInt(base === 16 ? `0x${text}` : text);
}

function notCpus(file: string, found: string): KdumpError {
  return new KdumpError('input', 'not the CPUs of a machine', {
    file,
    found,
    expected: 'possible, present, online, cpu0, …',
    remedy: 'give /sys/devices/system/cpu or a copy of it, made as root',
  });
}
