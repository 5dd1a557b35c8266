/** Sound and vibration: a tune and a beat for each outcome, told apart with eyes on the queue. */
const TUNES = {
  admitted: { wave: "sine", notes: [[880, 0, 0.11], [1318, 0.11, 0.2]], beat: [70] },
  out: { wave: "sine", notes: [[1046, 0, 0.11], [698, 0.11, 0.2]], beat: [40, 40, 40] },
  refused: { wave: "square", notes: [[196, 0, 0.18], [147, 0.24, 0.34]], beat: [180, 80, 180, 80, 180] },
  ask: { wave: "triangle", notes: [[587, 0, 0.12], [587, 0.2, 0.12]], beat: [50, 50, 50] },
  practice: { wave: "sine", notes: [[660, 0, 0.1], [880, 0.12, 0.1], [660, 0.24, 0.1]], beat: [40, 60, 40] },
  waiting: { wave: "triangle", notes: [[440, 0, 0.25]], beat: [120] },
};
const LOUDNESS = 0.5;
let context = null;

/** Phones play nothing before a tap: call this from one. Safe to call again. */
export function armSound() {
  const Context = globalThis.AudioContext ?? globalThis.webkitAudioContext;
  if (!Context) return;
  context ??= new Context();
  wakeSound();
}

/** A phone call or a locked screen suspends the sound; this brings it back. */
export function wakeSound() {
  if (context && context.state !== "running") context.resume().catch(() => {});
}

/** Play the tune and the beat of `name`: admitted, out, refused, ask, practice, waiting. */
export function signal(name) {
  const tune = TUNES[name];
  navigator.vibrate?.(tune.beat);
  if (context === null) return;
  wakeSound();
  for (const [pitch, after, length] of tune.notes) {
    playNote(tune.wave, pitch, context.currentTime + after, length);
  }
}

function playNote(wave, pitch, startsAt, length) {
  const tone = context.createOscillator();
  const volume = context.createGain();
  // A short swell and fade: a tone cut off sharply clicks.
  volume.gain.setValueAtTime(0, startsAt);
  volume.gain.linearRampToValueAtTime(wave === "square" ? LOUDNESS / 2 : LOUDNESS, startsAt + 0.01);
  volume.gain.linearRampToValueAtTime(0, startsAt + length);
  tone.type = wave;
  tone.frequency.value = pitch;
  tone.connect(volume).connect(context.destination);
  tone.start(startsAt);
  tone.stop(startsAt + length);
}

/** running, suspended, closed or interrupted, as the browser says; none where there is no sound. */
export function soundState() {
  return context?.state ?? "none";
}
