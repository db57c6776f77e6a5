// Talking with the reader: a dialog that asks for the token, and lines for a screen reader.

import { phrase, say } from "./words.js";

const SAID_KEPT = 20; // lines that have been read out

const find = (selector) => document.querySelector(selector);

// Asks for a token; gives null if there is none. See token.dialog in api.js.
export function askForToken(wasRefused) {
  const dialog = find("#token");
  const [form, input, problem] = ["form", "input", ".problem"].map((each) => dialog.querySelector(each));
  input.value = "";
  dialog.returnValue = "";
  problem.hidden = !wasRefused;
  if (wasRefused) say(problem, "token_refused");
  form.onsubmit = (event) => {
    event.preventDefault(); // nothing is sent: the page's requests carry the token from now on
    dialog.close(input.value);
  };
  dialog.querySelector(".cancel").onclick = () => dialog.close();
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue || null), { once: true });
  });
}

// Has a screen reader say something: a line of its own in a log, so that nothing takes the place of what is still unsaid.
export function hear(...told) {
  const line = document.createElement("p");
  line.textContent = told.map(({ word, values }) => phrase(word, values)).join(" ");
  find("#said").append(line);
  if (find("#said").children.length > SAID_KEPT) find("#said").firstElementChild.remove();
}
