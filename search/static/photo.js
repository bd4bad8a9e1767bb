// A chosen file, made small enough to send: phones take pictures far larger than the models look at.

const LONGEST = 1600; // px
const HEAVY = 3 * 2 ** 20; // bytes
const QUALITY = 0.92;
const PAPER = "#f4f4f4"; // shows through a transparent picture, as in the service

/** The file itself, or a smaller JPEG of it. A file that the browser cannot read is sent as it is: the service judges. */
export async function shrink(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    return file;
  }
  const scale = Math.min(1, LONGEST / Math.max(bitmap.width, bitmap.height));
  if (scale === 1 && file.size <= HEAVY) return file;
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(bitmap.width * scale);
  canvas.height = Math.round(bitmap.height * scale);
  const pen = canvas.getContext("2d");
  pen.fillStyle = PAPER;
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob((blob) => resolve(blob ?? file), "image/jpeg", QUALITY));
}
