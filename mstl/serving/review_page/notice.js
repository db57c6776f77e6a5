// The notice: what has just been done, or why it was not.

import { Problem } from "./api.js";
import { hear } from "./dialogs.js";
import { say, tell } from "./words.js";

const notice = document.querySelector("#notice");

// Says something, and below it what could not be done, in the server's own lines.
export function notify(word, values = {}, problems = []) {
  notice.hidden = false;
  notice.classList.toggle("good", !problems.length);
  delete notice.dataset.word; // of an error that was told there
  notice.removeAttribute("lang");
  notice.replaceChildren(document.createElement("span"));
  say(notice.firstChild, word, values);
  problems.forEach((text) => {
    const line = notice.appendChild(document.createElement("span"));
    line.lang = "en";
    line.className = "line";
    line.textContent = text;
  });
  hear({ word, values });
}

// Says what went wrong.
export function notifyOf(error) {
  notice.hidden = false;
  notice.classList.remove("good");
  tell(notice, null, Problem.of(error).told);
  hear({ word: notice.textContent });
}

export function quiet() {
  notice.hidden = true;
}
