// The release's bill of materials, SPDX 2.3: what npm knows of, and what is compiled into the binaries.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { ZIG_VERSION } from './zig.mjs';

const require = createRequire(import.meta.url);

/** In the binaries or, of the headers that they are compiled with, in the archive of the sources. */
function compiledIn() {
  const of = (name) => require(`${name}/package.json`).version;
  return [
    { name: 'node-addon-api', version: of('node-addon-api'), licence: 'MIT' },
    { name: 'node-api-headers', version: of('node-api-headers'), licence: 'MIT' },
    { name: 'libuv headers', version: process.versions.uv, licence: 'MIT' },
    {
      name: 'LLVM libc++, libc++abi and libunwind',
      version: `of zig ${ZIG_VERSION}`,
      licence: 'Apache-2.0 WITH LLVM-exception',
    },
  ];
}

/** `manifest` is the published one, `directory` an empty one to work in, `tarball` the file of the package. */
export function writeBom(manifest, directory, tarball) {
  // Of the checkout npm would leave out what is a dependency of a development tool as well.
  mkdirSync(directory);
  writeFileSync(join(directory, 'package.json'), JSON.stringify(manifest));
  const npm = (...args) => execFileSync('npm', args, { cwd: directory, encoding: 'utf8', maxBuffer: 1 << 26 });
  npm('install', '--package-lock-only', '--ignore-scripts', '--no-audit', '--no-fund');
  const bom = JSON.parse(npm('sbom', '--sbom-format', 'spdx', '--package-lock-only'));
  const self = bom.relationships.find(({ relationshipType }) => relationshipType === 'DESCRIBES').relatedSpdxElement;
  const described = bom.packages.find(({ SPDXID }) => SPDXID === self);
  described.checksums = [
    { algorithm: 'SHA256', checksumValue: createHash('sha256').update(readFileSync(tarball)).digest('hex') },
  ];
  compiledIn().forEach(({ name, version, licence }, i) => {
    const SPDXID = `SPDXRef-Compiled-${i + 1}`;
    bom.packages.push({
      SPDXID,
      name,
      versionInfo: version,
      downloadLocation: 'NOASSERTION',
      filesAnalyzed: false,
      licenseDeclared: licence,
      licenseConcluded: licence,
      copyrightText: 'NOASSERTION',
    });
    bom.relationships.push({ spdxElementId: self, relatedSpdxElement: SPDXID, relationshipType: 'CONTAINS' });
  });
  return `${JSON.stringify(bom, null, 2)}\n`;
}
