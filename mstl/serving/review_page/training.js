// Training again: started by a button, looked after until it ends, and shown beside the run that is reviewed.

import { ask } from "./api.js";
import { hear } from "./dialogs.js";
import { notifyOf } from "./notice.js";
import { name, say, share } from "./words.js";

const PAUSE = 1000; // milliseconds between two looks at it

const find = (selector) => document.querySelector(selector);
let training = { possible: false, state: "none" };
let isLookedAfter = false;

// Asks how training again stands, as it may run or have ended before this page was opened.
export async function knowTraining() {
  training = await (await ask("training")).json();
  show();
  if (training.state === "running") lookAfter();
}

// Offers it, or not: while decisions are not applied, they would not count.
export function offerTraining(isOffered) {
  find("#train").hidden = !training.possible || !isOffered;
  find("#train").disabled = training.state === "running";
}

export async function trainAgain() {
  training = await (await ask("training", { method: "POST" })).json();
  show();
  find("#training").scrollIntoView({ block: "nearest" });
  hear({ word: "training_running", values: { seconds: 0 } });
  lookAfter();
}

async function lookAfter() {
  if (isLookedAfter) return;
  isLookedAfter = true;
  try {
    while (training.state === "running") {
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
      training = await (await ask("training")).json();
      show();
    }
    hear({ word: training.state === "done" ? "training_done" : "training_failed" });
  } catch (error) {
    notifyOf(error);
  } finally {
    isLookedAfter = false;
  }
}

function show() {
  const { state, told, seconds, result } = training;
  find("#training").hidden = state === "none";
  find("#train").disabled = state === "running";
  find("#training").setAttribute("aria-busy", state === "running");
  if (state !== "none") say(find("#training-state"), `training_${state}`, { seconds });
  find("#training-told").textContent = told;
  find("#training-told").hidden = !told;
  find("#compared").hidden = !result;
  if (result) compare(result);
}

// The two runs in two columns.
function compare({ images, corrected, before, after, only_before, only_after, p, classes }) {
  const sides = [before, after];
  const interval = ({ interval: [low, high] }) => ["from_to", { low: share(low), high: share(high) }];
  const rows = [
    row(["run"], sides.map((side) => side.run.split(/[\\/]/).at(-1)), "name"),
    row(["train_images"], sides.map((side) => ["number", { number: side.train_images }])),
    row(["accuracy"], sides.map((side) => share(side.correct / images)), "accuracy"),
    row(["interval"], sides.map(interval)),
    ...classes.map((each) => row(each.name, [each.before, each.after].map((right) => ["of_class", { right, images: each.images }]))),
  ];
  find("#compared tbody").replaceChildren(...rows);
  say(find("#mcnemar"), "mcnemar", { only_before, only_after, p: p.toPrecision(2) });
  say(find("#judged"), "judged", { images, corrected, run: name(after.run) });
}

// A row of the table: a word with its values, or a text as it is, at its head and in each column.
function row(head, cells, kind = "") {
  const element = find("#compared-row").content.firstElementChild.cloneNode(true);
  [element.querySelector("th"), ...element.querySelectorAll("td")].forEach((cell, at) => put(cell, [head, ...cells][at]));
  if (kind) element.className = kind;
  return element;
}

function put(cell, told) {
  if (Array.isArray(told)) say(cell, ...told);
  else cell.textContent = told;
}
