// Files that options name: what is wrong with one is said with the option and its path.
import { readFileSync } from 'node:fs';
import { SinkError } from './sink.js';

const BAD_TLS = 'ERR_KSOCKET_NATS_TLS';
const CERTIFICATE = /-----BEGIN (TRUSTED |X509 )?CERTIFICATE-----[\s\S]*?-----END \1?CERTIFICATE-----/g;

/** @throws as read(2) and open(2), with `path` */
export function readGiven(option: string, path: string): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(readFileSync(path));
  } catch (error) {
    const { code = 'ERR_KSOCKET_NATS', errno, syscall, message } = error as NodeJS.ErrnoException;
    const place = message.includes(path) ? '' : ` '${path}'`; // of a directory Node does not say it
    const said = new SinkError(code, `${option}: ${message}${place}`, false, error);
    throw Object.assign(said, { errno, syscall, path });
  }
}

/** Each is there, and is what it is said to be. The client of NATS reads them for each connection, and says none of this.
 * @throws ENOENT and its like, ERR_KSOCKET_NATS_TLS */
export async function checkTlsFiles(files: { caFile?: string; certFile?: string; keyFile?: string }): Promise<void> {
  const { caFile, certFile, keyFile } = files;
  const [{ createSecureContext }, { X509Certificate }] = await Promise.all([import('node:tls'), import('node:crypto')]);
  const read = (option: string, path: string | undefined) =>
    path === undefined ? undefined : Buffer.from(readGiven(option, path));
  const check = (option: string, path: string | undefined, is: () => unknown) => {
    try {
      is();
    } catch (error) {
      const message = `${option}: ${path} has not what it takes: ${(error as Error).message}`;
      throw Object.assign(new SinkError(BAD_TLS, message, false, error), { path });
    }
  };
  const ca = read('options.tls.caFile', caFile)?.toString('latin1');
  const cert = read('options.tls.certFile', certFile);
  const key = read('options.tls.keyFile', keyFile);
  check('options.tls.caFile', caFile, () => {
    const certificates = ca?.match(CERTIFICATE);
    if (ca !== undefined && certificates == null) throw new Error('no certificate as PEM');
    for (const each of certificates ?? []) new X509Certificate(each);
  });
  check('options.tls.certFile', certFile, () => createSecureContext({ cert }));
  check('options.tls.keyFile', keyFile, () => createSecureContext({ key }));
  check('options.tls.keyFile', keyFile, () => createSecureContext({ cert, key })); // of one another
}
