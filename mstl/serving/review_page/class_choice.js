// Choosing a class: a few letters of its name, or a new name, by keyboard alone.

import { name, phrase } from "./words.js";

const MOST = 30; // classes that are listed

const find = (selector) => document.querySelector(selector);
const input = find("#class");
const list = find("#classes");
let classes = [];
let first = []; // classes that are offered before a letter is typed
let place = 0; // of the option that Enter chooses

// The classes of the data, for all images; a new one is added once it has been chosen.
export function knowClasses(names) {
  classes = names;
}

// Opens the choice for an image of a class; the likeliest classes come first. Something may have been typed already.
export function openChoice(likely, given, typed) {
  first = [...new Set([...likely, ...classes])].filter((each) => each !== given);
  input.value = typed;
  find("#relabel").hidden = false;
  find("[data-do=relabel]").setAttribute("aria-expanded", "true");
  offer();
  input.focus();
  find("#relabel").scrollIntoView({ block: "nearest" });
}

export function closeChoice() {
  find("#relabel").hidden = true;
  find("[data-do=relabel]").setAttribute("aria-expanded", "false");
}

export function isChoosing() {
  return !find("#relabel").hidden;
}

// Listens to the reader; calls back with the class that was chosen, or with null if none was.
export function listenToChoice(chosen) {
  input.addEventListener("input", offer);
  input.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) mark((place + step + list.children.length) % (list.children.length || 1));
    else if (event.key === "Escape") chosen(null);
    else return;
    event.preventDefault();
  });
  find("#relabel").addEventListener("submit", (event) => {
    event.preventDefault();
    const label = list.children[place]?.dataset.label;
    if (label) chosen(label);
  });
  list.addEventListener("pointerdown", (event) => event.preventDefault()); // the field keeps the focus
  list.addEventListener("click", (event) => {
    const option = event.target.closest("[role=option]");
    if (option) chosen(option.dataset.label);
  });
}

function offer() {
  const typed = input.value.trim();
  const found = typed ? matches(typed) : first;
  const options = found.slice(0, MOST).map((label) => option(label, label));
  const isNew = typed && !classes.some((each) => plain(each) === plain(typed));
  if (isNew) options.push(option(typed, phrase("new_class", { label: name(typed) })));
  list.replaceChildren(...options);
  mark(0);
}

// Names that begin so come first, then those with a word that does, then those that have it anywhere.
function matches(typed) {
  const wanted = plain(typed);
  const rank = (each) => {
    const at = plain(each).indexOf(wanted);
    return at <= 0 ? at : /[\s_.-]/.test(plain(each)[at - 1]) ? 1 : 2;
  };
  const found = classes.filter((each) => rank(each) >= 0);
  return found.sort((one, other) => rank(one) - rank(other));
}

function plain(text) {
  return text.normalize("NFKC").toLowerCase();
}

function option(label, text) {
  const element = document.createElement("li");
  element.setAttribute("role", "option");
  element.dir = "auto";
  element.dataset.label = label;
  element.textContent = text;
  return element;
}

function mark(index) {
  place = index;
  [...list.children].forEach((each, at) => {
    each.id = `class-${at}`;
    each.setAttribute("aria-selected", at === place);
  });
  const current = list.children[place];
  if (current) input.setAttribute("aria-activedescendant", current.id);
  else input.removeAttribute("aria-activedescendant");
  current?.scrollIntoView({ block: "nearest" });
}
