/** A column of unsigned 32-bit numbers that grows at its end. */
export class GrowingIndex {
  private buffer = new Uint32Array(256);
  private used = 0;

  get length(): number {
    return this.used;
  }

  push(value: number): void {
    if (this.used === this.buffer.length) {
      const larger = new Uint32Array(this.buffer.length * 2);
      larger.set(this.buffer);
      this.buffer = larger;
    }
    this.buffer[this.used] = value;
    this.used += 1;
  }

  at(index: number): number {
    return this.buffer[index] as number;
  }

  set(index: number, value: number): void {
    this.buffer[index] = value;
  }

  values(): Uint32Array {
    return this.buffer.slice(0, this.used);
  }
}
