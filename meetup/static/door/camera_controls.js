/** The camera's buttons: start, try again, light; and the words when it gives no picture. */
import { text } from "./config.js";
import { byId } from "./page.js";

/** `onStart()` with the volunteer's first tap, which also arms the sound. */
export function prepareCamera(scanner, onStart) {
  scanner.listenToProblems(showProblem);
  byId("start-scanning").addEventListener("click", () => {
    onStart();
    startCamera(scanner);
  });
  byId("camera-again").addEventListener("click", () => startCamera(scanner));
  byId("torch").addEventListener("click", async (press) => {
    const button = press.currentTarget;
    const isOn = button.getAttribute("aria-pressed") !== "true";
    if (await scanner.setTorch(isOn)) button.setAttribute("aria-pressed", String(isOn));
  });
}

/** Ask for the camera, at first and after it was taken away. */
export async function startCamera(scanner) {
  byId("camera-problem").hidden = true;
  document.documentElement.dataset.camera = "asking";
  if (!(await scanner.start())) return;
  document.documentElement.dataset.camera = "on";
  byId("torch").hidden = !scanner.hasTorch();
}

function showProblem(kind) {
  byId("camera-problem").hidden = false;
  byId("camera-problem-words").textContent = text(`camera_${kind}`);
  document.documentElement.dataset.camera = kind;
}
