// The API: requests to the server of this page, which may be busy, ask for a token, or be gone.

const TRIES = 6; // of a request that finds the server busy
const LONGEST_WAIT = 30; // seconds

// What went wrong: either the server's own text, or a word of this page's with values. Some is worth another try.
export class Problem extends Error {
  constructor(told, again = false) {
    super(told.detail ?? told.word);
    Object.assign(this, { told, again });
  }

  // Of any error: one of the page itself is to be seen, too, not only in the console.
  static of(error) {
    return error instanceof Problem ? error : new Problem({ detail: String(error) });
  }
}

// Sends a request, and again while the server is busy or once the reader has given a token.
export async function ask(path, { query = {}, body, json, method, signal, onBusy } = {}) {
  const request = { method: method ?? (body || json ? "POST" : "GET"), body, signal };
  if (json) request.body = JSON.stringify(json);
  for (let tries = 1; ; ) {
    const sent = token.value;
    const response = await send(address(path, query), request, sent);
    if (response.ok) return response;
    if (response.status === 401 && (await token.replaced(sent))) continue;
    if (response.status !== 503 || tries === TRIES) throw await problemOf(response);
    tries += 1;
    onBusy?.();
    await pause(secondsOf(response), signal);
  }
}

// The server may be one of several below one address, so all addresses are relative to the page's.
export function address(path = "", query = {}) {
  const url = new URL(path || ".", location.origin + location.pathname);
  url.search = new URLSearchParams(query);
  return url.href;
}

async function send(url, request, bearer) {
  const headers = bearer ? { Authorization: `Bearer ${bearer}` } : {};
  if (request.body) headers["Content-Type"] = "application/octet-stream"; // whatever a file is called, it is one body
  try {
    return await fetch(url, { ...request, headers, cache: "no-store" });
  } catch (error) {
    if (request.signal?.aborted) throw error;
    throw new Problem(await whyNotSent(request.body), true);
  }
}

// To the browser a file that has changed or is gone looks like a server that does not answer.
async function whyNotSent(body) {
  try {
    if (body instanceof Blob) await body.slice(0, 1).arrayBuffer();
  } catch {
    return { word: "file_gone", hint: "file_gone_hint" };
  }
  return { word: "no_answer", hint: "no_answer_hint" };
}

async function problemOf(response) {
  const again = response.status === 401 || response.status === 503;
  if (response.headers.get("Content-Type")?.startsWith("application/problem+json")) {
    return new Problem(await response.json(), again);
  }
  const values = { status: `${response.status} ${response.statusText}` }; // of a proxy in between
  return new Problem({ word: "odd_answer", values }, true);
}

function secondsOf(response) {
  const seconds = Number(response.headers.get("Retry-After") ?? 1);
  return Math.min(Math.max(seconds || 0.2, 0.2), LONGEST_WAIT);
}

function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, 1000 * seconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}

// Runs jobs, a few at a time: a browser that sends hundreds of images at once only fills the server's queue.
export function pool(size) {
  const waiting = [];
  let busy = 0;
  const next = async () => {
    if (busy === size || !waiting.length) return;
    busy += 1;
    await waiting.shift()();
    busy -= 1;
    next();
  };
  return (job) =>
    new Promise((resolve, reject) => {
      waiting.push(() => job().then(resolve, reject));
      next();
    });
}

// The token, from the address (#token=...), from this tab's memory, or from the reader.
export const token = {
  value: takeToken(),
  isUsed: false,
  declined: false,
  asking: null,
  dialog: null, // asks the reader: a function of whether a token was refused, to a promise of another or of null

  // Whether there is another token than one that was refused.
  async replaced(refused) {
    this.isUsed = true;
    if (this.value !== refused) return true;
    if (this.declined) return false;
    this.asking ??= this.dialog(Boolean(refused)).finally(() => (this.asking = null));
    const answer = await this.asking;
    if (answer) this.keep(answer);
    else this.declined = true; // not asked again for each of many images, only once the reader does something
    return Boolean(answer);
  },

  keep(value) {
    this.value = value;
    try {
      sessionStorage.setItem("mstl-token", value);
    } catch {
      // a browser may keep nothing for this page: the token then lasts as long as the page
    }
  },
};

function takeToken() {
  const given = tokenOf(location.hash);
  try {
    if (given) sessionStorage.setItem("mstl-token", given);
    return given ?? sessionStorage.getItem("mstl-token");
  } catch {
    return given;
  } finally {
    // whoever looks at the screen, or is sent the address, does not get the token
    if (given) history.replaceState(null, "", location.pathname + location.search);
  }
}

// Not by URLSearchParams, to which a plus is a space.
function tokenOf(hash) {
  const [, text] = hash.match(/[#&]token=([^&]+)/) ?? [];
  try {
    return text ? decodeURIComponent(text) : null;
  } catch {
    return text; // a percent sign of its own
  }
}
