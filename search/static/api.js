// Calls to the service. A failure is a `Failure` whose `name` is a key of the error words.

export class Failure extends Error {
  constructor(name, message) {
    super(message);
    this.name = name;
  }
}

/** JSON of the service's answer, or a `Failure`. */
export async function call(path, options) {
  const response = await reach(path, options);
  const body = await response.json().catch(() => ({}));
  if (response.ok) return body;
  throw new Failure(body.error?.name ?? "other", body.error?.message ?? response.statusText);
}

/** As `call`, of a picture. */
export async function picture(path, options) {
  const response = await reach(path, options);
  if (response.ok) return response.blob();
  throw new Failure(response.status === 404 ? "gone" : "other", response.statusText);
}

async function reach(path, options) {
  try {
    return await fetch(path, options);
  } catch (error) {
    throw new Failure("offline", String(error));
  }
}

/** Products like each garment on a photo, or like what is inside `box` ([x0, y0, x1, y1] in px). */
export function search(photo, { box, category, filters, top = 24 } = {}) {
  const form = new FormData();
  form.append("photo", photo, "photo");
  form.append("top", top);
  if (box) form.append("box", box.map((side) => side.toFixed(1)).join(","));
  if (category) form.append("category", category);
  for (const [name, value] of rules(filters)) form.append(name, value);
  return call("api/search", { method: "POST", body: form });
}

/** Products like a product. */
export function similar(id, { filters, top = 24 } = {}) {
  const query = new URLSearchParams([["top", top], ...rules(filters)]);
  return call(`api/products/${encodeURIComponent(id)}/similar?${query}`);
}

/** Filters as the service's fields. */
function rules({ brands = [], sites = [], least = null, most = null } = {}) {
  const found = [...brands.map((name) => ["brand", name]), ...sites.map((name) => ["site", name])];
  if (least !== null) found.push(["min_price", least]);
  if (most !== null) found.push(["max_price", most]);
  return found;
}

export const catalog = () => call("api/catalog");
export const examples = () => call("api/examples");
