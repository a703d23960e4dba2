// Every hand-written case, by name.
import type { Script } from '../script.js';
import { bindCases } from './bind.js';
import { createCases } from './create.js';
import { fdCases } from './fd.js';
import { lookupCases, messageCases } from './message.js';
import { newerCases } from './newer.js';
import { optionCases } from './options.js';
import { connectCases, sendCases, zoneCases } from './send.js';
import { settingCases } from './settings.js';
import { deepCases } from './state.js';

export const cases: Record<string, Script> = {
  ...createCases,
  ...bindCases,
  ...sendCases,
  ...connectCases,
  ...zoneCases,
  ...messageCases,
  ...lookupCases,
  ...optionCases,
  ...settingCases,
  ...fdCases,
  ...newerCases,
  ...deepCases,
};
