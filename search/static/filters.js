// Filters of a grid: brands and shops among what was found, and a range of prices.

import { make } from "./dom.js";
import { integer, words } from "./i18n.js";

const MOST = 12; // brands to choose from

export const isFiltered = ({ brands = [], sites = [], least = null, most = null } = {}) =>
  brands.length + sites.length > 0 || least !== null || most !== null;

/** Brands and shops of hits with their counts, the most frequent first, and the range of their prices. */
export function facetsOf(hits) {
  const count = (values) => {
    const counts = new Map();
    for (const value of values) if (value) counts.set(value, (counts.get(value) ?? 0) + 1);
    return [...counts].sort(([, one], [, other]) => other - one);
  };
  const prices = hits.map((hit) => hit.price).filter((price) => price !== null);
  return {
    brands: count(hits.map((hit) => hit.brand)).slice(0, MOST),
    sites: count(hits.map((hit) => hit.site)),
    prices: prices.length ? { least: Math.min(...prices), most: Math.max(...prices) } : {},
  };
}

/** The controls; `onFilter(filters)` is called with every change. */
export function filterBar(filters, facets, onFilter) {
  const groups = [
    choices("brands", words().brand, facets.brands, filters, onFilter),
    facets.sites.length > 1 ? choices("sites", words().site, facets.sites, filters, onFilter) : null,
    prices(facets.prices, filters, onFilter),
    isFiltered(filters)
      ? make("button.quiet.clear", { type: "button", onclick: () => onFilter({}) }, words().clear)
      : null,
  ];
  return make(
    "details.filters",
    { open: isFiltered(filters) },
    make("summary", {}, words().filters),
    make("div.filter-groups", {}, ...groups),
  );
}

function choices(field, title, options, filters, onFilter) {
  const chosen = filters[field] ?? [];
  const toggle = (name) => {
    const next = chosen.includes(name) ? chosen.filter((other) => other !== name) : [...chosen, name];
    onFilter({ ...filters, [field]: next });
  };
  const chips = options.map(([name, count]) =>
    make(
      "button.chip",
      { type: "button", "aria-pressed": String(chosen.includes(name)), "data-choice": name, onclick: () => toggle(name) },
      name,
      make("span.number", {}, integer(count)),
    ),
  );
  return group(title, chips);
}

function prices(range, filters, onFilter) {
  const field = (name) => {
    const change = (event) => {
      const value = event.target.value === "" ? null : Math.max(0, Math.round(Number(event.target.value)));
      const next = { ...filters, [name]: value };
      const turned = next.least !== null && next.most !== null && next.least > next.most; // also false where unset
      onFilter(turned ? { ...next, least: next.most, most: next.least } : next);
    };
    const input = make("input", { type: "number", min: 0, step: 1000, inputMode: "numeric", name, onchange: change });
    if (range[name] !== undefined) input.placeholder = integer(range[name]);
    input.value = filters[name] ?? "";
    return make("label", {}, words()[name], input);
  };
  return group(words().price, [field("least"), field("most")]);
}

const group = (title, controls) =>
  make(
    "div.filter",
    { role: "group", "aria-label": title },
    make("span.filter-name", {}, title),
    make("div.filter-controls", {}, ...controls),
  );
