// The calls of the addon that nothing stands in for. Their callers in lib/ have thrown ERR_KSOCKET_NEEDS_ADDON before.
import { ENOTSUP } from '../../base/errno.js';

export class AbsentCalls {
  setRawOption(): number {
    return ENOTSUP;
  }

  getRawOption(): number {
    return ENOTSUP;
  }
}
