/**
 * Reads QR codes out of camera frames, away from the page's thread. A classic worker, because the decoder
 * lies in static/vendor as one unbundled script. Takes {frame: ImageBitmap} or {pixels: ImageData};
 * answers {kind: "ready"}, {kind: "codes", codes: [text, …]} or {kind: "broken"}.
 */
"use strict";

importScripts("../vendor/zxing-wasm/reader.js");

const READING = { formats: ["QRCode"], tryHarder: true, maxNumberOfSymbols: 4, textMode: "Plain" };
let canvas = null;

function pixelsOf(frame) {
  if (canvas === null || canvas.width !== frame.width || canvas.height !== frame.height) {
    canvas = new OffscreenCanvas(frame.width, frame.height);
  }
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(frame, 0, 0);
  frame.close();
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

async function read({ frame, pixels }) {
  const found = await ZXingWASM.readBarcodes(pixels ?? pixelsOf(frame), READING);
  return found.filter((result) => result.isValid && result.text.trim()).map((result) => result.text);
}

self.onmessage = async (message) => {
  try {
    self.postMessage({ kind: "codes", codes: await read(message.data) });
  } catch {
    self.postMessage({ kind: "codes", codes: [] });
  }
};

// The file is named here, because the decoder would otherwise fetch it from somebody else's server.
ZXingWASM.prepareZXingModule({
  overrides: { locateFile: () => new URL("../vendor/zxing-wasm/zxing_reader.wasm", self.location.href).href },
  fireImmediately: true,
}).then(
  () => self.postMessage({ kind: "ready" }),
  () => self.postMessage({ kind: "broken" }),
);
