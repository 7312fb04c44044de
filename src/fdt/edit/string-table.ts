interface ReversedNames {
  /** The wanted name that ends here, read backwards. */
  name?: string;
  readonly next: Map<number, ReversedNames>;
}

/**
 * Offsets in a strings block of the names that edits need; a name that is not there is appended.
 *
 * As libfdt does, a name is found wherever its bytes and a NUL stand, also at the end of a longer name ("reg" in "foo,reg"), and of several
 * places the lowest is taken. libfdt scans the block for each property; here one pass over it, backwards through a tree of the wanted
 * names reversed, finds them all.
 */
export class StringTable {
  private readonly offsets = new Map<string, number>();
  /** To be put after the block's last byte. */
  readonly appended: Uint8Array;

  /**
   * @param strings the strings block
   * @param wanted names, in the order in which those that are missing are to be appended
   */
  constructor(strings: Uint8Array, wanted: ReadonlySet<string>) {
    if (wanted.size > 0) findLowest(strings, reversed(wanted), this.offsets);
    const start = strings.length;
    let appended = '';
    const places = new Map<string, number>();
    for (const name of wanted) {
      if (this.offsets.has(name)) continue;
      let place = places.get(name);
      if (place === undefined) {
        place = appended.length;
        appended += `${name}\0`;
        for (let skip = 0; skip < name.length; skip += 1) {
          const suffix = name.slice(skip);
          if (!places.has(suffix)) places.set(suffix, place + skip);
        }
      }
      this.offsets.set(name, start + place);
    }
    this.appended = Buffer.from(appended, 'latin1');
  }

  offsetOf(name: string): number {
    const offset = this.offsets.get(name);
    if (offset === undefined) throw new RangeError('name is not among those wanted');
    return offset;
  }
}

function reversed(names: ReadonlySet<string>): ReversedNames {
  const root: ReversedNames = { next: new Map() };
  for (const name of names) {
    let at = root;
    for (let i = name.length - 1; i >= 0; i -= 1) {
      const code = name.charCodeAt(i);
      let next = at.next.get(code);
      if (next === undefined) at.next.set(code, (next = { next: new Map() }));
      at = next;
    }
    at.name = name;
  }
  return root;
}

function findLowest(strings: Uint8Array, names: ReversedNames, offsets: Map<string, number>): void {
  let at: ReversedNames | undefined;
  for (let offset = strings.length - 1; offset >= 0; offset -= 1) {
    const byte = strings[offset] as number;
    at = byte === 0 ? names : at?.next.get(byte);
    if (at?.name !== undefined) offsets.set(at.name, offset);
  }
}
