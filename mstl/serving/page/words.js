// Words: what the page says, in the reader's language. What it has said already changes with the language.

const LANGUAGES = { en: "en", zh: "zh-CN" };
const given = new WeakMap(); // the values in an element's words
let words = {};
let language = "en";

// The language chosen before, or else the first of the browser's that there are words for.
export function preferredLanguage() {
  const codes = [recall(), ...navigator.languages.map((each) => each.slice(0, 2).toLowerCase())];
  return codes.find((code) => code in LANGUAGES) ?? "en";
}

export function keepLanguage(code) {
  try {
    localStorage.setItem("mstl-language", code);
  } catch {
    // a browser may keep nothing for this page: the choice then lasts as long as the page
  }
}

function recall() {
  try {
    return localStorage.getItem("mstl-language");
  } catch {
    return null;
  }
}

export async function speak(code) {
  words = await (await fetch(`assets/words.${code}.json`)).json();
  language = LANGUAGES[code];
  document.documentElement.lang = language;
  translate(document);
}

// Fills all elements with words below a root, such as the copy of a template.
export function translate(root) {
  root.querySelectorAll("[data-word]").forEach(fill);
  root.querySelectorAll("[data-label]").forEach((each) => each.setAttribute("aria-label", phrase(each.dataset.label)));
}

function fill(element) {
  const text = phrase(element.dataset.word, given.get(element));
  if (element instanceof HTMLImageElement) element.alt = text;
  else element.textContent = text;
}

// Shows words in an element, or as the text instead of an image.
export function say(element, word, values = {}) {
  element.dataset.word = word;
  element.removeAttribute("lang");
  given.set(element, values);
  fill(element);
}

// Shows what went wrong (see Problem in api.js), and what to do in another element or, without one, behind it.
export function tell(element, below, { word, values, hint, detail, title }) {
  const text = below || word || !hint ? (detail ?? title) : `${detail ?? title} (${hint})`;
  if (word) say(element, word, values);
  else quote(element, text);
  if (!below) return;
  below.hidden = !hint;
  if (hint && word) say(below, hint);
  else if (hint) quote(below, hint);
}

// Shows the server's own text, which is English.
function quote(element, text) {
  delete element.dataset.word;
  element.lang = "en";
  element.textContent = text;
}

// A phrase with {values} in it; one with a {count} may have a form for one and another for several.
export function phrase(word, values = {}) {
  const form = words[word] ?? word;
  const text = typeof form === "string" ? form : form[new Intl.PluralRules(language).select(values.count)] ?? form.other;
  return text.replace(/\{(\w+)\}/g, (_, name) => written(values[name]));
}

function written(value) {
  if (typeof value === "number") return value.toLocaleString(language);
  if (value instanceof Date) return value.toLocaleDateString(language, { dateStyle: "long", timeZone: "UTC" });
  return value;
}

// A name inside a phrase, apart from it where they run in different directions.
export function name(text) {
  return `\u2068${text}\u2069`;
}

// A share as a percentage, as reports write it: 100% and 0% are only for exactly all and nothing.
export function share(value) {
  if (value === 0 || value === 1) return `${100 * value}%`;
  return value < 0.001 ? "<0.1%" : `${(100 * Math.min(value, 0.999)).toFixed(1)}%`;
}

export function megabytes(bytes) {
  return bytes / 1e6 < 10 ? Math.ceil(bytes / 1e5) / 10 : Math.ceil(bytes / 1e6);
}
