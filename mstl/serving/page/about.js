// About the model: its card, and lines that use it from a program.

import { address } from "./api.js";
import { say, share, translate } from "./words.js";

const SHOWN = 12; // class names; more are folded away
const find = (selector) => document.querySelector(selector);

export function showModel(model) {
  const classes = model.classes.length;
  if (model.name) find("#name").textContent = document.title = model.name;
  say(find("#invitation"), "invitation", { count: classes });
  const facts = [accuracy(model.accuracy), names(model.classes)];
  if (model.architecture) facts.push(fact("architecture", text(model.architecture)));
  if (model.data) facts.push(fact("data", text(model.data)));
  if (model.date) facts.push(fact("date", day(model.date), model.mstl && words("by_mstl", { version: model.mstl })));
  facts.push(fact("others", words(model.can_reject ? "rejects" : "never_rejects")));
  facts.push(fact("computed", computed(model)));
  find("#facts").replaceChildren(...facts);
}

function accuracy(value) {
  if (!value) return fact("accuracy", words("accuracy_unknown"));
  const { low, high, images, what } = value;
  const given = { low: share(low), high: share(high), count: images };
  const note = { "test images": "of_test_images", "validation images": "of_validation_images" }[what];
  return fact("accuracy", text(share(value.value)), words(note ?? "of_images", given));
}

function names(classes) {
  const list = document.createElement("ul");
  list.className = "names";
  list.append(
    ...classes.map((each) => {
      const item = document.createElement("li");
      item.dir = "auto";
      item.textContent = each;
      return item;
    }),
  );
  const count = words("classes_count", { count: classes.length });
  if (classes.length <= SHOWN) return fact("classes", count, list);
  const [details, summary] = [document.createElement("details"), document.createElement("summary")];
  summary.append(count);
  details.append(summary, list);
  return fact("classes", details);
}

function computed({ engine, precision, image_size: side }) {
  return text([engine, precision, side && `${side} × ${side}`].filter(Boolean).join(", "));
}

function fact(word, value, note) {
  const [group, term, description] = ["div", "dt", "dd"].map((tag) => document.createElement(tag));
  say(term, word);
  description.append(value);
  if (note) description.append(note);
  group.append(term, description);
  return group;
}

function text(value) {
  const element = document.createElement("bdi");
  element.textContent = value;
  return element;
}

function words(word, values) {
  const element = document.createElement("span");
  say(element, word, values);
  return element;
}

function day(value) {
  const date = new Date(value);
  return Number.isNaN(date.getTime()) ? text(value) : words("day", { date });
}

// Lines that work as they are, but for the token, which is not shown on a screen.
export function showLines(withToken, canReject) {
  const url = address("predict", canReject ? { top: 3, reject: true } : { top: 3 });
  say(find("#use-note"), withToken ? "use_note_token" : "use_note");
  find("#lines").replaceChildren(
    lines("curl", curl(url, withToken)),
    lines("Python", python(url, withToken)),
    lines("JavaScript", javascript(url, withToken)),
  );
}

function curl(url, withToken) {
  const header = withToken ? '-H "Authorization: Bearer TOKEN" ' : "";
  return (
    `curl ${header}--data-binary @image.jpg "${url}"\n` +
    `curl ${header}-F files=@one.jpg -F files=@two.jpg "${url}"\n` +
    `curl ${header}"${address("model")}"`
  );
}

function python(url, withToken) {
  const headers = withToken ? ', "Authorization": "Bearer TOKEN"' : "";
  return `import json
from urllib.request import Request, urlopen

with open("image.jpg", "rb") as file:
    image = file.read()
request = Request("${url}", image, {"Content-Type": "image/jpeg"${headers}})
with urlopen(request) as answer:
    print(json.load(answer)["predictions"][0])`;
}

function javascript(url, withToken) {
  const headers = withToken ? '\n  headers: { Authorization: "Bearer TOKEN" },' : "";
  return `import { readFile } from "node:fs/promises"; // in a page: the file of an <input type="file">

const answer = await fetch("${url}", {
  method: "POST",
  body: await readFile("image.jpg"),${headers}
});
console.log((await answer.json()).predictions[0]);`;
}

function lines(title, code) {
  const block = document.getElementById("code").content.cloneNode(true);
  block.querySelector("h3").textContent = title;
  block.querySelector("code").textContent = code;
  translate(block);
  const button = block.querySelector("button");
  button.setAttribute("aria-describedby", (block.querySelector("h3").id = `lines-${title}`));
  button.addEventListener("click", () => copy(button, code));
  return block;
}

async function copy(button, code) {
  try {
    await navigator.clipboard.writeText(code);
    say(button, "copied");
  } catch {
    // a page may not always write to the clipboard: Ctrl-C does the rest
    getSelection().selectAllChildren(button.parentElement.querySelector("code"));
    say(button, "selected");
  }
  setTimeout(() => say(button, "copy"), 1500);
}
