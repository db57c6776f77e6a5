// Pictures: images of the data, which need the token, so that each is fetched and shown from memory.

import { ask, pool } from "./api.js";

const AT_ONCE = 4; // requests: a browser has six connections to a server, and decisions need some
const KEPT = 80; // pictures in memory
const turn = pool(AT_ONCE);
const urls = new Map(); // promises of addresses of pictures; the oldest first

// The address of a picture in memory, at most so many pixels large.
export function picture(sha256, side) {
  return kept(`image/${sha256}`, { side });
}

// The same of a heat map: where the model sees a class.
export function heatMap(sha256, label) {
  return kept(`heat/${sha256}`, { label });
}

// It stays until many others were asked for.
function kept(path, query) {
  const key = JSON.stringify([path, query]);
  const known = urls.get(key) ?? turn(() => fetched(path, query));
  urls.delete(key);
  urls.set(key, known);
  known.catch(() => urls.delete(key)); // another try is worth it
  if (urls.size > KEPT) forget(urls.keys().next().value);
  return known;
}

async function fetched(path, query) {
  const response = await ask(path, { query });
  return URL.createObjectURL(await response.blob());
}

function forget(key) {
  urls.get(key).then(URL.revokeObjectURL, () => {});
  urls.delete(key);
}
