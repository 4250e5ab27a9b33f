// The sidebar beside a chat: asks WeCom's bridge who the customer is, and puts the RM's words in the chat.
(() => {
  "use strict";
  const content = document.getElementById("content");
  // Names this open page: what it may send, another open page may not send as well.
  const PAGE = Math.random().toString(36).slice(2);
  const all = (selector, from = document) => Array.from(from.querySelectorAll(selector));
  const show = (id) => content.replaceChildren(document.getElementById(id).content.cloneNode(true));
  // Opened again without losing what is typed: a sign-in that ended is renewed on the way.
  const reopen = () => { window.siyuSide.typed.pack(); location.reload(); };
  const csrf = () => document.querySelector('meta[name="csrf"]').content;
  const invoke = (name, params) => new Promise((resolve) => window.wx.invoke(name, params, resolve));

  /* Who is in the chat. */
  function open() {
    // Copying a style attribute from the old element to the new is what the page's policy forbids.
    window.htmx.config.attributesToSettle = ["class"];
    const text = document.getElementById("agent-config").textContent.trim();
    if (!text || !window.wx) return show("no-bridge");
    window.wx.agentConfig({ ...JSON.parse(text), success: findCustomer, fail: () => show("no-bridge") });
  }

  async function findCustomer() {
    const context = await invoke("getContext", {});
    const at = context.entry === "group_chat_tools" ? await groupPage() : await customerPage(context.entry);
    if (!at) return show("wrong-entry");
    await window.htmx.ajax("GET", at, "#content");
    if (content.querySelector("[data-opening]")) show("no-server");
  }

  async function groupPage() {
    const chat = await invoke("getCurExternalChat", {});
    return chat.chatId && `/sidebar/groups/${encodeURIComponent(chat.chatId)}/questions`;
  }

  async function customerPage(entry) {
    if (!["single_chat_tools", "contact_profile"].includes(entry)) return "";
    const contact = await invoke("getCurExternalContact", {});
    return contact.userId && `/sidebar/${encodeURIComponent(contact.userId)}/suggest`;
  }

  /* Sending: checked on the server first, then bubble by bubble through the bridge into the chat,
     each noted as seen. */
  const stuck = new Set(); // What the chat did not take: its files are uploaded anew.
  async function send(card) {
    const button = card.querySelector("[data-send]");
    if (button.disabled) return;
    button.disabled = true;
    const again = (await taken(card)) ? await sent(card) : true;
    button.disabled = !again || !noticed(card);
  }

  // One of a series becomes a reply only when it is sent; pressed again, it is the same reply.
  async function taken(card) {
    if (card.dataset.sending) return true;
    const answer = await post(card.dataset.take, { version: card.dataset.version });
    if (!answer?.ok) refuse(card, [answer ? await answer.text() : "网络不通，消息没有发出。请检查网络后重试。"]);
    else {
      const said = await answer.json();
      if (said.refused) refuse(card, said.refused);
      else {
        card.querySelector("[data-words]").value = said.text;
        card.dataset.sending = said.at;
      }
    }
    return Boolean(card.dataset.sending);
  }

  // Answers whether pressing once more is safe.
  async function sent(card) {
    const at = card.dataset.sending;
    const said = await cleared(at, card);
    if (said === null) return true;
    let done = said.done;
    for (const message of said.messages.slice(done)) {
      const result = await invoke("sendChatMessage", message);
      if (result.err_msg !== "sendChatMessage:ok") return halted(card, at, done, message);
      done += 1;
      if (done < said.messages.length) await post(`${at}/sent`, { parts: done });
    }
    stuck.delete(at);
    const answer = await post(`${at}/sent`, { parts: done });
    if (card.dataset.take) finished(card);
    window.siyuSide.typed.forget(card.querySelector("[data-draft]")?.id);
    if (answer?.ok) swapped(card, await answer.text());
    else refuse(card, ["消息已发给客户，但系统还没有记下，稍后会自动补记。请不要重复发送。"]);
    return false;
  }

  /* A series: one after another, as far as it goes. */
  const cardOf = (node) => node.closest("[data-sending], [data-take]");
  const isDone = (card) => card.dataset.state === "sent";

  function finished(card) {
    card.dataset.state = "sent";
    Object.assign(card.querySelector("[data-mark]"), { textContent: "已发送", className: "tag tag-green" });
    tell(card, []);
    const series = card.closest("[data-series]");
    if (series) progress(series);
  }

  function progress(series, words = "") {
    const cards = all("[data-take]", series);
    const done = cards.filter(isDone).length;
    series.querySelector("[data-progress]").textContent = words
      || (done === cards.length ? `${done} 条全部发出` : `已发 ${done} / ${cards.length} 条`);
    series.querySelector("[data-send-all]").disabled = done === cards.length || "running" in series.dataset;
  }

  async function sendAll(series) {
    const cards = all("[data-take]", series);
    series.dataset.running = "yes";
    const stopped = await sendEach(series, cards);
    delete series.dataset.running;
    if (!stopped) return progress(series);
    const place = cards.indexOf(stopped) + 1;
    progress(series, `停在第 ${place} 条：请看这一条的说明，处理后再点“依次发送”`);
    if (!noticed(stopped)) tell(stopped, ["请先完成对这位客户的特别提示并勾选。"]);
    stopped.scrollIntoView({ block: "nearest" });
  }

  // Answers the one that could not be sent; those after it wait.
  async function sendEach(series, cards) {
    for (const [place, card] of cards.entries()) {
      if (isDone(card)) continue;
      progress(series, `正在发送第 ${place + 1} 条，共 ${cards.length} 条`);
      await send(card);
      if (!isDone(card)) return card;
    }
    return null;
  }

  function halted(card, at, done, message) {
    stuck.add(at);
    const what = message.msgtype === "text" ? "文字" : "素材";
    refuse(card, [done
      ? `前 ${done} 条已经发出，第 ${done + 1} 条（${what}）没有发出。再点一次发送，会从没有发出的那条继续。`
      : "企业微信没有发出这条消息。请确认聊天窗口仍打开，再点一次发送。"]);
    return true;
  }

  function swapped(card, html) {
    if (!card.dataset.into) return swap(html);
    window.htmx.swap(card.dataset.into, html, { swapStyle: "innerHTML" });
  }

  async function cleared(at, card) {
    const answer = await post(`${at}/clear`, { ...fields(card), page: PAGE, ...(stuck.has(at) ? { again: 1 } : {}) });
    if (!answer) refuse(card, ["网络不通，消息没有发出。请检查网络后重试。"]);
    else if (!answer.ok) refuse(card, [await answer.text()]);
    else {
      const said = await answer.json();
      if (!said.refused) return said;
      refuse(card, said.refused);
    }
    return null;
  }

  function fields(card) {
    const draft = card.querySelector("[data-draft]");
    const filled = all("[data-field]", card).filter((field) => field.type !== "checkbox" || field.checked);
    return { ...(draft ? { text: draft.value } : {}), ...Object.fromEntries(filled.map((field) => [field.name, field.value])) };
  }

  // Without the special notice an elderly customer is sent nothing with one tap.
  const noticed = (card) => !card.querySelector("[data-notice]:not(:checked)");

  // The answer, or null without one; an ended sign-in is renewed by opening the page again.
  async function post(path, fields) {
    try {
      const options = { method: "POST", redirect: "manual", headers: { "X-CSRF-Token": csrf() }, body: new URLSearchParams(fields) };
      const answer = await fetch(path, options);
      if (answer.type === "opaqueredirect") reopen();
      return answer;
    } catch {
      return null;
    }
  }

  function refuse(card, reasons) {
    tell(card, reasons);
    (card.querySelector("[data-draft]") || card.querySelector("[data-send]")).focus();
  }

  function tell(card, reasons) {
    const place = card.querySelector("[data-refused]");
    const lines = reasons.map((reason) => Object.assign(document.createElement("p"), { textContent: reason }));
    place.replaceChildren(...lines);
    place.hidden = !reasons.length;
    card.querySelector("[data-draft]")?.toggleAttribute("aria-invalid", reasons.length > 0);
  }

  /* A live refresh takes nothing away: what is typed, refused, unfolded and focused stays. */
  let shown = "";
  let kept = null;
  const isList = (node) => node?.id === "suggestions";

  function keep(list) {
    const drafts = all("[data-draft]", list).map((draft) => ({
      id: draft.id, typed: draft.value, changed: draft.value !== draft.defaultValue,
      refused: Array.from(draft.closest("[data-suggestion]").querySelector("[data-refused]").children),
      ticked: Boolean(draft.closest("[data-sending]").querySelector("[data-notice]:checked")),
      height: draft.style.height, focused: draft === document.activeElement, from: draft.selectionStart, to: draft.selectionEnd,
    }));
    return { drafts, open: all("details[open]", list).map((fold) => fold.dataset.keep) };
  }

  function giveBack(list, { drafts, open: unfolded }) {
    for (const fold of all("details", list)) fold.open = unfolded.includes(fold.dataset.keep);
    for (const { id, typed, changed, refused, ticked, height, focused, from, to } of drafts) {
      const draft = document.getElementById(id);
      if (!draft) continue;
      const fold = draft.closest("details.earlier");
      if (fold && (changed || focused)) fold.open = true;
      if (changed) draft.value = typed;
      if (ticked) tick(draft.closest("[data-sending]"));
      draft.style.height = height;
      if (refused.length) tell(draft.closest("[data-suggestion]"), refused.map((line) => line.textContent));
      if (focused) {
        draft.focus();
        draft.setSelectionRange(from, to);
      }
    }
  }

  function tick(card) {
    const notice = card.querySelector("[data-notice]");
    if (!notice) return;
    notice.checked = true;
    card.querySelector("[data-send]").disabled = false;
  }

  function swap(html) {
    const list = document.getElementById("suggestions");
    if (!list) return;
    const before = keep(list);
    const focused = list.contains(document.activeElement);
    list.innerHTML = shown = html;
    window.htmx.process(list);
    giveBack(list, before);
    if (focused && document.activeElement === document.body) window.siyuSide.refocus(list.id);
  }

  document.addEventListener("htmx:beforeSwap", ({ detail }) => {
    if (detail.target === content) shown = "";
    if (!isList(detail.target) || !detail.shouldSwap) return;
    if (detail.serverResponse === shown) detail.shouldSwap = false;
    else kept = keep(detail.target);
    shown = detail.serverResponse;
  });
  document.addEventListener("htmx:afterSwap", ({ detail }) => {
    // The chip chosen may lie outside the narrow row.
    for (const chip of all(".shelf-chips [aria-pressed=true]")) {
      const row = chip.parentElement;
      row.scrollLeft = chip.offsetLeft - row.offsetLeft - (row.clientWidth - chip.offsetWidth) / 2;
    }
    if (!isList(detail.target) || !kept) return;
    giveBack(detail.target, kept);
    kept = null;
  });
  // Asking WeCom's sign-in from a script is refused by the browser: open the page again instead.
  document.addEventListener("htmx:sendError", async ({ detail }) => {
    try {
      const answer = await fetch(detail.pathInfo.finalRequestPath, { redirect: "manual" });
      if (answer.type === "opaqueredirect") reopen();
    } catch { /* the network itself is gone; the toast has said so */ }
  });

  /* Hands. */
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-send]");
    if (button) send(cardOf(button));
    const everything = event.target.closest("[data-send-all]");
    if (everything) sendAll(everything.closest("[data-series]"));
    if (event.target.closest("[data-reload]")) reopen();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.isComposing) return;
    const draft = event.target.closest?.("[data-draft]");
    if (draft) send(draft.closest("[data-sending]"));
  });
  // Looked up when it is unfolded, by hand or because it was so before a refresh.
  document.addEventListener("toggle", ({ target }) => {
    const place = target.open ? target.querySelector?.(":scope > [data-attachable]") : null;
    if (place?.querySelector(".skeleton")) window.htmx.ajax("GET", place.dataset.attachable, place);
  }, true);
  document.addEventListener("change", (event) => {
    if (!event.target.matches("[data-notice]")) return;
    const card = cardOf(event.target);
    card.querySelector("[data-send]").disabled = isDone(card) || !noticed(card);
  });
  document.addEventListener("input", (event) => {
    if (event.target.matches("[data-draft]")) tell(event.target.closest("[data-suggestion]"), []);
  });
  // The deferred scripts have run by then; pictures need not be there.
  document.addEventListener("DOMContentLoaded", open);
})();
