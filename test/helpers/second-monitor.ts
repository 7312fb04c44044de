import { createConnection } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

/** A second monitor of the guest, beside the program's. */
export class SecondMonitor {
  private readonly replies: AsyncIterator<string>;

  private readonly socket: ReturnType<typeof createConnection>;

  constructor(socket: ReturnType<typeof createConnection>) {
    this.socket = socket;
    this.replies = createInterface({ input: socket })[Symbol.asyncIterator]();
  }

  static async connect(path: string): Promise<SecondMonitor> {
    for (let tries = 0; ; tries += 1) {
      const socket = createConnection(path);
      const isOpen = await new Promise<boolean>((resolve) => {
        socket.once('connect', () => {
          resolve(true);
        });
        socket.once('error', () => {
          resolve(false);
        });
      });
      if (isOpen) {
        const monitor = new SecondMonitor(socket);
        await monitor.execute('qmp_capabilities');
        return monitor;
      }
      if (tries > 200) throw new Error('QEMU did not start');
      await sleep(50);
    }
  }

  async execute(execute: string, given: object = {}): Promise<unknown> {
    this.socket.write(`${JSON.stringify({ execute, arguments: given })}\n`);
    for (;;) {
      const line = await this.replies.next();
      const message = JSON.parse(String(line.value)) as { return?: unknown; error?: { desc: string } };
      if (message.error !== undefined) throw new Error(message.error.desc);
      if (message.return !== undefined) return message.return;
    }
  }

  close(): void {
    this.socket.destroy();
  }

  async runs(): Promise<boolean> {
    return ((await this.execute('query-status')) as { running: boolean }).running;
  }

  async addMemory(id: string): Promise<void> {
    await this.execute('object-add', { 'qom-type': 'memory-backend-ram', id: `m-${id}`, size: 0x1000_0000 });
    await this.execute('device_add', { driver: 'pc-dimm', id, memdev: `m-${id}` });
  }
}
