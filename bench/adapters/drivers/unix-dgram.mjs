import { Unavailable } from '../unavailable.mjs';
import { unixDgramRoles } from './unix-dgram-roles.mjs';

const { default: unix } = await import('unix-dgram').catch((error) => {
  throw new Unavailable(`unix-dgram does not load: ${error.message.split('\n')[0]}`);
});

export const roles = unixDgramRoles(unix);
