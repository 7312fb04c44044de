import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** What a copy of /sys/devices/system/cpu says. */
export interface CpusOfMachine {
  /** As in the files: `0-3,8`. */
  readonly possible: string;
  readonly present: string;
  readonly online: string;
  /** CPU, address and size. */
  readonly notes: readonly (readonly [number, bigint, bigint])[];
}

/** Makes a copy of /sys/devices/system/cpu in the empty folder `path`. @param pad what tar adds to a file of sysfs */
export function cpusDirectory(path: string, { possible, present, online, notes }: CpusOfMachine, pad = ''): string {
  const put = (name: string, value: string): void => {
    writeFileSync(join(path, name), `${value}\n${pad}`);
  };
  put('possible', possible);
  put('present', present);
  put('online', online);
  mkdirSync(join(path, 'cpufreq'));
  for (const [cpu, address, size] of notes) {
    mkdirSync(join(path, `cpu${cpu}`));
    put(`cpu${cpu}/crash_notes`, address.toString(16));
    put(`cpu${cpu}/crash_notes_size`, size.toString());
  }
  return path;
}
