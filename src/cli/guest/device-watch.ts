import { KdumpError } from '../../errors.js';
import { devicesOf } from '../../guest/devices.js';
import type { Context } from '../command.js';
import type { GuestSession } from './guest-session.js';

/** Events of QEMU after which its devices may be others. It sends none when a device is added. */
const TELLING = new Set([
  'ACPI_DEVICE_OST',
  'DEVICE_DELETED',
  'DEVICE_UNPLUG_GUEST_ERROR',
  'MEM_UNPLUG_ERROR',
  'MEMORY_DEVICE_SIZE_CHANGE',
]);

/** Notices when a guest's memory devices and CPUs change, or its image does though nobody here wrote to it. */
export class DeviceWatch {
  private seen = '';
  private timer: NodeJS.Timeout | undefined;
  private isAsking = false;

  private readonly guest: GuestSession;
  private readonly context: Context;
  private readonly intervalMs: number;
  private readonly isImageChanged: () => boolean;
  private readonly onChange: () => void;

  constructor(guest: GuestSession, context: Context, intervalMs: number, isImageChanged: () => boolean, onChange: () => void) {
    this.guest = guest;
    this.context = context;
    this.intervalMs = intervalMs;
    this.isImageChanged = isImageChanged;
    this.onChange = onChange;
  }

  /** Looks for the first time. @throws KdumpError `io` */
  async start(): Promise<void> {
    const { qmp } = this.guest;
    await this.ask();
    const stopListening = qmp.onEvent(({ name }) => {
      if (TELLING.has(name)) void this.askAgain();
    });
    this.timer = setInterval(() => void this.askAgain(), this.intervalMs);
    qmp.onClose(() => {
      clearInterval(this.timer);
      stopListening();
    });
  }

  private async ask(): Promise<void> {
    const devices = await devicesOf(this.guest.qmp);
    const now = JSON.stringify(devices, (_, value: unknown) => (typeof value === 'bigint' ? value.toString() : value));
    if (now === this.seen && !this.isImageChanged()) return;
    this.seen = now;
    this.onChange();
  }

  private async askAgain(): Promise<void> {
    if (this.isAsking) return;
    this.isAsking = true;
    try {
      await this.ask();
    } catch (error) {
      if (!(error instanceof KdumpError)) throw error;
      this.context.console.detail(error.message);
    } finally {
      this.isAsking = false;
    }
  }
}
