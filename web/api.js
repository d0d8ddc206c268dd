// What the page asks of the server.

const tokenField = document.querySelector('#token-field');
const token = document.querySelector('#token');

/** The JSON answer; throws an Error with the server's own words. Shows the field for the token where one is needed. */
async function ask(path, options = {}) {
  const headers = token.value ? { authorization: `Bearer ${token.value}` } : {};
  const response = await fetch(path, { ...options, headers });
  if (response.status === 401) tokenField.hidden = false;
  const body = await response.json();
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
  return (await ask(path)).model_stats[0];
}

/** One entry an image: `{ results: [{ index, label, probability }] }` or `{ error: { message } }`. */
export async function classify(model, files, top) {
  const form = new FormData();
  for (const file of files) form.append('files', file, file.name ?? 'image.png');
  const query = new URLSearchParams({ model, top });
  return (await ask(`/v1/classify?${query}`, { method: 'POST', body: form })).images;
}
