// The sidebar under hands: tabs by arrows, focus that is never lost, what is typed, what failed.
(() => {
  "use strict";
  const content = document.getElementById("content");
  const all = (selector, from = document) => Array.from(from.querySelectorAll(selector));
  const copyOf = (id) => document.getElementById(id).content.cloneNode(true);
  const say = (words) => { document.getElementById("said").textContent = words; };

  /* Tabs as the ARIA practices have them where a panel is fetched: arrows move, Enter opens. */
  const STEPS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
  document.addEventListener("keydown", (event) => {
    const tab = event.target.closest?.("#side-tabs [role=tab]");
    if (!tab) return;
    const tabs = all("[role=tab]", tab.parentElement);
    const at = { Home: 0, End: tabs.length - 1 }[event.key]
      ?? (event.key in STEPS ? (tabs.indexOf(tab) + STEPS[event.key] + tabs.length) % tabs.length : -1);
    if (event.key === " ") tab.click();
    else if (at < 0) return;
    else tabs[at].focus();
    event.preventDefault();
  });

  function nameThePanel() {
    const open = document.querySelector("#side-tabs [aria-selected=true]");
    if (!open) return;
    content.setAttribute("role", "tabpanel");
    content.setAttribute("aria-labelledby", open.id);
  }

  /* What is typed into a draft stays, over tabs, a renewed sign-in and the page loaded anew. */
  const KEY = "siyu-typed";
  const typed = new Map();
  try {
    for (const [id, words] of JSON.parse(sessionStorage.getItem(KEY) || "[]")) typed.set(id, words);
    sessionStorage.removeItem(KEY);
  } catch { /* a window without storage */ }

  function pack() {
    try { sessionStorage.setItem(KEY, JSON.stringify([...typed])); } catch { /* a window without storage */ }
  }

  addEventListener("pagehide", () => typed.size && pack());

  function unpack() {
    for (const [id, words] of typed) {
      const draft = document.getElementById(id);
      if (!draft || draft.value === words) continue;
      draft.value = words;
      const fold = draft.closest("details.earlier");
      if (fold) fold.open = true;
    }
  }

  document.addEventListener("input", ({ target }) => {
    if (!target.matches("[data-draft]")) return;
    if (target.value === target.defaultValue) typed.delete(target.id);
    else typed.set(target.id, target.value);
  });

  /* Focus: what had it gets it back; where that was swapped away, what came in its place. */
  let held = null;
  document.addEventListener("htmx:beforeRequest", () => {
    const focused = document.activeElement;
    const part = focused?.closest("#suggestions, #content, #side-head");
    if (part) held = { focused, part: part.id };
  });

  // A button is switched off while it asks, and loses the focus by that.
  function giveBackFocus() {
    if (!held || document.activeElement !== document.body) return;
    if (held.focused.isConnected && !held.focused.disabled) held.focused.focus({ preventScroll: true });
    else refocus(held.part);
  }

  function refocus(id) {
    const part = document.getElementById(id) || content;
    held = null;
    const found = part.querySelector("[data-focus-back], article.suggestion") || part;
    if (found.tabIndex < 0) found.tabIndex = -1;
    found.focus({ preventScroll: found === content });
  }

  document.addEventListener("htmx:afterSettle", () => {
    nameThePanel();
    unpack();
    giveBackFocus();
  });
  document.addEventListener("htmx:afterRequest", ({ detail }) => { if (!detail.successful) setTimeout(giveBackFocus); });

  /* A tab that takes its time shows that it does; what did not load can be asked for again. */
  const PATIENCE_MS = 250;
  let waiting = 0;
  const isLook = (detail) => detail.requestConfig?.verb === "get" && detail.target?.id !== "suggestions";
  document.addEventListener("htmx:beforeRequest", ({ detail }) => {
    if (detail.target !== content || detail.requestConfig.verb !== "get") return;
    content.setAttribute("aria-busy", "true");
    clearTimeout(waiting);
    const tab = detail.elt.closest("[role=tab]");
    if (!tab) return;
    for (const each of all("[role=tab]", tab.parentElement)) {
      each.setAttribute("aria-selected", String(each === tab));
      each.tabIndex = each === tab ? 0 : -1;
    }
    waiting = setTimeout(() => content.replaceChildren(copyOf("loading")), PATIENCE_MS);
  });
  document.addEventListener("htmx:afterRequest", ({ detail }) => {
    if (detail.target !== content) return;
    clearTimeout(waiting);
    content.removeAttribute("aria-busy");
  });

  function failed({ detail }) {
    if (!isLook(detail) || !detail.target.isConnected || content.querySelector("[data-opening]")) return;
    const part = copyOf("not-loaded");
    const { status, responseText = "" } = detail.xhr || {};
    if (status && responseText && responseText.length < 120 && !responseText.startsWith("<")) part.querySelector("[data-why]").textContent = responseText;
    part.querySelector("[data-again]").addEventListener("click", () => again(detail));
    detail.target.replaceChildren(part);
  }

  async function again({ target, pathInfo }) {
    await window.htmx.ajax("GET", pathInfo.finalRequestPath, target);
    if (document.activeElement === document.body) refocus("content");
  }

  for (const sign of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) document.addEventListener(sign, failed);

  /* A sheet that is open over the list is not swapped away under the hands: the list waits for it. */
  let missed = false;
  document.addEventListener("htmx:beforeSwap", ({ detail }) => {
    if (detail.target.id !== "suggestions" || detail.requestConfig.verb !== "get") return;
    if (!detail.target.querySelector("dialog[open]")) return;
    detail.shouldSwap = false;
    missed = true;
  });
  document.addEventListener("close", ({ target }) => {
    const list = target.closest?.("#suggestions");
    if (!list || !missed) return;
    missed = false;
    window.htmx.ajax("GET", list.getAttribute("hx-get"), list);
  }, true);

  /* Live: heard when something new came, told when nothing can come. */
  let newest = "";
  const first = () => document.querySelector("#suggestions [data-suggestion]")?.dataset.suggestion || "";
  document.addEventListener("htmx:afterSettle", ({ detail }) => {
    const now = first();
    if (detail.target?.id === "suggestions" && detail.requestConfig?.verb === "get" && now && now !== newest) say("有新的推荐回复");
    newest = now || newest;
  });
  const BLIP_MS = 2000;
  const notice = document.getElementById("live");
  let lost = 0;
  document.addEventListener("htmx:sseError", () => {
    lost ||= setTimeout(() => { notice.hidden = Boolean(content.querySelector("[data-nobody]")); }, BLIP_MS);
  });
  function alive() {
    clearTimeout(lost);
    lost = 0;
    notice.hidden = true;
  }
  document.addEventListener("htmx:sseOpen", alive);
  document.addEventListener("htmx:sseClose", alive);

  window.siyuSide = { typed: { pack, forget: (id) => typed.delete(id) }, refocus };
})();
