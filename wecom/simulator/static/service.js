// 微信客服: the customer's chat with an account beside the servicer's desktop.

import { act, call, clock, el, face, h, icon, moment, options, show, toast, when } from "./dom.js";

const boot = JSON.parse(el("boot").textContent);
const TONES = ["orange", "grey", "orange", "green", "grey"];
const GROUPS = [["待接入", [2]], ["我接待的", [3]], ["未处理与智能助手", [0, 1]], ["已结束", [4]]];
const GAP = 5 * 60 * 1000;

class Service {
  constructor() {
    Object.assign(this, { customer: boot.customer, account: boot.account, servicer: boot.servicer, opened: boot.opened, busy: false, again: false });
    el("pick-customer").addEventListener("change", (event) => { this.customer = event.target.value; this.account = ""; this.closeSheet(); this.refresh(); });
    el("pick-servicer").addEventListener("change", (event) => { this.servicer = event.target.value; this.opened = ""; this.refresh(); });
    el("new-customer").addEventListener("click", () => this.askLink(true));
    el("phone-form").addEventListener("submit", (event) => { event.preventDefault(); this.write(); });
    el("chat-form").addEventListener("submit", (event) => { event.preventDefault(); this.answer(); });
    el("chat-text").addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); this.answer(); }
    });
    new EventSource("play/news").onmessage = () => this.refresh();
    el("clock").textContent = clock();
    setInterval(() => { el("clock").textContent = clock(); }, 10000);
    this.refresh().then(() => { if (boot.link) this.askWho(); });
  }

  // One request at a time; news that arrives meanwhile leads to exactly one more.
  async refresh() {
    if (this.busy) { this.again = true; return; }
    this.busy = true;
    do {
      this.again = false;
      const { customer, account, servicer, opened } = this;
      const view = await call(`service/view?${new URLSearchParams({ customer, account, servicer, opened })}`);
      if (customer !== this.customer || account !== this.account || servicer !== this.servicer || opened !== this.opened) { this.again = true; continue; }
      this.render(view);
    } while (this.again);
    this.busy = false;
  }

  render(view) {
    this.view = view;
    options(el("pick-customer"), [["", view.customers.map((row) => [row.id, row.name])]], this.customer);
    options(el("pick-servicer"), [["", view.servicers.map((row) => [row.id, row.name])]], this.servicer);
    this.renderPhone(view);
    this.renderSessions(view.sessions);
    this.renderChat(view);
  }

  // The customer's phone.

  renderPhone(view) {
    const chat = this.account ? view.phone : null;
    el("phone-form").hidden = !chat;
    show(el("phone-nav"), ["nav", chat && [chat.key, chat.account_name, chat.rejects]], () => chat ? [
      h("button", { type: "button", class: "plain", "aria-label": "返回", onclick: () => { this.account = ""; this.refresh(); } }, icon("back")),
      h("b", {}, chat.account_name, h("span", { class: "at-corp" }, `@${boot.corp_name}`)),
      h("button", { type: "button", class: "plain", "aria-label": "更多", onclick: () => this.askReject(chat) }, icon("more")),
    ] : [h("span", {}), h("b", {}, "微信客服"),
      h("button", { type: "button", class: "plain", "aria-label": "扫码进入", title: "扫码进入", onclick: () => this.askLink(false) }, icon("plus"))]);
    const body = el("phone-body");
    body.classList.toggle("talking", Boolean(chat));
    if (!chat) { show(body, ["threads", view.threads, view.accounts.length], () => this.threads(view)); return; }
    if (show(body, ["chat", chat.items], () => this.bubbles(chat, true))) body.scrollTop = body.scrollHeight;
  }

  threads(view) {
    if (!view.accounts.length) return [h("p", { class: "empty" }, "还没有客服账号。请先由企业创建客服账号。")];
    if (!view.threads.length) return [h("p", { class: "empty" }, "还没有客服会话。点击右上角的加号，扫码进入客服。")];
    return [h("ul", { class: "threads" }, view.threads.map((row) => h("li", {}, h("button", { type: "button", onclick: () => this.enter(row.account, "", "") },
      face(row.account_name), h("span", { class: "thread" },
        h("span", { class: "line" }, h("b", {}, row.account_name, h("span", { class: "at-corp" }, `@${boot.corp_name}`)), h("time", {}, row.at ? when(row.at) : "")),
        h("small", {}, row.text || "现在可以开始咨询了"))))))];
  }

  async enter(account, scene, parameter, person = { external_userid: this.customer }) {
    const entered = await act("control/service_enter", { open_kfid: account, scene, scene_param: parameter, ...person });
    if (entered) this.opens(entered);
  }

  opens(entered) {
    this.customer = entered.external_userid;
    this.account = entered.open_kfid;
    this.closeSheet();
    this.refresh();
  }

  async write() {
    const box = el("phone-text");
    const text = box.value.trim();
    if (!text || !this.account) return;
    box.value = "";
    await act("control/service_write", { open_kfid: this.account, external_userid: this.customer, text });
  }

  // The chat as one of the two sees it.
  bubbles(chat, forCustomer) {
    const rows = [];
    let last = 0;
    for (const item of chat.items) {
      const at = new Date(item.at).getTime();
      if (at - last > GAP) rows.push(h("p", { class: "note" }, moment(item.at)));
      last = at;
      if (item.side === "event") rows.push(h("p", { class: "note" }, item.text));
      else if (item.recalled) rows.push(h("p", { class: "note" }, `${item.side === "customer" ? (forCustomer ? "你" : "客户") : "对方"}撤回了一条消息`));
      else rows.push(this.bubble(chat, item, forCustomer));
    }
    if (!rows.length) rows.push(h("p", { class: "note" }, "你可以向客服咨询了"));
    return rows;
  }

  bubble(chat, item, forCustomer) {
    const mine = (item.side === "customer") === forCustomer;
    const who = item.side === "customer" ? face(chat.name, chat.color) : face(chat.account_name);
    const by = forCustomer ? "" : item.side === "product" ? (item.delivered ? "应用自动发送" : "应用发送，未送达") : item.name;
    const recent = Date.now() - new Date(item.at).getTime() < 2 * 60 * 1000;
    const retract = mine && recent && item.side !== "product"
      ? h("button", { type: "button", class: "retract", onclick: () => act("control/service_recall", { msgid: item.msgid }) }, "撤回") : null;
    return h("div", { class: mine ? "row mine" : "row" }, who,
      h("div", { class: "said" }, this.content(item, forCustomer), by ? h("small", { class: "by" }, by) : null, retract));
  }

  content(item, forCustomer) {
    const { msgtype, body } = item;
    const extra = item.delivered ? "" : " undelivered";
    if (msgtype === "text") return h("div", { class: `bubble${extra}` }, item.text);
    if (msgtype === "msgmenu") return this.menu(body, forCustomer, extra);
    if (msgtype === "link") {
      return h("a", { class: `bubble card${extra}`, href: body.url, target: "_blank", rel: "noopener" },
        h("b", {}, body.title), h("span", { class: "card-row" }, h("small", {}, body.desc || body.url), icon("link")));
    }
    return h("div", { class: `bubble card${extra}` }, h("span", { class: "card-row" }, h("b", {}, item.text), icon(msgtype === "image" ? "picture" : "file")));
  }

  menu(body, forCustomer, extra) {
    const pick = (row) => act("control/service_write", { open_kfid: this.account, external_userid: this.customer, text: row.click.content, menu_id: row.click.id });
    const line = (row) => {
      if (row.type === "view") return h("a", { href: row.view.url, target: "_blank", rel: "noopener" }, row.view.content);
      if (row.type === "click") return h("button", { type: "button", disabled: !forCustomer, onclick: () => pick(row) }, row.click.content);
      return h("p", {}, row[row.type]?.content || "");
    };
    return h("div", { class: `bubble menu-message${extra}` }, body.head_content ? h("p", {}, body.head_content) : null,
      (body.list || []).map(line), body.tail_content ? h("p", {}, body.tail_content) : null);
  }

  openSheet(...children) {
    const sheet = el("sheet");
    sheet.replaceChildren(h("div", { class: "sheet-card", role: "dialog" }, children));
    sheet.onclick = (event) => { if (event.target === sheet) this.closeSheet(); };
    sheet.hidden = false;
    sheet.querySelector("input, button")?.focus();
  }

  closeSheet() { el("sheet").hidden = true; }

  askLink(fresh) {
    const name = fresh ? h("input", { maxlength: "20", placeholder: "例如：周先生", "aria-label": "客户昵称" }) : null;
    const go = (account, scene) => {
      if (name && !name.value.trim()) { name.focus(); return; }
      this.enter(account, scene, "", name ? { name: name.value.trim() } : undefined);
    };
    const ways = this.view.accounts.flatMap((account) => (account.scenes.length ? account.scenes : [{ scene: "" }]).map((row) => [account, row.scene]));
    this.openSheet(h("h3", {}, "扫码进入客服"), name ? h("label", {}, "客户昵称", name) : null,
      ways.length ? h("ul", { class: "choices" }, ways.map(([account, scene]) => h("li", {}, face(account.name),
        h("span", {}, h("b", {}, account.name), h("small", {}, scene ? `场景：${scene}` : "默认链接")),
        h("button", { type: "button", class: "add", onclick: () => go(account.id, scene) }, "进入"))))
        : h("p", { class: "ask" }, "还没有客服账号。"));
  }

  // A service link was opened in the browser: who taps it?
  askWho() {
    const name = h("input", { maxlength: "20", placeholder: "新客户的昵称", "aria-label": "客户昵称" });
    const go = async (person) => {
      const entered = await act("control/service_enter", { url: boot.link, ...person });
      if (entered) this.opens(entered);
    };
    const current = this.view.customers.find((row) => row.id === this.customer);
    this.openSheet(h("h3", {}, "由谁打开这个客服链接"),
      current ? h("button", { type: "button", class: "choice", onclick: () => go({ external_userid: current.id }) }, current.name) : null,
      h("label", {}, "或以新客户身份进入", name),
      h("button", { type: "button", class: "choice", onclick: () => (name.value.trim() ? go({ name: name.value.trim() }) : name.focus()) }, "进入"));
  }

  askReject(chat) {
    const rejects = !chat.rejects;
    const change = async () => { await act("control/service_reject", { open_kfid: chat.account, external_userid: chat.customer, rejects }); this.closeSheet(); };
    this.openSheet(h("button", { type: "button", class: rejects ? "choice danger" : "choice", onclick: change }, rejects ? "拒收该客服的消息" : "恢复接收消息"),
      h("button", { type: "button", class: "choice", onclick: () => this.closeSheet() }, "取消"));
  }

  // The servicer's desktop.

  renderSessions(rows) {
    show(el("sessions"), [rows, this.opened], () => {
      if (!rows.length) return [h("li", { class: "empty" }, "还没有客户咨询。")];
      return GROUPS.flatMap(([label, states]) => {
        const found = rows.filter((row) => states.includes(row.state));
        return found.length ? [h("li", { class: "group" }, `${label}（${found.length}）`), ...found.map((row) => this.sessionRow(row))] : [];
      });
    });
  }

  sessionRow(row) {
    return h("li", {}, h("button", { type: "button", "data-session": row.key, "aria-current": row.key === this.opened ? "true" : "false", onclick: () => { this.opened = row.key; this.refresh(); } },
      face(row.name, row.color), h("span", { class: "thread" },
        h("span", { class: "line" }, h("b", {}, row.name, h("span", { class: "at-wechat" }, "@微信")), h("time", {}, row.at ? when(row.at) : "")),
        h("small", {}, `${row.account_name} · ${row.text || "进入会话"}`))));
  }

  renderChat(view) {
    const chat = view.chat;
    const colleagues = chat ? view.accounts.find((account) => account.id === chat.account)?.servicers.filter((row) => row.receiving && row.id !== this.servicer) || [] : [];
    el("chat-form").hidden = !chat || !((chat.state === 3 && chat.servicer === this.servicer) || chat.state === 4);
    show(el("chat-head"), ["head", chat && [chat.key, chat.state, chat.servicer, chat.name], this.servicer, colleagues], () => chat ? [
      h("b", {}, chat.name), h("span", { class: "at-wechat" }, "@微信"), h("span", { class: `tag ${TONES[chat.state]}` }, chat.state_name),
      h("span", { class: "acts" }, this.acts(chat, colleagues)),
    ] : []);
    const body = el("chat-body");
    if (!chat) { show(body, ["none"], () => [h("p", { class: "empty" }, "从左侧选择一位客户。")]); show(el("facts"), ["none"], () => []); return; }
    if (show(body, ["chat", chat.items], () => this.bubbles(chat, false))) body.scrollTop = body.scrollHeight;
    show(el("facts"), ["facts", { ...chat, items: null }], () => this.facts(chat));
  }

  acts(chat, colleagues) {
    const who = { open_kfid: chat.account, external_userid: chat.customer };
    const act_ = async (verb, extra, words) => { if (await act(`control/${verb}`, { ...who, ...extra })) toast(words); };
    if (chat.state === 2) return [h("button", { type: "button", class: "primary", onclick: () => act_("service_accept", { servicer: this.servicer }, "已接入") }, "接入会话")];
    if (chat.state !== 3 || chat.servicer !== this.servicer) return [];
    const select = h("select", { "aria-label": "转接给", onchange: (event) => event.target.value && act_("service_hand_over", { servicer: event.target.value }, "已转接") },
      h("option", { value: "" }, "转接给…"), colleagues.map((row) => h("option", { value: row.id }, row.name)));
    return [colleagues.length ? select : null, h("button", { type: "button", class: "ghost", onclick: () => act_("service_end", {}, "会话已结束") }, "结束会话")].filter(Boolean);
  }

  facts(chat) {
    const rows = [["客服账号", chat.account_name], ["会话状态", chat.state_name], ["接待人员", chat.servicer_name || "无"],
      ["来源场景", chat.scene || "默认链接"], ["场景参数", chat.scene_param || "无"],
      ["应用还可发送", chat.until ? `${chat.answers_left} 条` : "客户尚未发消息"], ["回复截止", chat.until ? moment(chat.until) : "无"],
      ["消息接收", chat.rejects ? "客户已拒收" : "正常"]];
    return [h("dl", {}, rows.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]))];
  }

  async answer() {
    const box = el("chat-text");
    const text = box.value.trim();
    if (!text || !this.view?.chat) return;
    const { account, customer } = this.view.chat;
    if (await act("control/service_answer", { open_kfid: account, external_userid: customer, servicer: this.servicer, text })) box.value = "";
  }
}

new Service();
