/** The camera: opens it, hands its frames to the decoding worker one at a time, reports what each frame shows. */
const FRAME_PAUSE_MS = 50;
const WANTED = {
  audio: false,
  video: { facingMode: { ideal: "environment" }, width: { ideal: 1280 }, height: { ideal: 720 } },
};
const PROBLEMS = { NotAllowedError: "denied", SecurityError: "denied", NotFoundError: "missing", OverconstrainedError: "missing" };

export class Scanner {
  #video;
  #onCodes;
  #onProblem = () => {};
  #worker = null;
  #isWorkerFree = false;
  #track = null;
  #canvas = null;

  /** `onCodes(list of texts)` for every decoded frame. */
  constructor(video, onCodes) {
    this.#video = video;
    this.#onCodes = onCodes;
  }

  /** `onProblem(kind)`: denied, missing, busy or broken. */
  listenToProblems(onProblem) {
    this.#onProblem = onProblem;
  }

  /** Ask for the camera and start reading; true once frames flow. Call again after a problem. */
  async start() {
    this.stop();
    if (!navigator.mediaDevices?.getUserMedia) return this.#fail("missing");
    try {
      const stream = await navigator.mediaDevices.getUserMedia(WANTED);
      this.#track = stream.getVideoTracks()[0];
      this.#track.onended = () => this.#fail("busy");
      this.#video.srcObject = stream;
      await this.#video.play();
    } catch (error) {
      return this.#fail(PROBLEMS[error.name] ?? "busy");
    }
    this.#startWorker();
    this.#nextFrame();
    return true;
  }

  stop() {
    if (this.#track) {
      this.#track.onended = null;
      this.#track.stop();
    }
    this.#track = null;
    this.#video.srcObject = null;
  }

  isLive() {
    return this.#track?.readyState === "live";
  }

  hasTorch() {
    return Boolean(this.#track?.getCapabilities?.().torch);
  }

  /** Switch the lamp; false where the phone refuses. Only the `advanced` form is obeyed by browsers. */
  async setTorch(isOn) {
    try {
      await this.#track.applyConstraints({ advanced: [{ torch: isOn }] });
      return true;
    } catch {
      return false;
    }
  }

  #fail(kind) {
    this.stop();
    this.#onProblem(kind);
    return false;
  }

  #startWorker() {
    if (this.#worker) return;
    this.#worker = new Worker(new URL("./scanner_worker.js", import.meta.url));
    this.#worker.onmessage = ({ data: message }) => {
      if (message.kind === "broken") return this.#failToRead();
      this.#isWorkerFree = true;
      if (message.kind === "codes") this.#onCodes(message.codes);
    };
    this.#worker.onerror = () => this.#failToRead();
  }

  /** The decoder could not be loaded: the next start() tries with a new worker. */
  #failToRead() {
    this.#worker.terminate();
    this.#worker = null;
    this.#isWorkerFree = false;
    this.#fail("broken");
  }

  #nextFrame() {
    const track = this.#track;
    const act = () => this.#takeFrame(track);
    setTimeout(() => {
      if (this.#video.requestVideoFrameCallback) this.#video.requestVideoFrameCallback(act);
      else requestAnimationFrame(act);
    }, FRAME_PAUSE_MS);
  }

  async #takeFrame(track) {
    if (track !== this.#track || track === null) return;
    if (this.#isWorkerFree && this.#video.videoWidth > 0) {
      this.#isWorkerFree = false;
      try {
        await this.#sendFrame();
      } catch {
        // A frame may vanish under us while the camera turns or sleeps; the next one will do.
        this.#isWorkerFree = true;
      }
    }
    if (track === this.#track) this.#nextFrame();
  }

  async #sendFrame() {
    if (globalThis.OffscreenCanvas && globalThis.createImageBitmap) {
      const frame = await createImageBitmap(this.#video);
      this.#worker.postMessage({ frame }, [frame]);
      return;
    }
    this.#canvas ??= document.createElement("canvas");
    this.#canvas.width = this.#video.videoWidth;
    this.#canvas.height = this.#video.videoHeight;
    const context = this.#canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(this.#video, 0, 0);
    const pixels = context.getImageData(0, 0, this.#canvas.width, this.#canvas.height);
    this.#worker.postMessage({ pixels }, [pixels.data.buffer]);
  }
}
