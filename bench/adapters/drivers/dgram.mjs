import dgram from 'node:dgram';
import { dgramRoles } from './dgram-roles.mjs';

export const { roles } = dgramRoles((options) => dgram.createSocket(options));
