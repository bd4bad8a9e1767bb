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
export function search(photo, { box, category, top = 24 } = {}) {
  const form = new FormData();
  form.append("photo", photo, "photo");
  form.append("top", top);
  if (box) form.append("box", box.map((side) => side.toFixed(1)).join(","));
  if (category) form.append("category", category);
  return call("/api/search", { method: "POST", body: form });
}

export const similar = (id, top = 24) => call(`/api/products/${encodeURIComponent(id)}/similar?top=${top}`);
export const catalog = () => call("/api/catalog");
export const examples = () => call("/api/examples");
