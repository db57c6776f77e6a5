// The page: takes images in every way in which a reader may give them, and keeps their cards.

import { showLines, showModel } from "./about.js";
import { Problem, ask, pool, token } from "./api.js";
import { Card } from "./card.js";
import { askForToken, hear } from "./dialogs.js";
import { droppedFiles } from "./dropped.js";
import { keepLanguage, preferredLanguage, say, speak, tell } from "./words.js";

const AT_ONCE = 4; // requests: a browser has six connections to a server, and the rest of the page needs some
const SILENCE = 400; // ms in which answers are gathered before they are read out
const SAID_EACH = 3; // answers that are read out one by one; of more, only how many there are

const find = (selector) => document.querySelector(selector);
const turn = pool(AT_ONCE);
const cards = new Set();
const fresh = new Set(); // cards with answers that have not been read out
let model = null; // the promise of what GET /model says
let words = null; // the promise of the first ones: what comes before them waits

function loadModel() {
  model ??= ask("model")
    .then((response) => response.json())
    .then(introduce)
    .catch((error) => {
      model = null; // the next image tries again
      throw error;
    });
  return model;
}

async function start() {
  const language = preferredLanguage();
  find("#language").value = language;
  words = speak(language);
  listen(); // at once: a browser opens a file in place of a page that does not listen
  await words;
  sayPrivacy();
  await meet();
}

// Loads what the page says of the model, or says why it cannot.
async function meet() {
  const unknown = find("#unknown");
  try {
    await loadModel();
  } catch (error) {
    unknown.hidden = false;
    tell(unknown.querySelector(".detail"), unknown.querySelector(".hint"), Problem.of(error).told);
  }
}

function introduce(told) {
  find("#unknown").hidden = true;
  showModel(told);
  sayPrivacy(told.collects);
  showLines(token.isUsed || token.value, told.can_reject);
  return told;
}

function sayPrivacy(collects = false) {
  const isHere = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(location.hostname);
  const word = `${isHere ? "stays_here" : "stays_there"}${collects ? "_collected" : ""}`;
  say(find("#privacy"), word, { host: location.host });
}

function listen() {
  find("#language").addEventListener("change", (event) => {
    keepLanguage(event.target.value);
    speak(event.target.value);
  });
  find("#unknown button").addEventListener("click", () => {
    token.declined = false;
    meet();
  });
  find("#clear").addEventListener("click", clear);
  listenToInput("#choose", "#files");
  listenToInput("#camera", "#pictures");
  listenToDrops();
  document.addEventListener("paste", paste);
}

function listenToInput(button, input) {
  find(button).addEventListener("click", () => find(input).click());
  find(input).addEventListener("change", (event) => {
    add([...event.target.files]);
    event.target.value = ""; // so that the same file can be chosen again
  });
}

// The whole page takes drops: a file that misses the field would otherwise replace the page.
function listenToDrops() {
  const field = find("#drop").classList;
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    field.add("over");
  });
  document.addEventListener("dragleave", (event) => event.relatedTarget ?? field.remove("over"));
  document.addEventListener("drop", async (event) => {
    event.preventDefault();
    field.remove("over");
    try {
      await add(await droppedFiles(event.dataTransfer), "none_dropped");
    } catch {
      add([], "drop_unreadable");
    }
  });
}

function paste(event) {
  const files = [...event.clipboardData.files];
  if (files.length) event.preventDefault();
  else if (event.target.closest?.("input, select")) return; // text, into a field
  add(files, "none_pasted");
}

async function add(files, otherwise) {
  await words;
  const notice = find("#notice");
  notice.hidden = Boolean(files.length) || !otherwise;
  if (!notice.hidden) {
    say(notice, otherwise);
    hear({ word: otherwise });
  }
  token.declined = false;
  const added = files.map((file) => new Card(file, { model: loadModel, turn, changed, removed, heard: hear }));
  added.forEach((card) => cards.add(card));
  find("#cards").prepend(...added.map((card) => card.element)); // the latest first, where the reader looks
  count();
  added[0]?.element.scrollIntoView({ block: "nearest" });
  added.forEach((card) => card.answer());
}

function changed(card) {
  fresh.add(card);
  count();
  clearTimeout(changed.timer);
  changed.timer = setTimeout(readOut, SILENCE);
}

function readOut() {
  const done = [...fresh].filter((card) => cards.has(card));
  fresh.clear();
  if (done.length > SAID_EACH) hear({ word: "progress", values: counts() });
  else if (done.length) hear(...done.map((card) => card.said));
}

function counts() {
  const done = [...cards].filter((card) => card.state !== "waiting");
  return { done: done.length, count: cards.size };
}

function count() {
  find("#cards").hidden = find("#tools").hidden = !cards.size;
  document.body.classList.toggle("with-cards", cards.size > 0);
  say(find("#progress"), "progress", counts());
}

function removed(card) {
  const next = card.element.nextElementSibling ?? card.element.previousElementSibling;
  forget(card);
  count();
  (next?.querySelector(".remove") ?? find("#choose")).focus(); // the button that had the focus is gone
}

function forget(card) {
  card.forget();
  cards.delete(card);
}

function clear() {
  cards.forEach(forget);
  count();
  find("#notice").hidden = true;
  find("#choose").focus();
}

token.dialog = askForToken;
start();
