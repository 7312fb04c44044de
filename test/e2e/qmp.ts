import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';

export interface QmpEvent {
  readonly name: string;
  /** Microseconds since 1970, by the clock of QEMU's process. */
  readonly time: number;
  readonly data: Record<string, unknown>;
}

interface Message {
  readonly return?: unknown;
  readonly error?: { readonly desc: string };
  readonly event?: string;
  readonly data?: Record<string, unknown>;
  readonly timestamp?: { readonly seconds: number; readonly microseconds: number };
}

/** The QEMU machine protocol: one JSON document a line, answers in the order of the commands, events in between. */
export class Qmp {
  readonly events: QmpEvent[] = [];
  private readonly waiting: ((message: Message) => void)[] = [];

  private readonly socket: Socket;

  constructor(socket: Socket) {
    this.socket = socket;
    createInterface({ input: socket })
      .on('line', (line) => {
        this.take(JSON.parse(line) as Message);
      })
      // Of the socket, which is closed then.
      .on('error', () => undefined);
    socket.on('close', () => {
      for (const answer of this.waiting.splice(0)) answer({ error: { desc: 'QEMU has ended' } });
    });
  }

  async execute(command: string, given: object = {}): Promise<unknown> {
    if (this.socket.destroyed) throw new Error(`${command}: QEMU has ended`);
    const answer = new Promise<Message>((resolve) => this.waiting.push(resolve));
    this.socket.write(`${JSON.stringify({ execute: command, arguments: given })}\n`);
    const { error, return: result } = await answer;
    if (error !== undefined) throw new Error(`${command}: ${error.desc}`);
    return result;
  }

  /** A command of the human monitor: what it prints. */
  async monitor(line: string): Promise<string> {
    return String(await this.execute('human-monitor-command', { 'command-line': line }));
  }

  private take(message: Message): void {
    if (message.event !== undefined) {
      const { seconds = 0, microseconds = 0 } = message.timestamp ?? {};
      this.events.push({ name: message.event, time: seconds * 1e6 + microseconds, data: message.data ?? {} });
    } else if ('return' in message || 'error' in message) {
      this.waiting.shift()?.(message);
    }
  }
}
