import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** What a QEMU of each architecture needs to start with a RAM file and nothing else. */
const MACHINES = {
  ppc64: { cpu: 'power9', machine: 'pseries,cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,cap-ccf-assist=off' },
  x86_64: { cpu: 'qemu64', machine: 'q35' },
} as const;

const START_TIMEOUT = 20_000;

/** Dumps the memory of a guest that never runs, whose RAM is the file at `ram`, with QEMU's dump-guest-memory. */
export async function dumpGuestMemory(
  architecture: keyof typeof MACHINES,
  { ram, size, output, paging = false }: { ram: string; size: number; output: string; paging?: boolean },
): Promise<void> {
  const { cpu, machine } = MACHINES[architecture];
  // The path of a socket has at most 107 characters.
  const folder = mkdtempSync(join(tmpdir(), 'kdump-qemu-'));
  const socketPath = join(folder, 'qmp');
  const args = [
    ...['-M', `${machine},memory-backend=ram`, '-cpu', cpu, '-accel', 'tcg', '-m', `${size / 2 ** 20}M`],
    ...['-object', `memory-backend-file,id=ram,size=${size},mem-path=${ram},share=on`],
    ...['-nodefaults', '-display', 'none', '-S', '-qmp', `unix:${socketPath},server,nowait`],
  ];
  const guest = spawn(`qemu-system-${architecture}`, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let errors = '';
  guest.stderr.on('data', (text: Buffer) => {
    errors += text.toString();
  });
  const ended = new Promise<void>((resolve) => {
    guest.once('close', () => {
      resolve();
    });
  });
  try {
    const monitor = new Monitor(await connect(socketPath, () => guest.exitCode !== null));
    await monitor.greeting();
    await monitor.execute('qmp_capabilities', {});
    await monitor.execute('dump-guest-memory', { paging, protocol: `file:${output}` });
    await monitor.execute('quit', {});
    await ended;
  } catch (error) {
    throw new Error(`qemu-system-${architecture}: ${errors}`, { cause: error });
  } finally {
    guest.kill('SIGKILL');
    rmSync(folder, { recursive: true });
  }
}

async function connect(path: string, hasEnded: () => boolean): Promise<Socket> {
  const until = Date.now() + START_TIMEOUT;
  while (Date.now() < until && !hasEnded()) {
    if (existsSync(path)) {
      const socket = await new Promise<Socket | undefined>((resolve) => {
        const attempt = createConnection(path);
        attempt.once('connect', () => {
          resolve(attempt);
        });
        attempt.once('error', () => {
          resolve(undefined);
        });
      });
      if (socket !== undefined) return socket;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('no answer on its monitor');
}

interface Message {
  readonly QMP?: object;
  readonly return?: unknown;
  readonly error?: { readonly desc: string };
}

/** The QEMU machine protocol: one JSON document a line, events in between. */
class Monitor {
  private readonly lines: AsyncIterator<string>;

  private readonly socket: Socket;

  constructor(socket: Socket) {
    this.socket = socket;
    this.lines = createInterface({ input: socket })[Symbol.asyncIterator]();
  }

  async greeting(): Promise<void> {
    while ((await this.next()).QMP === undefined);
  }

  async execute(command: string, given: object): Promise<void> {
    this.socket.write(`${JSON.stringify({ execute: command, arguments: given })}\n`);
    for (;;) {
      const message = await this.next();
      if (message.error !== undefined) throw new Error(`${command}: ${message.error.desc}`);
      if (message.return !== undefined) return;
    }
  }

  private async next(): Promise<Message> {
    const line = await this.lines.next();
    if (line.done === true) throw new Error('the monitor was closed');
    return JSON.parse(line.value) as Message;
  }
}
