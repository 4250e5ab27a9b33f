// The sidebar beside a chat: asks WeCom's bridge who the customer is, and puts the RM's words in the chat.
(() => {
  "use strict";
  const content = document.getElementById("content");
  const show = (id) => content.replaceChildren(document.getElementById(id).content.cloneNode(true));
  const csrf = () => document.querySelector('meta[name="csrf"]').content;
  const invoke = (name, params) => new Promise((resolve) => window.wx.invoke(name, params, resolve));
  const post = (path, fields) =>
    fetch(path, { method: "POST", headers: { "X-CSRF-Token": csrf() }, body: new URLSearchParams(fields) });

  async function open() {
    const text = document.getElementById("agent-config").textContent.trim();
    if (!text || !window.wx) return show("no-bridge");
    window.wx.agentConfig({ ...JSON.parse(text), success: findCustomer, fail: () => show("no-bridge") });
  }

  async function findCustomer() {
    const context = await invoke("getContext", {});
    if (!["single_chat_tools", "contact_profile"].includes(context.entry)) return show("wrong-entry");
    const contact = await invoke("getCurExternalContact", {});
    if (!contact.userId) return show("wrong-entry");
    window.htmx.ajax("GET", `/sidebar/${encodeURIComponent(contact.userId)}/suggest`, { target: "#content" });
  }

  // Checked on the server first, then through the bridge into the chat, then noted as seen.
  async function send(card) {
    const button = card.querySelector("[data-send]");
    const id = card.dataset.suggestion;
    button.disabled = true;
    try {
      const cleared = await (await post(`/sidebar/suggestions/${id}/clear`, { text: card.querySelector("[data-draft]").value })).json();
      if (cleared.refused) return refuse(card, cleared.refused);
      const result = await invoke("sendChatMessage", { msgtype: "text", enterChat: true, text: { content: cleared.text } });
      if (result.err_msg !== "sendChatMessage:ok") return refuse(card, ["企业微信没有发出这条消息，请确认聊天窗口仍打开后重试。"]);
      const answer = await post(`/sidebar/suggestions/${id}/sent`, {});
      if (answer.ok) swap(await answer.text());
    } catch {
      refuse(card, ["网络中断，没有确认是否发出：请先看聊天窗口，再决定是否重发。"]);
    } finally {
      button.disabled = false;
    }
  }

  function swap(html) {
    const list = document.getElementById("suggestions");
    if (!list) return;
    list.innerHTML = html;
    window.htmx.process(list);
  }

  function refuse(card, reasons) {
    const place = card.querySelector("[data-refused]");
    place.textContent = reasons.join(" ");
    place.hidden = false;
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-send]");
    if (button) send(button.closest("[data-suggestion]"));
    if (event.target.closest("[data-reload]")) location.reload();
  });
  // A live refresh must not take away what the RM is typing.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const typing = document.activeElement?.matches("[data-draft]") && document.activeElement.value !== document.activeElement.defaultValue;
    if (typing && event.detail.requestConfig?.triggeringEvent?.type === "sse:suggestion") event.detail.shouldSwap = false;
  });
  if (document.readyState === "complete") open();
  else window.addEventListener("load", open);
})();
