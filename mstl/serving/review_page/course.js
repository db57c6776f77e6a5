// The course of a page about one image after the other: language, keys and buttons, and one thing done after the other.

import { Problem, ask, token } from "./api.js";
import { closeChoice, listenToChoice, openChoice } from "./class_choice.js";
import { askForToken } from "./dialogs.js";
import { notifyOf } from "./notice.js";
import { keepLanguage, preferredLanguage, speak, tell } from "./words.js";

const find = (selector) => document.querySelector(selector);
let page = null;
let turn = Promise.resolve(); // what is done is done one after the other, however quickly keys are pressed
let early = null; // letters of a class that were typed before the field for them was there; null if none are expected

// Starts a page. It has: keys, an action's name by the key; actions, a function of an image by the name; free, the
// actions that are not about the image shown; shown, which gives that image, if there is one; open, which is called with
// what the server says of the images; speak, after each change of the language; and chosen, with an image and its class.
export async function start(given) {
  page = given;
  token.dialog = askForToken;
  const language = preferredLanguage();
  find("#language").value = language;
  await speak(language);
  listen();
  await load();
}

// Does something after all that was asked for before; what goes wrong is said.
export function enqueue(job) {
  turn = turn.then(job).catch((error) => {
    early = null;
    notifyOf(error);
  });
  return turn;
}

// Opens the choice of a class for an image, with what has been typed already.
export function choose(item) {
  openChoice(item.answer.map((each) => each.label), item.label, early);
  early = null;
}

export async function answer(request) {
  return (await request).json();
}

async function load() {
  find("#unknown").hidden = true;
  let told = null;
  try {
    told = await answer(ask("items"));
  } catch (error) {
    find("#unknown").hidden = false;
    tell(find("#unknown .detail"), find("#unknown .hint"), Problem.of(error).told);
    return;
  }
  await page.open(told);
}

function listen() {
  find("#language").addEventListener("change", async (event) => {
    keepLanguage(event.target.value);
    await speak(event.target.value);
    page.speak();
  });
  find("#unknown button").addEventListener("click", () => {
    token.declined = false;
    load();
  });
  document.querySelectorAll("[data-do]").forEach((button) => {
    button.addEventListener("click", () => act(button.dataset.do));
  });
  document.addEventListener("keydown", pressed);
  listenToChoice((label) => {
    closeChoice();
    find("#item").focus({ preventScroll: true });
    const item = page.shown();
    if (label) enqueue(() => page.chosen(item, label));
  });
}

function pressed(event) {
  const isTyping = event.target.closest?.("input, select, textarea, dialog");
  if (isTyping || event.ctrlKey || event.altKey || event.metaKey) return;
  const isLetter = event.key.length === 1;
  if (early !== null && isLetter) early += event.key;
  const action = early === null ? page.keys[isLetter ? event.key.toLowerCase() : event.key] : null;
  if (!action || event.repeat) return;
  event.preventDefault();
  act(action);
}

// An action is about the image that was there when its key was pressed, never about one that came meanwhile.
export function act(action) {
  token.declined = false;
  const item = page.shown();
  const isFree = page.free.includes(action);
  if (!item && action !== "undo") return;
  if (action === "relabel") early = "";
  enqueue(() => {
    if (isFree || page.shown() === item) return page.actions[action](item);
    early = null;
  });
}
