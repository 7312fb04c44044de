import { createConnection, type Socket } from 'node:net';
import type { ErrorCode } from '../codes.js';
import { KdumpError } from '../errors.js';
import { codeOf } from '../file/system-error.js';
import { LineSplitter } from '../machine/events/lines.js';
import { excerpt } from '../text/excerpt.js';
import { parseJsonDocuments, type JsonObject, type JsonValue } from '../text/strict-json.js';

/** What QEMU tells by itself. */
export interface QmpEvent {
  readonly name: string;
  readonly data: JsonObject;
  /** Microseconds since 1970 by the clock of QEMU's process; NaN where it is not told. */
  readonly time: number;
}

export interface QmpOptions {
  /** How long QEMU may take to answer, in milliseconds. */
  readonly timeout?: number | undefined;
  /** Is called when the monitor takes the connection and does not greet, as when it serves another client. */
  readonly onWait?: (() => void) | undefined;
}

const TIMEOUT = 10_000;
const PATIENCE = 1000;
/** Replies that nobody may exceed: `query-…` of the largest guests takes a tenth. */
const LONGEST_REPLY = 8 << 20;
const NOTHING: JsonObject = new Map();

interface Waiting {
  readonly command: string;
  readonly resolve: (value: JsonValue) => void;
  readonly reject: (error: KdumpError) => void;
}

/**
 * A client of QEMU's machine protocol (docs/interop/qmp-spec): one JSON document a line, replies by the id of their command, events in between.
 * A monitor serves one client at a time.
 */
export class Qmp {
  private readonly lines = new LineSplitter(LONGEST_REPLY);
  private readonly waiting = new Map<string, Waiting>();
  private readonly listeners = new Set<(event: QmpEvent) => void>();
  private readonly closeListeners = new Set<() => void>();
  private nextId = 1;
  private failure: KdumpError | undefined;

  readonly path: string;
  readonly socket: Socket;
  private readonly timeout: number;

  private constructor(path: string, socket: Socket, timeout: number) {
    this.path = path;
    this.socket = socket;
    this.timeout = timeout;
    socket.on('data', (bytes: Uint8Array) => {
      try {
        for (const { text, state } of this.lines.push(bytes)) this.take(text, state === 'too long');
      } catch (error) {
        this.end(error instanceof KdumpError ? error : this.error(String(error)));
      }
    });
    socket.on('error', (error) => {
      this.end(this.error('cannot talk to QEMU', error.message, undefined, undefined, codeOf(error)));
    });
    socket.on('close', () => {
      this.end(this.error('QEMU closed the monitor', undefined, 'has the guest ended?'));
    });
  }

  /** Connects to the monitor at `path` and negotiates. @throws KdumpError `io` */
  static async connect(path: string, { timeout = TIMEOUT, onWait }: QmpOptions = {}): Promise<Qmp> {
    const socket = createConnection(path);
    const qmp = new Qmp(path, socket, timeout);
    const waiting = setTimeout(() => onWait?.(), PATIENCE);
    try {
      await qmp.reply('QMP', 'greeting');
      clearTimeout(waiting);
      await qmp.execute('qmp_capabilities');
      return qmp;
    } catch (error) {
      clearTimeout(waiting);
      qmp.close();
      throw error;
    }
  }

  /** @throws KdumpError `io` when QEMU refuses, does not answer in time, or is gone */
  async execute(command: string, given?: Readonly<Record<string, string | number | boolean>>): Promise<JsonValue> {
    const id = `k${this.nextId}`;
    this.nextId += 1;
    const reply = this.reply(id, command);
    if (this.failure === undefined)
      this.socket.write(`${JSON.stringify({ execute: command, ...(given === undefined ? {} : { arguments: given }), id })}\n`);
    return reply;
  }

