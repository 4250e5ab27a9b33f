// The play page: keeps phone and desktop in step with the world and answers the sidebar's bridge.

import { call, el, h, options, second, show } from "./dom.js";
import { Desk } from "./desk.js";
import { eventCode, eventName, OUTCOMES } from "./names.js";
import { Phone } from "./phone.js";

const boot = JSON.parse(el("boot").textContent);

class Page {
  constructor() {
    this.busy = false;
    this.again = false;
    this.phone = new Phone(boot, this);
    this.desk = new Desk(boot, this);
    this.phone.peer = boot.customer && boot.member ? boot.member : "";
    new EventSource("play/news").onmessage = () => this.refresh();
    window.addEventListener("message", (event) => this.bridge(event));
    el("open-log").addEventListener("click", () => { el("log").hidden = false; this.refreshLog(); });
    el("close-log").addEventListener("click", () => { el("log").hidden = true; });
    this.refresh();
  }

  // One request at a time; news that arrives meanwhile leads to exactly one more.
  async refresh() {
    if (this.busy) { this.again = true; return; }
    this.busy = true;
    do {
      this.again = false;
      const { phone, desk } = this;
      const asked = { customer: phone.customer, peer: phone.peer, member: desk.member, opened: desk.opened };
      const view = await call(`play/view?${new URLSearchParams(asked)}`);
      if (asked.customer !== phone.customer || asked.peer !== phone.peer || asked.member !== desk.member || asked.opened !== desk.opened) {
        this.again = true;
        continue;
      }
      if (phone.peer && !view.phone_chat) phone.peer = "";
      phone.render(view);
      desk.renderPicker(view);
      desk.render(view);
      options(el("pick-customer"), [["", view.customers.map((row) => [row.id, row.name])]], phone.customer);
      if (!el("log").hidden) this.refreshLog();
    } while (this.again);
    this.busy = false;
  }

  async refreshLog() {
    const rows = await call("play/deliveries");
    show(el("log-rows"), rows, () => rows.length ? rows.map((row) => this.delivery(row)) : [h("p", { class: "empty" }, "还没有事件。在左侧以客户身份发一条消息试试。")]);
  }

  delivery(row) {
    const [label, tone] = OUTCOMES[row.outcome];
    const people = [row.member, row.customer].filter(Boolean).join(" · ");
    return h("div", { class: "delivery" },
      h("time", {}, second(row.queued_at)),
      h("div", {}, h("b", {}, eventName(row)), h("code", {}, eventCode(row)), people ? h("small", {}, people) : null),
      h("div", { class: "right" }, h("span", { class: `tag ${tone}` }, label), row.answers.length > 1 ? h("small", {}, `推送 ${row.answers.length} 次`) : null));
  }

  // What the desktop client answers to the page in its toolbar.
  async bridge(event) {
    const asked = event.data;
    if (!asked || asked.sim !== "wx" || event.source !== el("sidebar").contentWindow) return;
    const result = await this.answer(asked);
    event.source.postMessage({ sim: "wx", id: asked.id, result }, event.origin);
  }

  async answer({ name, params, url }) {
    if (name === "config" || name === "agentConfig") return call("bridge/sign", { api: name, params, url });
    const { member, opened: customer } = this.desk;
    const group = this.desk.view?.desk_chat?.kind === "group";
    if (name === "getContext") return { entry: !customer ? "normal" : group ? "group_chat_tools" : "single_chat_tools", err_msg: "getContext:ok" };
    if (name === "getCurExternalChat") {
      return group ? { chatId: customer, err_msg: "getCurExternalChat:ok" } : { err_msg: "getCurExternalChat:fail without context of external chat" };
    }
    if (name === "getCurExternalContact") {
      return customer && !group ? { userId: customer, err_msg: "getCurExternalContact:ok" } : { err_msg: "getCurExternalContact:fail without context of external contact" };
    }
    if (name === "sendChatMessage") return call("bridge/send", { member, customer, params });
    return { err_msg: `${name}:fail not supported` };
  }
}

new Page();
