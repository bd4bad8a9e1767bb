// One helper that builds elements, so that no text is ever parsed as HTML.

/** `make("a.card", { href }, child, "text")`: properties are set as properties, `aria-…` and `data-…` as attributes. */
export function make(selector, properties = {}, ...children) {
  const [tag, ...classes] = selector.split(".");
  const element = document.createElement(tag);
  element.classList.add(...classes);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (name.includes("-") || name === "role" || name === "lang") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}
