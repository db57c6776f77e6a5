// The page of labelling: one image after the other gets its class, by keyboard or buttons, in the server's order.

import { ask } from "./api.js";
import { closeChoice, isChoosing, knowClasses } from "./class_choice.js";
import { act, answer, choose, start } from "./course.js";
import { hear } from "./dialogs.js";
import { notify, quiet } from "./notice.js";
import { prepare, show, toggleHeat } from "./view.js";
import { name, phrase, say, share } from "./words.js";

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

function open(told) {
  ({ name: folder, list, explained } = told);
  say(find("#name"), "label_of", { name: name(folder) });
  document.title = phrase("label_of", { name: folder });
  find("#course").hidden = false;
  take(told);
}

function speak() {
  document.title = phrase("label_of", { name: folder });
  tellRounds();
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

find("#answers").addEventListener("click", (event) => {
  const row = event.target.closest("li");
  if (row) act(["first", "second", "third"][[...row.parentNode.children].indexOf(row)]);
});
start({
  keys: KEYS,
  actions: ACTIONS,
  free: ["undo"],
  shown: () => state.queue[0],
  open,
  speak,
  chosen: label,
});
