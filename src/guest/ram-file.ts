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
 * The RAM file of a guest, from its machine's `memory-backend`. Memory that was plugged in has files of its own, which no kdump image is in: the
 * crashkernel range is reserved at boot.
 *
 * @throws KdumpError `refused` when the RAM is no shared file that has a name; `io`
 */
export async function ramFileOf(qmp: Qmp): Promise<RamFile> {
  const refuse = (problem: string, found: string, expected = 'memory-backend-file with share=on'): KdumpError =>
    new KdumpError('refused', problem, { file: qmp.path, found, expected, remedy: 'name the image if you know its file' });
  const backends = arrayOf(await qmp.execute('query-memdev')).map((each) => textOf(objectOf(each).get('id')));
  const backend = textOf(await property(qmp, '/machine', 'memory-backend'));
  const id = backend?.replace(/^.*\//, '');
  if (backend === undefined || id === undefined || id === '') {
    throw refuse(
      "the guest's RAM is not one memory backend",
      `memory backends ${backends.map((each) => each ?? 'without id').join(', ') || 'none'}`,
    );
  }
  const path = textOf(await property(qmp, backend, 'mem-path'));
  if (path === undefined) throw refuse("the guest's RAM is not in a file", `memory backend ${excerpt(id)} without mem-path`);
  if ((await property(qmp, backend, 'share')) !== true)
    throw refuse("the guest's RAM file is not shared", `${excerpt(path)} with share=off: the guest has a copy`);
  if (!path.startsWith('/'))
    throw refuse("the guest's RAM file has a relative path", `${excerpt(path)}, from wherever QEMU was started`, 'an absolute path');
  const text = textOf(await qmp.execute('human-monitor-command', { 'command-line': 'info mtree -f' })) ?? '';
  return { path, map: within({ file: qmp.path }, () => mappingsOf(text, id)) };
}

/** undefined where the object has no such property. */
async function property(qmp: Qmp, path: string, name: string): Promise<JsonValue | undefined> {
  try {
    return await qmp.execute('qom-get', { path, property: name });
  } catch (error) {
    if (error instanceof KdumpError && error.problem.startsWith('QEMU refused')) return undefined;
    throw error;
  }
}

function textOf(value: JsonValue | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
