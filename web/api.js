// What the page asks of the server.

// For what is asked every second; other answers may take as long as they take.
const PATIENCE_MS = 5000;

const tokenField = document.querySelector('#token-field');
const token = document.querySelector('#token');

/** There was no answer: the server is gone, or the network. */
export class NoAnswer extends Error {
  constructor() {
    super('The server does not answer: is it still running? This page tries again every second.');
  }
}

/** The JSON answer; throws an Error with the server's own words, or NoAnswer. Shows the field for the token where one is needed. */
async function ask(path, options = {}) {
  const headers = token.value ? { authorization: `Bearer ${token.value}` } : {};
  const response = await fetch(path, { ...options, headers }).catch(() => Promise.reject(new NoAnswer()));
  if (response.status === 401) tokenField.hidden = false;
  // What is no JSON is no answer of this server's: that of a proxy before it, or half of one.
  const body = await response.json().catch(() => Promise.reject(new NoAnswer()));
  if (!response.ok) throw new Error(body.error);
  return body;
}

/** Calls `listener` when another token was typed. */
export function onToken(listener) {
  token.addEventListener('change', listener);
}

export async function models() {
  return (await ask('/v1/models')).models;
}

/** Statistics of a model since it was loaded. */
export async function stats(model) {
  const path = `/v2/models/${encodeURIComponent(model)}/stats`;
  return (await ask(path, { signal: AbortSignal.timeout(PATIENCE_MS) })).model_stats[0];
}

/** One entry an image: `{ results: [{ index, label, probability }] }` or `{ error: { message } }`. */
export async function classify(model, files, top) {
  const form = new FormData();
  for (const file of files) form.append('files', file, file.name ?? 'image.png');
  const query = new URLSearchParams({ model, top });
  return (await ask(`/v1/classify?${query}`, { method: 'POST', body: form })).images;
}
