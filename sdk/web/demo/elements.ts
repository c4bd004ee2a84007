import type { Strings } from "./strings.js";

/** Makes an element with these children. */
export function element(name: string, className: string, ...children: (string | HTMLElement)[]): HTMLElement {
  const made = document.createElement(name);
  if (className !== "") made.className = className;
  made.append(...children);
  return made;
}

/** Makes an element whose text follows the page's language. */
export function textElement(name: string, className: string, key: keyof Strings, strings: Strings): HTMLElement {
  const made = element(name, className, strings[key]);
  made.dataset["text"] = key;
  return made;
}
