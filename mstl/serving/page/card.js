// A card: one image, from the moment it is given until it is removed, with its answer or with what went wrong.

import { Problem, ask } from "./api.js";
import { Correction } from "./correction.js";
import { megabytes, name, say, share, tell, translate } from "./words.js";

const TOP = 3;
let count = 0; // of all cards so far, for ids

export class Card {
  // The file is an image that was dropped, pasted or chosen; model() promises what GET /model says.
  // turn() runs a job when it is this card's turn; changed(card), removed(card) and heard(told) hear what happens.
  constructor(file, { model, turn, changed, removed, heard }) {
    Object.assign(this, { file, model, turn, changed, removed, heard });
    this.state = "waiting";
    this.gone = new AbortController();
    this.urls = [];
    this.element = document.getElementById("card").content.firstElementChild.cloneNode(true);
    translate(this.element);
    this.nameIt();
    this.showImage();
    this.listen();
  }

  find(selector) {
    return this.element.querySelector(selector);
  }

  // All that belongs to this card is named or described by its heading.
  nameIt() {
    const heading = this.find("h3");
    heading.id = `card-${(count += 1)}`;
    this.find(".file").textContent = this.file.name;
    this.element.setAttribute("aria-labelledby", heading.id);
    this.element.querySelectorAll("button").forEach((each) => each.setAttribute("aria-describedby", heading.id));
  }

  showImage() {
    const own = this.find(".own");
    say(own, "image_called", { file: this.file.name });
    own.addEventListener("error", () => {
      own.hidden = true; // browsers show fewer kinds of image files than the model takes
      this.find(".missing").hidden = false;
    });
    own.src = this.url(this.file);
  }

  url(blob) {
    const url = URL.createObjectURL(blob);
    this.urls.push(url);
    return url;
  }

  listen() {
    this.find(".remove").addEventListener("click", () => this.removed(this));
    this.find(".again").addEventListener("click", () => {
      this.element.focus(); // the button goes
      this.answer();
    });
    this.find(".explain").addEventListener("click", () => this.explain());
    this.find(".correct").addEventListener("click", () => this.correction.toggle());
  }

  // Asks the model, and shows what it says.
  async answer() {
    this.wait();
    try {
      const model = await this.model();
      this.refuseTooLarge(model.limits?.bytes);
      const [answer] = await this.turn(() => this.ask("predict", { top: TOP, reject: Boolean(model.can_reject) }));
      this.showAnswer(answer, model);
    } catch (error) {
      if (this.gone.signal.aborted) return;
      this.showProblem(error);
    }
    this.changed(this);
  }

  async ask(path, query) {
    this.gone.signal.throwIfAborted(); // removed while others were before it
    const onBusy = () => say(this.find(".state"), "busy");
    const response = await ask(path, { query, body: this.file, signal: this.gone.signal, onBusy });
    return (await response.json()).predictions;
  }

  refuseTooLarge(limit) {
    if (!limit || this.file.size <= limit) return;
    const values = { size: megabytes(this.file.size), limit: megabytes(limit) };
    throw new Problem({ word: "too_large", values, hint: "too_large_hint" }); // rather than send it all to be refused
  }

  wait() {
    this.set("waiting");
    say(this.find(".state"), "waiting");
    this.find(".hint").hidden = this.find(".again").hidden = true;
  }

  set(state) {
    this.state = state;
    this.element.dataset.state = state;
    this.element.setAttribute("aria-busy", state === "waiting");
    this.find(".state").hidden = state === "answered";
  }

  showAnswer(answer, model) {
    this.set(answer.rejected ? "rejected" : "answered");
    if (answer.rejected) {
      say(this.find(".state"), "none_of_these");
      say(this.find(".hint"), "closest");
      this.find(".hint").hidden = false;
    }
    this.top = answer.top;
    this.said = { word: answer.rejected ? "said_none" : "said_answer", values: this.values(answer) };
    this.find(".answers").replaceChildren(...answer.top.map(bar));
    this.find(".answers").hidden = false;
    this.find(".explain").hidden = !model.can_explain;
    this.find(".correct").hidden = !model.collects;
    this.correction = new Correction(this, model.classes);
  }

  values(answer) {
    const { label, probability } = answer.top[0];
    return { file: name(this.file.name), label: name(label), share: share(probability) };
  }

  showProblem(error) {
    this.set("failed");
    const { told, again } = Problem.of(error);
    tell(this.find(".state"), this.find(".hint"), told);
    this.find(".again").hidden = !again;
    this.said = { word: "said_problem", values: { file: name(this.file.name), problem: this.find(".state").textContent } };
  }

  // Shows what speaks for the answer, or the image itself again.
  async explain() {
    const button = this.find(".explain");
    const heat = this.find(".heat");
    if (!heat.src && !(await this.loadHeat(button, heat))) return;
    const shown = heat.hidden;
    heat.hidden = !shown;
    button.setAttribute("aria-pressed", shown);
    const seen = this.find(".seen");
    seen.hidden = !shown;
    say(seen, "seen", { label: name(this.top[0].label) });
  }

  async loadHeat(button, heat) {
    const { label } = this.top[0];
    if (button.hasAttribute("aria-busy")) return false;
    button.setAttribute("aria-busy", true); // not disabled: a disabled button would lose the focus
    try {
      const response = await ask("explain", { query: { label }, body: this.file, signal: this.gone.signal });
      say(heat, "heat_called", { label, file: this.file.name });
      heat.src = this.url(await response.blob());
      return true;
    } catch (error) {
      if (!this.gone.signal.aborted) this.showNoHeat(Problem.of(error));
      return false;
    } finally {
      button.removeAttribute("aria-busy");
    }
  }

  showNoHeat({ told }) {
    const seen = this.find(".seen");
    seen.hidden = false;
    tell(seen, null, told);
    this.heard({ word: "said_problem", values: { file: name(this.file.name), problem: seen.textContent } });
  }

  // Ends what is under way, and lets the browser forget the image.
  forget() {
    this.gone.abort();
    this.urls.forEach((url) => URL.revokeObjectURL(url));
    this.element.remove();
  }
}

function bar({ label, probability }) {
  const item = document.getElementById("answer").content.firstElementChild.cloneNode(true);
  item.querySelector(".label").textContent = label;
  item.querySelector(".share").textContent = share(probability);
  item.querySelector(".bar span").style.width = `${100 * probability}%`;
  return item;
}
