"use strict";

// Turns the column titles of a table into buttons that sort its rows by that column.
function makeSortable(table) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const body = table.tBodies[0];
      body.append(...[...body.rows].sort(order(column, head.dataset.kind === "number", down ? -1 : 1)));
    });
  });
}

// What is not a number, such as the recall of a class without images, comes last in either direction.
function order(column, numeric, sign) {
  const key = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
  return (a, b) => {
    const [one, other] = [key(a), key(b)];
    if (!numeric) return sign * one.localeCompare(other, undefined, { numeric: true });
    if (one === "" || other === "") return (one === "") - (other === "");
    return sign * (Number(one) - Number(other));
  };
}

function makeCopyable(block) {
  const button = block.querySelector("button");
  const text = block.querySelector("code");
  const name = button.textContent;
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text.textContent);
      button.textContent = button.dataset.copied;
    } catch {
      getSelection().selectAllChildren(text); // a page may not always write to the clipboard: Ctrl-C does the rest
      button.textContent = button.dataset.selected;
    }
    setTimeout(() => { button.textContent = name; }, 1500);
  });
}

document.querySelectorAll("table.sortable").forEach(makeSortable);
document.querySelectorAll(".code").forEach(makeCopyable);
