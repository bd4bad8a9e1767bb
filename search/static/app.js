// The page: which photo, which view of it, and the way between views (the browser's Back works).

import * as api from "./api.js";
import { make } from "./dom.js";
import { facetsOf, isFiltered } from "./filters.js";
import { categoryName, integer, offerLanguages, translate, words } from "./i18n.js";
import { shrink } from "./photo.js";
import * as results from "./results.js";
import { Stage } from "./stage.js";

const $ = (id) => document.getElementById(id);

let scene = null; // the photo at work: { blob, url, answer }
let counts = {}; // products per category
let views = [{ kind: "home" }]; // what Back and Forward walk through; all but home belong to a scene
let at = 0;

const stage = new Stage($("stage"), {
  onPick: (index) => open({ kind: "garment", garment: scene.answer.garments[index], index }),
  onDraw: (box, category) => searchBox(box, "box", category),
  onDrawing: (on) => {
    $("draw").setAttribute("aria-pressed", String(on));
    showHint();
  },
});

// --- views -----------------------------------------------------------------------------------------------------------

/** Go to a new view, after which Back returns here. */
function open(view) {
  views = [...views.slice(0, at + 1), { scene, ...view }];
  at = views.length - 1;
  history.pushState({ at }, "");
  render(true);
}

function render(moveFocus = false) {
  const view = views[at];
  const home = view.kind === "home";
  $("hero").hidden = !home;
  $("work").hidden = home;
  document.body.classList.toggle("is-home", home);
  if (home) return;
  setScene(view.scene);
  $("work").classList.toggle("is-failed", view.kind === "failure" && !scene.answer);
  $("draw").disabled = $("whole").disabled = !scene.answer;
  stage.setSearching(view.kind === "waiting");
  if (view.kind === "box") stage.setHand(view.garment); // after Back it may be another than the one drawn last
  stage.render(view.kind === "box" ? "hand" : view.kind === "garment" ? view.index : null);
  showHint();
  const actions = { onBack: () => history.back(), onMore: (product) => more(product), onPick: stage.onPick };
  $("results").replaceChildren(...content(view, actions));
  $("results").setAttribute("aria-busy", String(view.kind === "waiting"));
  const title = $("results").querySelector("h2");
  if (title) $("status").textContent = `${title.textContent}. ${title.nextElementSibling?.textContent ?? ""}`;
  if (moveFocus && view.kind !== "waiting") {
    title?.focus({ preventScroll: true });
    if ($("results").getBoundingClientRect().top < 0) scrollTo({ top: 0, behavior: "instant" });
  }
}

/** Put a photo on the stage, with the garments that were found on it, as soon as they are. */
function setScene(wanted) {
  if (wanted !== scene || wanted.url !== stage.image.src) stage.show(wanted.url);
  scene = wanted;
  if (!scene.answer) return;
  const { garments, width, height } = scene.answer;
  stage.setGarments(garments.filter((garment) => garment.source === "detected"), [width, height]);
}

function content(view, actions) {
  switch (view.kind) {
    case "waiting":
      return results.waiting();
    case "failure":
      return results.failure(view.name, view.again);
    case "all":
      return results.overview(scene.answer.garments, actions);
    case "similar":
      return results.similarGrid(view.answer, { ...actions, ...filtering(view) });
    default:
      return results.garmentGrid(view.garment, counts, {
        ...actions,
        ...filtering(view),
        title: view.kind === "box" ? words().drawn : view.kind === "whole" ? words().whole : categoryName(view.name ?? view.garment.category),
        onCategory: (category) => searchIn(view, category),
      });
  }
}

/** What a drag or the arrow keys would do just now. */
function showHint() {
  const adjustable = ["box", "garment"].includes(views[at].kind);
  const keys = matchMedia("(hover: hover)").matches ? ["adjustKeys"] : []; // a phone has none
  const hints = stage.drawing ? ["drawHint"] : adjustable ? ["adjustHint", ...keys] : [];
  $("drawing-hint").hidden = hints.length === 0;
  $("drawing-hint").textContent = hints.map((name) => words()[name]).join(" ");
}

// --- searches --------------------------------------------------------------------------------------------------------

/** Search, and put what `show` makes of the answer (or the failure) in the view that is shown now. */
async function run(ask, show) {
  const place = at;
  const photo = views[place].scene;
  const mine = (views[place] = { ...views[place], kind: "waiting" });
  render(true);
  let view;
  try {
    view = show(await ask());
  } catch (error) {
    view = { kind: "failure", name: error.name, again: () => run(ask, show) };
  }
  if (views[place] !== mine) return; // another search took its place
  views[place] = { scene: photo, ...view };
  if (place === at) render(true);
}

