// A material behind a link: tells now and then how long it was visible, and how far it was scrolled.
(() => {
  "use strict";
  const to = document.currentScript.dataset.toldTo;
  const FIRST = 5, EVERY = 10, LONGEST = 1800; // seconds
  let visible = 0, since = null, furthest = 0, told = "";

  const now = () => performance.now() / 1000;
  const seconds = () => Math.min(LONGEST, Math.round(visible + (since === null ? 0 : now() - since)));

  function look() {
    const page = document.documentElement;
    const seen = (window.scrollY + window.innerHeight) / Math.max(page.scrollHeight, 1);
    furthest = Math.max(furthest, Math.min(100, Math.round(seen * 100)));
  }

  function tell() {
    const words = new URLSearchParams({ seconds: seconds(), progress: furthest });
    if (words.toString() === told) return;
    told = words.toString();
    navigator.sendBeacon(to, words);
  }

  function turn() {
    if (document.visibilityState === "visible") {
      since ??= now();
      return look();
    }
    if (since !== null) visible += now() - since;
    since = null;
    tell();
  }

  function beat(after) {
    setTimeout(() => {
      if (since !== null) tell();
      if (seconds() < LONGEST) beat(EVERY);
    }, after * 1000);
  }

  document.addEventListener("visibilitychange", turn);
  document.addEventListener("scroll", look, { passive: true });
  window.addEventListener("pagehide", () => { if (since !== null) tell(); });
  turn();
  beat(FIRST);
})();
