// The customer's phone: WeChat with the bank's people in it.

import { groupBubbles, groupTitle, isGroup, phoneGroupMenu, scanSheet } from "./groups.js";
import { momentStream } from "./moments.js";
import { act, bubbles, call, clock, el, face, h, icon, show, when } from "./dom.js";

export class Phone {
  constructor(boot, page) {
    this.corp = boot.corp_name;
    this.page = page;
    this.customer = boot.customer;
    this.peer = "";
    this.tab = "chats";
    for (const button of document.querySelectorAll("#phone-tabs button")) button.addEventListener("click", () => { this.tab = button.dataset.tab; this.page.refresh(); });
    el("phone-form").addEventListener("submit", (event) => { event.preventDefault(); this.send(); });
    el("pick-customer").addEventListener("change", (event) => this.switchTo(event.target.value));
    el("new-customer").addEventListener("click", () => this.askNewCustomer());
    setInterval(() => this.tick(), 10000);
    this.tick();
  }

  tick() { el("clock").textContent = clock(); }

  switchTo(customer) {
    this.customer = customer;
    this.open("");
  }

  open(peer) {
    this.peer = peer;
    this.closeSheet();
    el("phone-text").value = "";
    this.page.refresh();
  }

  async send() {
    const box = el("phone-text");
    const text = box.value.trim();
    if (!text || !this.peer) return;
    box.value = "";
    await act("control/message", { from: this.customer, to: this.peer, text });
  }

  render(view) {
    this.members = view.members;
    this.codes = view.codes;
    this.asksConsent = view.asks_consent;
    const chat = this.peer ? view.phone_chat : null;
    const person = view.customers.find((row) => row.id === this.customer);
    el("phone-form").hidden = !chat || !chat.alive;
    el("phone-tabs").hidden = Boolean(chat);
    for (const button of document.querySelectorAll("#phone-tabs button")) button.setAttribute("aria-current", button.dataset.tab === this.tab ? "page" : "false");
    this.renderNav(chat);
    const body = el("phone-body");
    body.classList.toggle("talking", Boolean(chat));
    if (chat) {
      if (show(body, ["chat", chat, this.customer], () => isGroup(chat) ? groupBubbles(chat, this.customer) : bubbles(chat, true, this.customer))) body.scrollTop = body.scrollHeight;
      const unread = view.threads.find((row) => row.id === this.peer)?.unread;
      if (unread) call("play/read", isGroup(chat) ? { chat_id: this.peer, person: this.customer } : { side: "customer", userid: this.peer, external_userid: this.customer });
    } else if (this.tab === "stream") {
      show(body, ["stream", this.customer, view.stream], () => momentStream(view.stream, this.customer, this.corp, () => this.page.refresh()));
    } else {
      show(body, ["list", person, view.threads], () => this.threads(view.threads, person));
    }
  }

  renderNav(chat) {
    show(el("phone-nav"), ["nav", this.tab, chat && [chat.userid, chat.alive, chat.consent, isGroup(chat) && groupTitle(chat)]], () => chat ? [
      h("button", { type: "button", class: "plain", "aria-label": "返回", onclick: () => this.open("") }, icon("back")),
      isGroup(chat) ? h("b", {}, groupTitle(chat)) : h("b", {}, chat.member, h("span", { class: "at-corp" }, `@${this.corp}`)),
      h("button", { type: "button", class: "plain", "aria-label": "更多", onclick: () => isGroup(chat) ? phoneGroupMenu(this, chat) : this.openMenu(chat) }, icon("more")),
    ] : [
      h("span", {}),
      h("b", {}, this.tab === "stream" ? "朋友圈" : "微信"),
      h("button", { type: "button", class: "plain", "aria-label": "添加好友", title: "添加好友", onclick: () => this.openAdd() }, icon("plus")),
    ]);
  }

