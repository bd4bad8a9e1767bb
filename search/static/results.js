// What stands beside the photo: shelves per garment, one garment's grid, products like a product, waiting, failure.

import { make } from "./dom.js";
import { filterBar } from "./filters.js";
import { categoryName, integer, percent, score, won, words } from "./i18n.js";

const SHELF = 8; // products on a shelf; the rest behind "see all"
const SKELETONS = 8;
const HOPELESS = new Set(["bad_photo", "too_large"]);

/** One product. `onMore(product)` is called by its "more like this". */
export function card(product, onMore) {
  const name = product.name ?? words().unnamed;
  const picture = make(
    "div.picture",
    {},
    make("img", { src: product.thumbnail, alt: "", loading: "lazy", decoding: "async", onerror: (event) => event.target.remove() }),
    product.score === undefined
      ? null
      : make("span.score", {}, make("span.unseen", {}, `${words().similarity} `), score(product.score)),
  );
  const text = make(
    "div.text",
    {},
    make("span.maker", {}, product.brand ?? ""),
    make("span.title", {}, name),
    make("span.price", {}, product.price === null ? "" : won(product.price)),
  );
  const link = product.url
    ? make(
        "a.link",
        { href: product.url, target: "_blank", rel: "noopener noreferrer", "aria-label": words().toShop(spoken(product)) },
        picture,
        text,
      )
    : make("div.link", {}, picture, text);
  const more = make(
    "button.more",
    { type: "button", "aria-label": words().moreOf(name), onclick: () => onMore(product) },
    words().more,
  );
  const item = make("li.card", { "data-id": product.id }, link, make("div.actions", {}, more));
  if (product.copies?.length) item.lastChild.append(copiesButton(item, product, onMore));
  return item;
}

/** A button that shows the products with the same picture beside a card, and hides them again. */
function copiesButton(item, product, onMore) {
  let shown = [];
  const button = make("button.copies", { type: "button", "aria-expanded": "false" }, words().copies(product.copies.length));
  button.addEventListener("click", () => {
    for (const copy of shown) copy.remove();
    shown = shown.length ? [] : product.copies.map((copy) => card(copy, onMore));
    for (const copy of shown) copy.classList.add("is-copy");
    item.after(...shown);
    button.setAttribute("aria-expanded", String(shown.length > 0));
    button.textContent = shown.length ? words().fewer : words().copies(product.copies.length);
  });
  return button;
}

const spoken = (product) =>
  [
    product.brand,
    product.name ?? words().unnamed,
    product.price === null ? null : won(product.price),
    product.score === undefined ? null : `${words().similarity} ${score(product.score)}`,
  ]
    .filter(Boolean)
    .join(", ");

/** A shelf per garment. Of a pair of shoes the surer one stands for both. */
export function overview(garments, { onPick, onMore }) {
  const none = garments[0].source === "whole";
  const shelves = garments
    .map((garment, index) => ({ garment, index }))
    .filter(({ garment, index }) => garment.category !== "shoes" || garments.findIndex(isShoes) === index)
    .map(({ garment, index }) => shelf(garment, () => onPick(index), onMore, none));
  const title = none ? words().nothing : words().found(garments.length);
  return [heading(title, none ? words().nothingHint : words().pick), ...shelves];
}

const isShoes = (garment) => garment.category === "shoes";

function shelf(garment, onAll, onMore, plain) {
  const name = categoryName(garment.category);
  const cards = garment.hits.slice(0, SHELF).map((hit) => card(hit, onMore));
  const title = make(
    "h3",
    {},
    make("span.dot", { "data-category": garment.category ?? "any" }),
    name,
    garment.score === null ? null : make("span.sure", {}, words().sure(percent(garment.score))),
  );
  const all = make(
    "button.quiet",
    { type: "button", onclick: onAll, "aria-label": words().seeAllOf(name) },
    words().seeAll,
  );
  return make(
    "section.shelf",
    { "aria-label": name },
    make("div.shelf-head", {}, title, all),
    make(plain ? "ul.grid" : "ul.row", {}, ...cards),
  );
}

/** One garment, or a box by hand, with a chip per category to search in. */
export function garmentGrid(garment, counts, { title, onBack, onCategory, onMore, ...filtering }) {
  return [
    back(words().overview, onBack),
    heading(title, words().alike(garment.hits.length)),
    chips(garment.category, counts, onCategory),
    ...filtered(garment.hits, onMore, filtering),
  ];
}

/** Products like a product. */
export function similarGrid({ product, hits }, { onBack, onMore, ...filtering }) {
  const head = make("div.subject", {}, make("img", { src: product.thumbnail, alt: "" }), make("div", {}, ...subject(product)));
  return [back(words().back, onBack), head, ...filtered(hits, onMore, filtering)];
}

const subject = (product) => [
  make("p.eyebrow", {}, words().moreTitle),
  make("h2", { tabIndex: -1 }, product.name ?? words().unnamed),
  make("p", {}, [product.brand, product.price === null ? null : won(product.price)].filter(Boolean).join(" · ")),
];

/** Grey cards while a search runs. */
export function waiting() {
  const cards = Array.from({ length: SKELETONS }, () =>
    make("li.card.skeleton", {}, make("div.picture"), make("div.text", {}, make("span"), make("span"))),
  );
  return [heading(words().searching, ""), make("ul.grid", { "aria-hidden": "true" }, ...cards)];
}

/** What went wrong, and a way on: the same again, or another file where this one will never do. */
export function failure(name, onAgain) {
  const text = words().errors[name] ?? words().errors.other;
  const again = HOPELESS.has(name)
    ? make("label.button", { htmlFor: "file" }, words().choose)
    : make("button.button", { type: "button", onclick: onAgain }, words().again);
  return [make("div.failure.panel", { role: "alert" }, make("p", {}, text), again)];
}

const heading = (title, note) => make("div.heading", {}, make("h2", { tabIndex: -1 }, title), make("p", {}, note));

const back = (text, onBack) =>
  make("button.quiet.back", { type: "button", onclick: onBack }, make("span", { "aria-hidden": "true" }, "← "), text);

/** Filters and what passes them. */
function filtered(hits, onMore, { filters, facets, onFilter }) {
  const cards = hits.map((hit) => card(hit, onMore));
  const nothing = make("p.nothing", {}, words().noHits);
  return [filterBar(filters, facets, onFilter), hits.length ? make("ul.grid", {}, ...cards) : nothing];
}

function chips(chosen, counts, onCategory) {
  const chip = (category, name, count) =>
    make(
      "button.chip",
      {
        type: "button",
        "data-category": category ?? "any",
        "aria-pressed": String((chosen ?? null) === category),
        onclick: () => onCategory(category),
      },
      name,
      make("span.number", {}, integer(count)),
    );
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
  const each = Object.entries(counts).map(([category, count]) => chip(category, categoryName(category), count));
  return make("div.chips", { role: "group", "aria-label": words().searchIn }, chip(null, words().any, total), ...each);
}
