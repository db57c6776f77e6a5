// The page of a review: one image after the other, decided about by keyboard or buttons, and applied at the end.

import { ask } from "./api.js";
import { closeChoice, isChoosing, knowClasses } from "./class_choice.js";
import { answer, choose, enqueue, start } from "./course.js";
import { hear } from "./dialogs.js";
import { notify, notifyOf, quiet } from "./notice.js";
import { knowTraining, offerTraining, trainAgain } from "./training.js";
import { prepare, show, showDecision, toggleHeat, verdict } from "./view.js";
import { name, phrase, say } from "./words.js";

const KEYS = {
  ...{ k: "keep", r: "relabel", x: "exclude", u: "undo", n: "next", p: "back", g: "explain" },
  ...{ ArrowRight: "next", ArrowLeft: "back" },
};
const ACTIONS = {
  keep: () => decide("keep"),
  exclude: () => decide("exclude"),
  relabel: choose,
  undo: takeBack,
  next: () => go(at + 1),
  back: () => go(at - 1),
  explain: toggleHeat,
};

const find = (selector) => document.querySelector(selector);
let items = [];
let classes = [];
let explained = []; // classes that the run's model knows
let state = { decisions: {}, plan: [], can_undo: false };
let at = 0; // the place of the image that is shown
let project = ""; // the name of the data
let isList = false; // whether the data is a list, of which Apply makes a new one
const taken = []; // images that were decided about here, the latest last

async function open(told) {
  ({ items, classes, explained, state, name: project, is_list: isList } = told);
  knowClasses(classes);
  say(find("#name"), "review_of", { name: name(project) });
  document.title = phrase("review_of", { name: project });
  find("#course").hidden = !items.length;
  await knowTraining().catch(notifyOf);
  count();
  if (!items.length) notify("nothing");
  else go(Math.max(0, undecided(0)));
}

function speak() {
  count();
  document.title = phrase("review_of", { name: project });
}

async function decide(decision, label = "") {
  const item = items[at];
  state = await answer(ask("decisions", { json: { item: item.id, decision, label } }));
  quiet();
  taken.push(item.id);
  if (label && !classes.includes(label)) knowClasses((classes = [...classes, label].sort()));
  count();
  const [word, values] = verdict(state.decisions[item.id]);
  hear({ word: "said_done", values: { file: name(item.path), verdict: phrase(word, values) } });
  const next = undecided(at + 1);
  if (next >= 0) return go(next);
  showDecision(item, state.decisions[item.id]);
  notify("all_decided");
  find("#apply").focus();
}

async function takeBack() {
  const last = taken.at(-1) ?? (state.decisions[items[at]?.id] ? items[at].id : null);
  if (!last) return notify("nothing_to_undo");
  state = await answer(ask(`decisions/${last}`, { method: "DELETE" }));
  taken.pop();
  quiet();
  count();
  hear({ word: "said_taken_back", values: { file: name(items.find((each) => each.id === last).path) } });
  go(items.findIndex((each) => each.id === last));
}

function apply() {
  const dialog = find("#confirm");
  const lines = state.plan.map((step) => {
    const line = document.createElement("li");
    const values = { count: step.count, label: name(step.label), to: name(step.to) };
    say(line, step.to === null ? "step_exclude" : "step_relabel", values);
    return line;
  });
  find("#plan").replaceChildren(...lines);
  say(find("#confirm-why"), isList ? "apply_why_list" : "apply_why");
  say(find("#confirm-count"), "apply_count", { count: moving() });
  dialog.returnValue = "";
  dialog.showModal();
}

async function confirmed() {
  try {
    const done = await answer(ask("apply", { json: { plan: state.plan } }));
    state = done.state;
    if (done.lists.length) notify("applied_list", { file: name(done.lists.join(", ")) }, done.problems);
    else if (done.moved) notify("applied", { count: done.moved }, done.problems);
    else notify("nothing_to_apply", {}, done.problems);
    taken.length = 0; // to take back single decisions is over: all of them are
  } catch (error) {
    await refresh();
    throw error;
  }
  count();
  again();
  find("#restore").focus();
}

async function restore() {
  const done = await answer(ask("undo", { method: "POST" }));
  state = done.state;
  notify(isList ? "restored_list" : "restored", { count: done.moved }, done.problems);
  count();
  again();
  find("#item").focus({ preventScroll: true });
}

// What has been decided by now, also by others.
async function refresh() {
  state = (await answer(ask("items"))).state;
  count();
}

function go(place) {
  if (place < 0 || place >= items.length) return;
  at = place;
  if (isChoosing()) closeChoice();
  const item = items[at];
  show(item, state.decisions[item.id], explained);
  hear({ word: "said_at", values: { file: name(item.path), label: name(item.label) } });
  if (items[at + 1]) prepare(items[at + 1]);
}

// Shows the same image again, as its file may have moved.
function again() {
  if (items.length) show(items[at], state.decisions[items[at].id], explained);
}

// The place of the next image without a decision, from a place on and around; -1 if there is none.
function undecided(from) {
  for (let step = 0; step < items.length; step += 1) {
    const place = (from + step) % items.length;
    if (!state.decisions[items[place].id]) return place;
  }
  return -1;
}

function moving() {
  return state.plan.reduce((sum, step) => sum + step.count, 0);
}

function count() {
  const done = items.filter((each) => state.decisions[each.id]).length;
  find("#bar").value = done;
  find("#bar").max = items.length || 1;
  say(find("#progress"), "progress", { done, count: items.length });
  find("#apply").hidden = !moving();
  offerTraining(!moving());
  find("#restore").hidden = !state.can_undo;
}

find("#apply").addEventListener("click", apply);
find("#confirm").addEventListener("close", (event) => event.target.returnValue && enqueue(confirmed));
find("#restore").addEventListener("click", () => enqueue(restore));
find("#train").addEventListener("click", () => enqueue(trainAgain));
start({
  keys: KEYS,
  actions: ACTIONS,
  free: ["undo", "next", "back", "explain"],
  shown: () => items[at],
  open,
  speak,
  chosen: (_item, label) => decide("relabel", label),
});
