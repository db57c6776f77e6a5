// The page of labelling: one image after the other gets its class, by keyboard or buttons, in the server's order.

import { Problem, ask, token } from "./api.js";
import { closeChoice, isChoosing, knowClasses, listenToChoice, openChoice } from "./class_choice.js";
import { askForToken, hear } from "./dialogs.js";
import { notify, notifyOf, quiet } from "./notice.js";
import { prepare, show, toggleHeat } from "./view.js";
import { keepLanguage, name, phrase, preferredLanguage, say, share, speak, tell } from "./words.js";

const KEYS = { k: "accept", r: "relabel", s: "skip", u: "undo", g: "explain", 1: "first", 2: "second", 3: "third" };
const ACTIONS = {
  accept: (item) => label(item, item.label),
  first: (item) => answerOf(item, 0),
  second: (item) => answerOf(item, 1),
  third: (item) => answerOf(item, 2),
  relabel: choose,
  skip,
  undo: takeBack,
  explain: toggleHeat,
};

const find = (selector) => document.querySelector(selector);
let folder = ""; // the name of the folder
let list = ""; // the file of the labels
let explained = []; // classes that the model that was given knows
let state = { queue: [], rounds: [], classes: [], done: 0, count: 0, left: 0, can_undo: false };
let turn = Promise.resolve(); // what is done is done one after the other, however quickly keys are pressed
let early = null; // letters of a class that were typed before the field for them was there; null if none are expected

async function start() {
  const language = preferredLanguage();
  find("#language").value = language;
  await speak(language);
  listen();
  await load();
}

async function load() {
  find("#unknown").hidden = true;
  try {
    const told = await (await ask("items")).json();
    ({ name: folder, list, explained } = told);
    take(told);
  } catch (error) {
    find("#unknown").hidden = false;
    tell(find("#unknown .detail"), find("#unknown .hint"), Problem.of(error).told);
    return;
  }
  say(find("#name"), "label_of", { name: name(folder) });
  document.title = phrase("label_of", { name: folder });
  find("#course").hidden = false;
}

function listen() {
  find("#language").addEventListener("change", async (event) => {
    keepLanguage(event.target.value);
    await speak(event.target.value);
    document.title = phrase("label_of", { name: folder });
    tellRounds();
  });
  find("#unknown button").addEventListener("click", () => {
    token.declined = false;
    load();
  });
  document.querySelectorAll("[data-do]").forEach((button) => {
    button.addEventListener("click", () => act(button.dataset.do));
  });
  find("#answers").addEventListener("click", (event) => {
    const row = event.target.closest("li");
    if (row) act(["first", "second", "third"][[...row.parentNode.children].indexOf(row)]);
  });
  document.addEventListener("keydown", pressed);
  listenToChoice((given) => {
    closeChoice();
    find("#item").focus({ preventScroll: true });
    const item = state.queue[0];
    if (given) enqueue(() => label(item, given));
  });
}

function pressed(event) {
  const isTyping = event.target.closest?.("input, select, textarea, dialog");
  if (isTyping || event.ctrlKey || event.altKey || event.metaKey) return;
  const isLetter = event.key.length === 1;
  if (early !== null && isLetter) early += event.key;
  const action = early === null && isLetter ? KEYS[event.key.toLowerCase()] : null;
  if (!action || event.repeat) return;
  event.preventDefault();
  act(action);
}

// A label is for the image that was there when its key was pressed, never for one that came meanwhile.
function act(action) {
  token.declined = false;
  const item = state.queue[0];
  if (!item && action !== "undo") return;
  if (action === "relabel") early = "";
  enqueue(() => {
    if (action === "undo" || state.queue[0] === item) return ACTIONS[action](item);
    early = null;
  });
}

// Does something after all that was asked for before; what goes wrong is said.
function enqueue(job) {
  turn = turn.then(job).catch((error) => {
    early = null;
    notifyOf(error);
  });
  return turn;
}

async function label(item, given) {
  if (state.left === 1) notify("learning");
  const rounds = state.rounds.length;
  const told = await answer(ask("labels", { json: { item: item.id, label: given } }));
  quiet();
  hear({ word: "said_labelled", values: { file: name(item.path), label: name(given) } });
  take(told);
  if (told.rounds.length > rounds && told.queue.length) notify(...roundTold(told.rounds.at(-1)));
}

function answerOf(item, place) {
  return item.answer[place] && label(item, item.answer[place].label);
}

async function skip(item) {
  const told = await answer(ask("skips", { json: { item: item.id } }));
  quiet();
  hear({ word: "said_skipped", values: { file: name(item.path) } });
  take(told);
}

async function takeBack() {
  if (!state.can_undo) return notify("nothing_to_undo");
  const told = await answer(ask("last", { method: "DELETE" }));
  quiet();
  hear({ word: "said_taken_back", values: { file: name(told.queue[0].path) } });
  take(told);
}

function choose(item) {
  openChoice(item.answer.map((each) => each.label), item.label, early);
  early = null;
}

async function answer(request) {
  return (await request).json();
}

// Shows what the server says is next.
function take(told) {
  state = told;
  knowClasses(state.classes);
  if (isChoosing()) closeChoice();
  const [item, ...next] = state.queue;
  find("#item").hidden = !item;
  if (item) {
    show(item, null, explained);
    hear({ word: "said_at", values: { file: name(item.path), label: name(item.label) } });
    next.forEach(prepare);
  } else {
    notify("all_labelled", { list: name(list) });
  }
  find("#bar").value = state.done;
  find("#bar").max = state.count;
  say(find("#progress"), "progress", { done: state.done, count: state.count });
  find("#left").hidden = !item;
  say(find("#left"), "left", { count: state.left });
  tellRounds();
}

// What the rounds have brought, the latest first.
function tellRounds() {
  find("#brought").hidden = !state.rounds.length;
  const lines = state.rounds.map((each) => {
    const line = document.createElement("li");
    say(line, ...roundTold(each));
    return line;
  });
  find("#rounds").replaceChildren(...lines.reverse());
}

// What a round has brought: a word, and the values in it.
function roundTold(round) {
  const values = { ...round, before: share(round.right_before / round.total) };
  if (round.right_now === null) return ["round_unlearnt", values];
  const [now, low, high] = [round.right_now / round.total, round.low, round.high].map(share);
  return ["round", { ...values, now, low, high }];
}

token.dialog = askForToken;
start();
