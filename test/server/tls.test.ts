import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { get } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { start } from './start.js';

const hasOpenssl = spawnSync('openssl', ['version']).status === 0;

describe.skipIf(!hasOpenssl)(
  `TLS${hasOpenssl ? '' : ' (skipped: there is no openssl to make a certificate)'}`,
  () => {
    let folder: string;
    beforeAll(() => {
      folder = mkdtempSync(join(tmpdir(), 'resnet-native-tls-'));
    });
    afterAll(() => rmSync(folder, { recursive: true, force: true }));

    test('serves HTTPS with the certificate of the files', async () => {
      const tls = { key: join(folder, 'key.pem'), cert: join(folder, 'cert.pem') };
      const made = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
      const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1'];
      const files = ['-keyout', tls.key, '-out', tls.cert];
      expect(spawnSync('openssl', ['req', '-x509', ...made, ...names, ...files]).status).toBe(0);

      const { url } = await start({ tls });
      expect(url).toMatch(/^https:/);
      // Trusting only that certificate, so that no other can have answered.
      const body = await new Promise<string>((resolve, reject) => {
        get(`${url}/v2/health/ready`, { ca: readFileSync(tls.cert) }, (response) => {
          let text = '';
          response.setEncoding('utf8').on('data', (part: string) => {
            text += part;
          });
          response.on('end', () => resolve(text));
        }).on('error', reject);
      });
      expect(JSON.parse(body)).toEqual({ ready: true });
    });
  },
);
