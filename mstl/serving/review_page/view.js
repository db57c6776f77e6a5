// The view of an image: what it is, why it is to be looked at, what a model says of it, and images like it.

import { heatMap, picture } from "./pictures.js";
import { name, say, share, translate } from "./words.js";

const LARGE = 1600; // pixels of the longer side, as the server allows
const SMALL = 320;

const find = (selector) => document.querySelector(selector);
let shown = null; // the image that is shown now: pictures that come later than the next one was asked for are left out

// Shows an image and what has been decided about it; heat maps can be had for the classes that are explained.
export function show(item, decision, explained) {
  shown = item;
  hideHeat();
  find("#explain").hidden = !explained.includes(item.answer[0]?.label);
  find("#item").hidden = false;
  find("#file bdi").textContent = item.path;
  find("#label").textContent = item.label;
  showDecision(item, decision);
  find("#reasons").replaceChildren(...item.reasons.map((reason) => reasonLine(reason, item)));
  find("#answer").hidden = !item.answer.length;
  find("#answers").replaceChildren(...item.answer.map(answerRow));
  find("#beside").replaceChildren(
    ...[
      strip(item.versions, "versions"),
      strip(item.of_label, "nearest_of", { label: name(item.of_label[0]?.label) }),
      strip(item.of_answer, "nearest_of", { label: name(item.of_answer[0]?.label) }),
    ].filter(Boolean),
  );
  const [image, missing] = [find("#large"), find("#missing")];
  image.hidden = true;
  missing.hidden = true;
  put(image, item, LARGE, "image_called", () => {
    missing.hidden = false;
    say(missing, "not_shown");
  });
}

// Shows where the run's model sees the class that the image is taken for, or no longer does.
export async function toggleHeat() {
  const item = shown;
  if (find("#explain").hidden) return;
  if (!find("#heat").hidden) return hideHeat();
  const { label } = item.answer[0];
  const url = await heatMap(item.sha256, label);
  if (shown !== item) return;
  const [heat, values] = [find("#heat"), { file: name(item.path), label: name(label) }];
  heat.src = url;
  heat.hidden = find("#seen").hidden = false;
  say(heat, "heat_called", values);
  say(find("#seen"), "seen", values);
  find("#explain").setAttribute("aria-pressed", true);
}

function hideHeat() {
  find("#heat").hidden = find("#seen").hidden = true;
  find("#explain").setAttribute("aria-pressed", false);
}

// Has the picture of an image ready, as it will be shown next.
export function prepare(item) {
  picture(item.sha256, LARGE).catch(() => {}); // said once it is to be shown
}

export function showDecision(item, decision) {
  const tag = find("#verdict");
  tag.hidden = !decision;
  if (decision) say(tag, ...verdict(decision));
  document.querySelectorAll("[data-do=keep], [data-do=relabel], [data-do=exclude]").forEach((button) => {
    button.setAttribute("aria-pressed", button.dataset.do === decision?.decision);
  });
}

// What has been decided: a word, and the values in it.
export function verdict({ decision, label, applied }) {
  if (decision === "keep") return ["kept"];
  const values = { label: name(label) };
  if (decision === "relabel") return applied ? ["relabelled_applied", values] : ["relabelled", values];
  return applied ? ["excluded_applied"] : ["excluded"];
}

function reasonLine({ kind, detail }, item) {
  const line = document.createElement("li");
  const told = line.appendChild(document.createElement("span"));
  say(told, kind, { label: name(item.answer[0]?.label) });
  if (detail) {
    const more = line.appendChild(document.createElement("span"));
    more.lang = "en";
    more.className = "note";
    more.textContent = ` ${detail}`;
  }
  return line;
}

function answerRow({ label, probability }) {
  const row = find("#answer-row").content.cloneNode(true);
  row.querySelector(".label").textContent = label;
  row.querySelector(".share").textContent = share(probability);
  row.querySelector(".bar span").style.width = `${100 * probability}%`;
  return row;
}

function strip(images, word, values) {
  if (!images.length) return null;
  const element = find("#strip").content.firstElementChild.cloneNode(true);
  say(element.querySelector("h3"), word, values);
  element.querySelector("ul").append(...images.map(thumb));
  return element;
}

function thumb(image) {
  const element = find("#thumb").content.firstElementChild.cloneNode(true);
  element.querySelector(".of").textContent = image.label;
  say(element.querySelector(".part"), `part_${image.split}`);
  element.title = image.path;
  const shows = element.querySelector("img");
  put(shows, image, SMALL, "like_called", () => shows.classList.add("broken"));
  translate(element);
  return element;
}

function put(element, image, side, word, failed) {
  const item = shown;
  say(element, word, { file: name(image.path), label: name(image.label) });
  element.removeAttribute("src");
  picture(image.sha256, side).then(
    (url) => {
      if (shown !== item) return;
      element.src = url;
      element.hidden = false;
    },
    () => shown === item && failed(),
  );
}
