/** Small words for the page: find, build, and say what the app is doing. */

/** The one element with this id. */
export function byId(id) {
  return document.getElementById(id);
}

/** A new element with text and attributes: make("button", "Undo", {type: "button"}). */
export function make(tag, words = "", attributes = {}) {
  const element = document.createElement(tag);
  element.textContent = words;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

/** A button that does `act` when pressed. */
export function makeButton(words, act, className = "button") {
  const button = make("button", words, { type: "button", class: className });
  button.addEventListener("click", (press) => {
    press.stopPropagation();
    act();
  });
  return button;
}

/** One of the drawings defined at the top of the page. */
export function makeIcon(name, className = "icon") {
  const space = "http://www.w3.org/2000/svg";
  const drawing = document.createElementNS(space, "svg");
  const use = document.createElementNS(space, "use");
  drawing.setAttribute("class", className);
  drawing.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#icon-${name}`);
  drawing.append(use);
  return drawing;
}

/** starting, scanning, sending, admitted, refused, waiting or unpaired; style and tests read it from <html>. */
export function setState(state) {
  document.documentElement.dataset.state = state;
}

export function getState() {
  return document.documentElement.dataset.state;
}

let hintTimer = null;

/** Say something beside the camera; it goes after `milliseconds`, or stays when 0. */
export function setHint(words, milliseconds = 0) {
  clearTimeout(hintTimer);
  byId("hint").textContent = words;
  if (milliseconds > 0) hintTimer = setTimeout(() => setHint(""), milliseconds);
}
