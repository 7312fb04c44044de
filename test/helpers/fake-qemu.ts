import { createServer, type Server, type Socket } from 'node:net';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

interface QmpCommand {
  readonly execute: string;
  readonly id?: string;
  readonly arguments?: Readonly<Record<string, string>>;
}

/** A monitor that answers as QEMU does, as far as the program asks, and keeps what it was told. */
export class FakeQemu {
  readonly told: string[] = [];
  /** Of the command that came last. */
  lastId: string | undefined;
  running = true;
  properties: Record<string, Json> = {};
  answers: Record<string, Json> = {
    'query-migrate': {},
    'query-memdev': [{ id: 'ram' }],
    'query-memory-devices': [],
    'query-hotpluggable-cpus': [],
  };
  /** Commands that get no answer, or another one. */
  hook: (command: string, socket: Socket) => boolean = () => false;
  private readonly sockets = new Set<Socket>();
  private clock = 1_000_000;

  private readonly folder: string;
  private readonly server: Server;

  private constructor(folder: string, server: Server) {
    this.folder = folder;
    this.server = server;
  }

  static async start(): Promise<FakeQemu> {
    // The path of a socket has at most 107 characters.
    const folder = mkdtempSync(join(tmpdir(), 'fake-qemu-'));
    const server = createServer();
    const qemu = new FakeQemu(folder, server);
    server.on('connection', (socket) => {
      qemu.serve(socket);
    });
    await new Promise<void>((resolve) => server.listen(qemu.socket, resolve));
    return qemu;
  }

  get socket(): string {
    return join(this.folder, 'qmp');
  }

  end(): void {
    for (const socket of this.sockets) socket.destroy();
    this.server.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  event(name: string): void {
    this.clock += 2500;
    for (const socket of this.sockets) {
      socket.write(`${JSON.stringify({ timestamp: { seconds: 7, microseconds: this.clock }, event: name })}\r\n`);
    }
  }

  /** Commands about the guest's run state, in their order. */
  get runCommands(): string[] {
    return this.told.filter((command) => command === 'stop' || command === 'cont');
  }

  private serve(socket: Socket): void {
    this.sockets.add(socket);
    let rest = '';
    let isOpen = true;
    socket.on('error', () => undefined);
    socket.on('end', () => (isOpen = false));
    socket.on('close', () => this.sockets.delete(socket));
    socket.on('data', (bytes: Buffer) => {
      // QEMU forgets what was sent before this byte.
      rest = (rest + bytes.toString('latin1')).replace(/^[^]*\u00ff/, '');
      const lines = rest.split('\n');
      rest = lines.pop() ?? '';
      // As QEMU does, it drops the commands of a client that leaves.
      setTimeout(() => {
        if (isOpen) for (const line of lines) if (line !== '') this.answer(socket, JSON.parse(line) as QmpCommand);
      }, 2);
    });
    socket.write('{"QMP": {"version": {"qemu": {"micro": 0, "minor": 2, "major": 7}}, "capabilities": ["oob"]}}\r\n');
  }

  private answer(socket: Socket, { execute, id, arguments: given = {} }: QmpCommand): void {
    this.told.push(execute);
    this.lastId = id;
    if (this.hook(execute, socket)) return;
    const reply = (message: { return: Json } | { error: Json }): void => {
      socket.write(`${JSON.stringify({ ...message, ...(id === undefined ? {} : { id }) })}\r\n`);
    };
    if (execute === 'stop' || execute === 'cont') {
      this.running = execute === 'cont';
      this.event(this.running ? 'RESUME' : 'STOP');
    }
    const property = `${given.path ?? ''}.${given.property ?? ''}`;
    if (execute === 'query-status') reply({ return: { running: this.running, status: this.running ? 'running' : 'paused' } });
    else if (execute !== 'qom-get') reply({ return: this.answers[execute] ?? {} });
    else if (property in this.properties) reply({ return: this.properties[property] ?? null });
    else reply({ error: { class: 'GenericError', desc: `Property '${property}' not found` } });
  }
}
