// The calls of the addon that nothing stands in for. Their callers in lib/ have thrown ERR_KSOCKET_NEEDS_ADDON before.
import { ENOTSUP } from '../../base/errno.js';

export class AbsentCalls {
  setCpus(): number {
    return ENOTSUP;
  }

  setPriority(): number {
    return ENOTSUP;
  }

  takeRights(): number {
    return 0;
  }

  waitsFor(): boolean {
    return false;
  }

  bindPath(): number {
    return ENOTSUP;
  }

  sendNow(): number {
    return ENOTSUP;
  }

  notifyWritable(): void {}

  setFilter(): number {
    return ENOTSUP;
  }

  steer(): number {
    return ENOTSUP;
  }

  getPathMtu(): number {
    return ENOTSUP;
  }

  setRawOption(): number {
    return ENOTSUP;
  }

  getRawOption(): number {
    return ENOTSUP;
  }

  openTunnel(): string {
    return `open:${ENOTSUP}`;
  }

  getTunnelDevice(): string {
    return '';
  }

  watchAgain(): number {
    return ENOTSUP;
  }

  stopDrops(): number {
    return 0;
  }

  tellDrops(): number {
    return ENOTSUP;
  }

  getFile(): string {
    return '';
  }

  growReceiveBuffer(): number {
    return 0;
  }

  keepFile(): void {}

  takeFile(): void {}

  getFlows(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(new Float64Array([ENOTSUP, 0]).buffer);
  }

  takeFlows(): number {
    return ENOTSUP;
  }

  beginFlows(): number {
    return ENOTSUP;
  }

  getTallies(): Float64Array<ArrayBuffer> {
    return new Float64Array(0);
  }

  setTallies(): number {
    return ENOTSUP;
  }
}