/** Search a photo that `url` shows and `read()` gives. Its view opens at once, so the photo chosen last is shown. */
function setPhoto(url, read) {
  const fresh = { blob: null, url, answer: null };
  open({ kind: "waiting", scene: fresh });
  run(
    async () => {
      fresh.blob ??= await shrink(await read());
      return api.search(fresh.blob);
    },
    (found) => {
      fresh.answer = found;
      return { kind: "all" };
    },
  );
}

function searchBox(box, kind = "box", category = null) {
  const { blob } = scene;
  open({ kind: "waiting" });
  run(
    () => api.search(blob, { box, category }),
    (found) => ({ kind, garment: found.garments[0] }),
  );
}

function searchIn(view, category, filters = view.filters) {
  run(
    () => api.search(view.scene.blob, { box: view.garment.box, category, filters }),
    (found) => ({ ...view, filters, name: view.name ?? view.garment.category, garment: found.garments[0] }),
  );
}

function more(product, filters = {}) {
  if (views[at].answer?.product.id !== product.id) open({ kind: "waiting" });
  const facets = views[at].facets;
  run(
    () => api.similar(product.id, { filters }),
    (found) => ({ kind: "similar", answer: found, filters, facets }),
  );
}

/** Filters of a view, what they may be, and what to do with others. What may be chosen is what came without any. */
function filtering(view) {
  const hits = view.garment?.hits ?? view.answer.hits;
  if (!view.facets || !isFiltered(view.filters)) view.facets = facetsOf(hits);
  const onFilter = (filters) =>
    view.answer ? more(view.answer.product, filters) : searchIn(view, view.garment.category, filters);
  return { filters: view.filters ?? {}, facets: view.facets, onFilter };
}

// --- photos come in --------------------------------------------------------------------------------------------------

const setFile = (file) => setPhoto(URL.createObjectURL(file), () => file);
const firstPicture = (files) => [...files].find((file) => file.type.startsWith("image/")) ?? files[0];

$("file").addEventListener("change", (event) => {
  const file = firstPicture(event.target.files);
  event.target.value = ""; // so that the same file can be chosen again
  if (file) setFile(file);
});
addEventListener("paste", (event) => {
  const file = event.clipboardData && firstPicture(event.clipboardData.files);
  if (file) setFile(file);
});
addEventListener("dragover", (event) => {
  if (!event.dataTransfer.types.includes("Files")) return;
  event.preventDefault();
  $("dropping").hidden = false;
});
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) $("dropping").hidden = true;
});
addEventListener("drop", (event) => {
  event.preventDefault();
  $("dropping").hidden = true;
  const file = firstPicture(event.dataTransfer.files);
  if (file) setFile(file);
});

async function showExamples() {
  const paths = (await api.examples()).examples;
  const items = paths.map((path, index) => {
    const picture = make("img", { src: path, alt: "", loading: "lazy" });
    const take = () => setPhoto(picture.src, () => api.picture(path));
    return make("li", {}, make("button", { type: "button", "aria-label": words().example(index + 1), onclick: take }, picture));
  });
  $("example-list").replaceChildren(...items);
  $("examples").hidden = items.length === 0;
}

async function showCatalog() {
  const catalog = await api.catalog();
  counts = catalog.categories;
  $("count").textContent = words().products(integer(catalog.products));
}

// --- controls --------------------------------------------------------------------------------------------------------

$("draw").addEventListener("click", (event) => {
  stage.setDrawing(!stage.drawing, event.detail === 0);
});
$("whole").addEventListener("click", () => {
  const { width, height } = scene.answer;
  searchBox([0, 0, width, height], "whole");
});
$("home").addEventListener("click", () => views[at].kind !== "home" && open({ kind: "home" }));
$("skip").addEventListener("click", (event) => {
  event.preventDefault(); // its address would be a step of the history that is no view
  $("results").focus();
});
addEventListener("popstate", (event) => {
  at = Math.min(event.state?.at ?? 0, views.length - 1);
  render(true);
});
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && stage.drawing) stage.setDrawing(false);
});
offerLanguages($("languages"), () => {
  refresh();
  render();
});

function refresh() {
  showCatalog().catch(() => ($("count").textContent = ""));
  showExamples().catch(() => ($("examples").hidden = true));
}

history.replaceState({ at: 0 }, "");
translate();
refresh();
render();
