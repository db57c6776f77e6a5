// A correction: the right class of an image, one of the model's or a new one, kept for the next training.

import { Problem, ask } from "./api.js";
import { name, say, tell } from "./words.js";

const added = new Set(); // classes that the reader has added, to choose them again

export class Correction {
  constructor(card, classes) {
    Object.assign(this, { card, classes });
    this.form = card.find(".correction");
    this.select = card.find("select");
    this.text = card.find(".new input");
    this.button = card.find(".correct");
    this.form.id = `${card.find("h3").id}-correction`;
    this.button.setAttribute("aria-controls", this.form.id);
    this.select.addEventListener("change", () => this.choose());
    this.form.addEventListener("submit", (event) => this.submit(event));
    this.form.addEventListener("keydown", (event) => event.key === "Escape" && this.toggle(false));
    card.find(".correction .cancel").addEventListener("click", () => this.toggle(false));
  }

  toggle(open = this.form.hidden) {
    this.form.hidden = !open;
    this.button.setAttribute("aria-expanded", open);
    this.card.find(".correction .problem").hidden = true;
    if (open) this.fill();
    (open ? this.select : this.button).focus();
  }

  // The most probable classes first, then the others, then a new one.
  fill() {
    const labels = new Set([...this.card.top.map((each) => each.label), ...this.classes, ...added]);
    const none = new Option("", "");
    const another = new Option("", "");
    none.disabled = true;
    another.className = "another"; // by no value: a class may have any name
    say(none, "choose_class");
    say(another, "another_class");
    this.select.replaceChildren(none, ...[...labels].map((label) => new Option(label, label)), another);
    this.select.selectedIndex = 0;
    this.choose();
  }

  get isNew() {
    return this.select.selectedOptions[0]?.className === "another";
  }

  choose() {
    const field = this.card.find(".new");
    field.hidden = !this.isNew;
    this.text.required = this.isNew;
    this.select.required = !this.isNew;
  }

  async submit(event) {
    event.preventDefault();
    if (this.isSaving) return;
    this.isSaving = true;
    const label = this.isNew ? this.text.value.trim() : this.select.value;
    try {
      const { file, gone } = this.card;
      await ask("collect", { query: { label }, body: file, signal: gone.signal });
      this.done(label);
    } catch (error) {
      const problem = this.card.find(".correction .problem");
      problem.hidden = false;
      tell(problem, null, Problem.of(error).told);
    } finally {
      this.isSaving = false;
    }
  }

  // It can be corrected again: the server keeps an image in one class only, the last.
  done(label) {
    added.add(label);
    this.form.hidden = true;
    this.button.setAttribute("aria-expanded", false);
    const saved = this.card.find(".saved");
    saved.hidden = false;
    say(saved, "saved", { label: name(label) });
    saved.focus();
    this.card.heard({ word: "saved", values: { label: name(label) } });
  }
}
