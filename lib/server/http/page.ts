import { readFile } from 'node:fs/promises';
import type { FastifyInstance } from 'fastify';

// The page loads nothing but these files, so that it works without internet.
const FILES = {
  'style.css': 'text/css',
  'app.js': 'text/javascript',
  'api.js': 'text/javascript',
  'bars.js': 'text/javascript',
  'charts.js': 'text/javascript',
  'drawing.js': 'text/javascript',
} as const;

const FOLDER = new URL('../../../web/', import.meta.url);
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self' blob: data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** Paths of the page: they hold no data, and so need no token. */
export function isPage(path: string): boolean {
  return path === '/' || path.startsWith('/page/');
}

/** The web page at `/`. */
export async function pageRoutes(app: FastifyInstance): Promise<void> {
  const serve = async (path: string, file: string, type: string) => {
    const content = await readFile(new URL(file, FOLDER));
    app.get(path, (_request, reply) =>
      reply
        .header('content-security-policy', POLICY)
        .header('x-content-type-options', 'nosniff')
        .header('referrer-policy', 'no-referrer')
        .header('cache-control', 'no-cache')
        .type(`${type}; charset=utf-8`)
        .send(content),
    );
  };
  await serve('/', 'index.html', 'text/html');
  for (const [file, type] of Object.entries(FILES)) await serve(`/page/${file}`, file, type);
}
