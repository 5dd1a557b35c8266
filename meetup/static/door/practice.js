/** The practice ticket: it tries camera, sound and screen, is told to nobody and counts nowhere. */
import { text } from "./config.js";

const PRACTICE = "TURNOUT-PRACTICE";

/** True for the text of the practice ticket, scanned or typed. */
export function isPractice(code) {
  return (code ?? "").trim().toUpperCase().replace(/[\s-]/g, "") === PRACTICE.replace("-", "");
}

/** What the screen shows for it. */
export function practiceVerdict() {
  return {
    outcome: "practice",
    reasonCode: null,
    direction: "in",
    icon: "check",
    tune: "practice",
    word: text("word_practice"),
    reason: text("reason_practice"),
    name: "",
    stays: "admitted",
  };
}
