/** What KSOCKET_ENGINE may say here, and what `features().engine` says. */
export const ENGINE = 'dgram';