  /** @returns what ends it */
  onEvent(listener: (event: QmpEvent) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  onClose(listener: () => void): void {
    if (this.failure === undefined) this.closeListeners.add(listener);
    else listener();
  }

  /** Whether QEMU, or this client, ended the connection. */
  get isClosed(): boolean {
    return this.failure !== undefined;
  }

  close(): void {
    this.end(this.error('the monitor was closed'));
  }

  private reply(id: string, command: string): Promise<JsonValue> {
    return new Promise((resolve, reject) => {
      if (this.failure !== undefined) {
        reject(this.failure);
        return;
      }
      const timer = setTimeout(() => {
        this.waiting.delete(id);
        reject(
          command === 'greeting'
            ? this.error(
                'QEMU does not answer',
                'no greeting',
                'a monitor serves one client: give QEMU another -qmp for this program',
                undefined,
                'busy',
              )
            : this.error(`QEMU does not answer ${command}`, `nothing within ${this.timeout} ms`),
        );
      }, this.timeout);
      const done = <T>(action: (value: T) => void): ((value: T) => void) => {
        return (value) => {
          clearTimeout(timer);
          this.waiting.delete(id);
          action(value);
        };
      };
      this.waiting.set(id, { command, resolve: done(resolve), reject: done(reject) });
    });
  }

  private take(line: string, isTooLong: boolean): void {
    if (isTooLong) throw this.error('an answer is too long', `more than ${LONGEST_REPLY} bytes`);
    if (line.trim() === '') return;
    const message = this.parsed(line);
    const event = message.get('event');
    if (typeof event === 'string') {
      for (const listener of this.listeners) listener({ name: event, data: objectOf(message.get('data')), time: timeOf(message) });
      return;
    }
    const id = message.has('QMP') ? 'QMP' : message.get('id');
    const waiting = typeof id === 'string' ? this.waiting.get(id) : undefined;
    if (waiting === undefined) return;
    const error = message.get('error');
    if (error === undefined) waiting.resolve(message.get('return') ?? null);
    else {
      const description = objectOf(error).get('desc');
      const found = typeof description === 'string' ? excerpt(description) : undefined;
      waiting.reject(this.error(`QEMU refused ${waiting.command}`, found, undefined, undefined, 'qemu-refused'));
    }
  }

  private parsed(line: string): JsonObject {
    let documents;
    try {
      documents = parseJsonDocuments(line);
    } catch {
      documents = undefined;
    }
    const value = documents?.[0]?.value;
    if (!(value instanceof Map)) throw this.error('this is no QEMU monitor', excerpt(line), undefined, 'the socket of -qmp');
    return value as JsonObject;
  }

  private end(error: KdumpError): void {
    if (this.failure !== undefined) return;
    this.failure = error;
    this.socket.destroy();
    for (const each of [...this.waiting.values()]) each.reject(error);
    for (const listener of this.closeListeners) listener();
  }

  private error(problem: string, found?: string, remedy?: string, expected?: string, code: ErrorCode = 'monitor'): KdumpError {
    return new KdumpError('io', problem, {
      code,
      file: this.path,
      ...(found === undefined ? {} : { found }),
      ...(expected === undefined ? {} : { expected }),
      ...(remedy === undefined ? {} : { remedy }),
    });
  }
}

/** `value` where it is an object, else one without members. */
export function objectOf(value: JsonValue | undefined): JsonObject {
  return value instanceof Map ? (value as JsonObject) : NOTHING;
}

/** `value` where it is an array, else an empty one. */
export function arrayOf(value: JsonValue | undefined): readonly JsonValue[] {
  return Array.isArray(value) ? (value as readonly JsonValue[]) : [];
}

function timeOf(message: JsonObject): number {
  const timestamp = objectOf(message.get('timestamp'));
  const [seconds, microseconds] = [timestamp.get('seconds'), timestamp.get('microseconds')];
  return typeof seconds === 'number' && typeof microseconds === 'number' ? seconds * 1e6 + microseconds : NaN;
}
