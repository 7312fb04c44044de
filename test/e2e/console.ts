import type { Socket } from 'node:net';
import { gunzipSync } from 'node:zlib';

/** The serial console of a guest, whose init (`init.sh`) takes commands from it. */
export class Console {
  /** All that came so far. */
  text = '';
  private lastOutput = Date.now();

  private readonly socket: Socket;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (data: Buffer) => {
      this.text += data.toString('latin1');
      this.lastOutput = Date.now();
    });
  }

  /** Waits for a match in what comes from position `from` on. */
  async waitFor(pattern: RegExp, seconds: number, from = 0): Promise<RegExpExecArray> {
    const until = Date.now() + seconds * 1000;
    while (Date.now() < until) {
      const match = pattern.exec(this.text.slice(from));
      if (match !== null) return match;
      if (this.socket.destroyed) throw new Error(`QEMU ended while waiting for ${pattern.source}; last output:\n${this.tail()}`);
      await sleep(20);
    }
    throw new Error(`nothing matched ${pattern.source} for ${seconds} s; last output:\n${this.tail()}`);
  }

  /** Waits until nothing has come for that long. */
  async waitForSilence(seconds: number, most: number): Promise<void> {
    const until = Date.now() + most * 1000;
    while (Date.now() < until) {
      if (Date.now() - this.lastOutput >= seconds * 1000) return;
      await sleep(200);
    }
    throw new Error(`there was output for ${most} s:\n${this.tail()}`);
  }

  send(line: string): void {
    this.socket.write(`${line}\n`, 'latin1');
  }

  /** What a command prints. It has to succeed. */
  async run(command: string, seconds = 120): Promise<string> {
    const from = this.text.length;
    this.send(command);
    const { 0: all, 1: status, index } = await this.waitFor(/<<done (\d+)>>\r?\n/, seconds, from);
    const output = this.text.slice(from, from + index + all.length).replace(/<<done \d+>>\s*$/, '');
    const text = output.replaceAll('\r', '');
    if (status !== '0') throw new Error(`${command} ended with status ${status}:\n${text}`);
    return text;
  }

  /** What a command prints, to the byte. */
  async read(command: string, seconds = 120): Promise<Buffer> {
    return gunzipSync(Buffer.from(await this.run(`{ ${command}; } | gzip -c | base64`, seconds), 'base64'));
  }

  /** The end of the output, for messages. */
  tail(): string {
    return this.text.slice(-2000).replaceAll('\r', '');
  }
}

export async function sleep(milliseconds: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, milliseconds));
}
