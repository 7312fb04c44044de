import { KdumpError, within } from '../errors.js';
import { excerpt } from '../text/excerpt.js';
import type { JsonValue } from '../text/strict-json.js';
import type { Mapping } from '../text/numbers.js';
import { mappingsOf } from './flat-view.js';
import { arrayOf, objectOf, type Qmp } from './qmp.js';

/** The file that holds a guest's RAM. */
export interface RamFile {
  readonly path: string;
  /** Where it lies in the guest's physical memory. */
  readonly map: readonly Mapping[];
}

/**
 * The RAM file of a guest: that of its machine's `memory-backend`, or of its one NUMA node. Memory that was plugged in has files of its own, which no kdump image is in: the
 * crashkernel range is reserved at boot.
 *
 * @throws KdumpError `refused` when the RAM is no shared file that has a name; `io`
 */
export async function ramFileOf(qmp: Qmp): Promise<RamFile> {
  const refuse = (problem: string, found: string, expected = 'memory-backend-file with share=on'): KdumpError =>
    new KdumpError('refused', problem, { file: qmp.path, found, expected, remedy: 'name the image if you know its file' });
  const machine = textOf(await property(qmp, '/machine', 'memory-backend')) ?? '';
  const candidates = machine === '' ? await backendsAtBoot(qmp) : [machine];
  const [backend] = candidates;
  if (backend === undefined || candidates.length > 1) {
    throw refuse("the guest's RAM is not one memory backend", `memory backends ${candidates.map(idOf).join(', ') || 'none'}`);
  }
  const id = idOf(backend);
  const path = textOf(await property(qmp, backend, 'mem-path'));
  if (path === undefined) throw refuse("the guest's RAM is not in a file", `memory backend ${excerpt(id)} without mem-path`);
  if ((await property(qmp, backend, 'share')) !== true)
    throw refuse("the guest's RAM file is not shared", `${excerpt(path)} with share=off: the guest has a copy`);
  if (!path.startsWith('/'))
    throw refuse("the guest's RAM file has a relative path", `${excerpt(path)}, from wherever QEMU was started`, 'an absolute path');
  const text = textOf(await qmp.execute('human-monitor-command', { 'command-line': 'info mtree -f' })) ?? '';
  return { path, map: within({ file: qmp.path }, () => mappingsOf(text, id)) };
}

/** With `-numa node,memdev=` the machine names no backend: those that are in no DIMM. */
async function backendsAtBoot(qmp: Qmp): Promise<string[]> {
  const all = arrayOf(await qmp.execute('query-memdev')).map((each) => textOf(objectOf(each).get('id')));
  const devices = arrayOf(await qmp.execute('query-memory-devices')).map((each) => objectOf(objectOf(each).get('data')).get('memdev'));
  return all.flatMap((id) => (id === undefined || devices.includes(`/objects/${id}`) ? [] : [`/objects/${id}`]));
}

function idOf(backend: string): string {
  return backend.replace(/^.*\//, '');
}

/** undefined where the object has no such property. */
async function property(qmp: Qmp, path: string, name: string): Promise<JsonValue | undefined> {
  try {
    return await qmp.execute('qom-get', { path, property: name });
  } catch (error) {
    if (error instanceof KdumpError && error.code === 'qemu-refused') return undefined;
    throw error;
  }
}

function textOf(value: JsonValue | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