  threads(rows, person) {
    if (!person) return [h("p", { class: "empty" }, "还没有客户。点击上方“新客户”，让一位客户扫码添加客户经理。")];
    if (!rows.length) return [h("p", { class: "empty" }, `${person.name}还没有添加客户经理。点击右上角的加号添加好友。`)];
    return [h("ul", { class: "threads" }, rows.map((row) => h("li", {}, h("button", { type: "button", onclick: () => this.open(row.id) },
      h("span", { class: "with-badge" }, face(row.name), row.unread ? h("i", { class: "badge" }, String(row.unread)) : null),
      h("span", { class: "thread" },
        h("span", { class: "line" }, h("b", {}, row.name, isGroup(row) ? null : h("span", { class: "at-corp" }, `@${this.corp}`)), h("time", {}, when(row.at))),
        h("small", {}, row.alive ? row.text || "现在可以开始聊天了" : isGroup(row) ? "群聊已解散" : "已删除该联系人"))))))];
  }

  // Sheets slide over the phone's lower half.

  openSheet(...children) {
    const sheet = el("sheet");
    sheet.replaceChildren(h("div", { class: "sheet-card", role: "dialog" }, children));
    sheet.onclick = (event) => { if (event.target === sheet) this.closeSheet(); };
    sheet.hidden = false;
    sheet.querySelector("input, button")?.focus();
  }

  closeSheet() { el("sheet").hidden = true; }

  openMenu(chat) {
    const remove = async () => {
      await act("control/delete_follow", { userid: chat.userid, external_userid: this.customer });
      this.closeSheet();
    };
    const confirm = () => this.openSheet(
      h("p", { class: "ask" }, `删除联系人“${chat.member}”，将不再收到对方的消息。`),
      h("button", { type: "button", class: "choice danger", onclick: remove }, "删除联系人"),
      h("button", { type: "button", class: "choice", onclick: () => this.closeSheet() }, "取消"));
    const answer = async (agree) => {
      await act("control/agree_archive", { userid: chat.userid, external_userid: this.customer, agree });
      this.closeSheet();
    };
    const asked = chat.alive && (this.asksConsent || chat.consent !== null);
    this.openSheet(
      asked && chat.consent !== true ? h("button", { type: "button", class: "choice", onclick: () => answer(true) }, "同意会话存档") : null,
      asked && chat.consent !== false ? h("button", { type: "button", class: "choice", onclick: () => answer(false) }, "不同意会话存档") : null,
      chat.alive
        ? h("button", { type: "button", class: "choice danger", onclick: confirm }, "删除好友")
        : h("button", { type: "button", class: "choice", onclick: () => this.add(chat.userid, { external_userid: this.customer }) }, "重新添加好友"),
      h("button", { type: "button", class: "choice", onclick: () => this.closeSheet() }, "取消"));
  }

  openAdd() {
    const person = { external_userid: this.customer };
    const strangers = this.members.filter((member) => !member.friend);
    this.openSheet(
      h("button", { type: "button", class: "choice first", onclick: () => scanSheet(this, this.codes || []) }, "扫一扫"),
      h("h3", {}, "添加客户经理"),
      strangers.length ? null : h("p", { class: "ask" }, "已添加全部客户经理。"),
      this.channelField(),
      this.memberChoices(strangers, (userid) => this.add(userid, person)));
  }

  askNewCustomer() {
    const name = h("input", { maxlength: "20", placeholder: "例如：陈思远", "aria-label": "客户昵称" });
    const add = (userid) => {
      if (name.value.trim()) this.add(userid, { name: name.value.trim() });
      else name.focus();
    };
    this.openSheet(h("h3", {}, "新客户扫码添加"), h("label", {}, "客户昵称", name),
      this.channelField(), this.memberChoices(this.members || [], add));
  }

  channelField() {
    return h("label", {}, "渠道参数（可不填）", h("input", { id: "channel", maxlength: "30", placeholder: "活码上的 state" }));
  }

  memberChoices(members, add) {
    return h("ul", { class: "choices" }, members.map((member) => h("li", {}, face(member.name),
      h("span", {}, h("b", {}, member.name), h("small", {}, [member.department, member.position].filter(Boolean).join(" · "))),
      h("button", { type: "button", class: "add", onclick: () => add(member.id) }, "添加"))));
  }

  async add(userid, person) {
    const state = el("channel")?.value.trim() || "";
    const added = await act("control/add_contact", { userid, state, ...person });
    if (!added) return;
    this.customer = added.external_userid;
    this.open(userid);
  }
}
