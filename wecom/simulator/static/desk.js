// The member's desktop: conversations, mass-send tasks, app messages, the chat toolbar.

import { groupBubbles, groupHead, groupTitle, isGroup, newGroup } from "./groups.js";
import { templateCard } from "./cards.js";
import { momentTasks } from "./moments.js";
import { robotChat } from "./robot.js";
import { act, bubbles, call, el, face, h, icon, moment, options, show, toast, when } from "./dom.js";

export class Desk {
  constructor(boot, page) {
    this.sidebarUrl = boot.sidebar_url;
    this.page = page;
    this.member = boot.member;
    this.opened = boot.customer;
    this.tab = "chats";
    this.framed = null;
    this.drafts = new Map();
    el("pick-member").addEventListener("change", (event) => this.switchTo(event.target.value));
    el("find").addEventListener("input", () => this.render(this.view));
    el("new-group").addEventListener("click", () => newGroup(this));
    el("reload").addEventListener("click", () => { this.framed = null; this.renderToolbar(); });
    el("chat-form").addEventListener("submit", (event) => { event.preventDefault(); this.send(); });
    el("chat-text").addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        this.send();
      }
    });
    for (const button of this.tabs()) button.addEventListener("click", () => this.choose(button.dataset.tab));
  }

  tabs() { return document.querySelectorAll(".rail button"); }

  async switchTo(member) {
    this.member = member;
    this.opened = "";
    this.framed = null;
    await call("play/member", { userid: member });
    this.page.refresh();
  }

  choose(tab) {
    this.tab = tab;
    this.render(this.view);
  }

  open(customer) {
    this.drafts.set(this.opened, el("chat-text").value);
    this.opened = customer;
    el("chat-text").value = this.drafts.get(customer) || "";
    this.page.refresh();
  }

  async send() {
    const box = el("chat-text");
    const text = box.value.trim();
    if (!text || !this.opened) return;
    const said = await act("control/message", { from: this.member, to: this.opened, text });
    if (said) box.value = "";
    if (said?.warning) toast(`消息含敏感词“${said.warning}”，请注意沟通规范`);
  }

  render(view) {
    if (!view) return;
    this.view = view;
    if (!view.conversations.some((row) => row.id === this.opened)) this.opened = "";
    const me = view.members.find((row) => row.id === this.member);
    el("rail-face").textContent = me ? me.name.slice(0, 1) : "";
    el("who-note").textContent = me ? [me.department, me.position].filter(Boolean).join(" · ") : "";
    this.renderRail(view);
    el("window").dataset.tab = this.tab;
    el("panel").hidden = this.tab === "chats";
    this.renderConversations(view.conversations);
    this.renderChat(this.opened ? view.desk_chat : null, view.conversations);
    this.renderToolbar();
    if (this.tab === "tasks") show(el("panel"), ["tasks", view.tasks], () => this.tasks(view.tasks));
    if (this.tab === "moments") show(el("panel"), ["moments", this.member, view.moments], () => momentTasks(view.moments, this.member, () => this.page.refresh()));
    if (this.tab === "robot") this.renderRobot(view.robot);
    if (this.tab === "notices") this.renderNotices(view.notices);
  }

  renderRail(view) {
    for (const button of this.tabs()) if (button.dataset.tab === "robot") button.hidden = !view.robot.ready;
    const counts = {
      chats: view.conversations.reduce((sum, row) => sum + row.unread, 0),
      tasks: view.tasks.filter((task) => !task.confirmed_at && !task.cancelled).length,
      moments: view.moments.filter((row) => !row.published_at && !row.cancelled).length,
      notices: view.notices.filter((notice) => !notice.read).length,
    };
    for (const button of this.tabs()) {
      const count = counts[button.dataset.tab] || 0;
      const badge = button.querySelector(".badge");
      badge.hidden = !count;
      badge.textContent = count > 99 ? "99+" : String(count);
      button.setAttribute("aria-current", button.dataset.tab === this.tab ? "page" : "false");
    }
  }

  renderConversations(rows) {
    const wanted = el("find").value.trim();
    const found = rows.filter((row) => `${row.remark}${row.name}`.includes(wanted));
    show(el("conv-list"), [found, this.opened, rows.length], () => found.length
      ? found.map((row) => h("li", {}, h("button", { type: "button", "data-customer": row.id, "aria-current": row.id === this.opened ? "true" : "false", onclick: () => this.open(row.id) },
        h("span", { class: "with-badge" }, face(row.name, row.color), row.unread ? h("i", { class: "badge" }, String(row.unread)) : null),
        h("span", { class: "thread" },
          h("span", { class: "line" }, h("b", {}, row.remark || row.name, isGroup(row) ? null : h("span", { class: "at-wechat" }, "@微信")), h("time", {}, when(row.at))),
          h("small", {}, row.alive ? row.text || "现在可以开始聊天了" : isGroup(row) ? "群聊已解散" : "对方已删除联系人")))))
      : [h("li", { class: "empty" }, rows.length ? "没有匹配的客户。" : "还没有客户会话。客户添加好友后会出现在这里。")]);
  }

  renderChat(chat, rows) {
    el("chat-form").hidden = !chat || !chat.alive;
    if (isGroup(chat)) { this.renderGroup(chat, rows); return; }
    show(el("chat-head"), ["head", chat && [chat.external_userid, chat.remark, chat.state, chat.alive]], () => chat ? [
      h("b", {}, chat.remark || chat.customer),
      h("span", { class: "at-wechat" }, "@微信"),
      chat.remark && chat.remark !== chat.customer ? h("small", {}, `昵称：${chat.customer}`) : null,
      chat.state ? h("small", {}, `渠道：${chat.state}`) : null,
      chat.alive ? h("button", { type: "button", class: "plain", title: "修改备注", "aria-label": "修改备注", onclick: () => this.editRemark(chat) }, icon("edit")) : null,
    ] : []);
    const body = el("chat-body");
    if (!chat) {
      show(body, ["none"], () => [h("p", { class: "empty" }, "从左侧选择一位客户，开始会话。")]);
      return;
    }
    if (show(body, ["chat", chat], () => bubbles(chat, false, this.member))) body.scrollTop = body.scrollHeight;
    const unread = rows.find((row) => row.id === this.opened)?.unread;
    if (unread && this.tab === "chats") call("play/read", { side: "member", userid: this.member, external_userid: this.opened });
  }

  renderGroup(chat, rows) {
    show(el("chat-head"), ["group", groupTitle(chat), chat.alive], () => groupHead(this, chat));
    const body = el("chat-body");
    if (show(body, ["chat", chat, this.member], () => groupBubbles(chat, this.member))) body.scrollTop = body.scrollHeight;
    const unread = rows.find((row) => row.id === this.opened)?.unread;
    if (unread && this.tab === "chats") call("play/read", { chat_id: this.opened, person: this.member });
  }

  editRemark(chat) {
    const box = h("input", { value: chat.remark || chat.customer, maxlength: "20", "aria-label": "备注名" });
    const save = async (event) => {
      event.preventDefault();
      const words = { userid: chat.userid, external_userid: chat.external_userid, remark: box.value.trim() };
      if (await act("control/edit_remark", words)) toast("备注已保存");
      this.page.refresh();
    };
    const head = el("chat-head");
    show(head, ["edit", Math.random()], () => [h("form", { class: "remark", onsubmit: save }, box,
      h("button", { type: "submit", class: "primary" }, "保存"),
      h("button", { type: "button", class: "ghost", onclick: () => this.page.refresh() }, "取消"))]);
    box.select();
  }

  // The product's own page, loaded anew whenever another conversation is opened.
  renderToolbar() {
    const frame = el("sidebar");
    const wanted = this.opened ? `${this.member}/${this.opened}` : "";
    frame.hidden = !wanted;
    el("sidebar-empty").hidden = Boolean(wanted);
    if (this.framed === wanted) return;
    this.framed = wanted;
    const url = this.sidebarUrl
      .replaceAll("{member}", encodeURIComponent(this.member))
      .replaceAll("{customer}", encodeURIComponent(this.opened));
    const fresh = frame.cloneNode(false);
    if (wanted) fresh.src = url; else fresh.removeAttribute("src");
    frame.replaceWith(fresh);
  }

  tasks(rows) {
    const list = rows.map((task) => h("article", { class: "task", "data-task": task.id },
      h("header", {}, h("b", {}, "企业群发任务"), h("span", { class: "meta" }, `${moment(task.at)} 下发`), this.taskState(task)),
      task.text ? h("p", { class: "text" }, task.text) : null,
      task.attachments.map((row) => h("p", { class: "attached" }, icon(row.msgtype === "link" ? "link" : row.msgtype === "image" ? "picture" : "file"), row.title || "附件")),
      h("p", { class: "meta" }, `发送给 ${task.customers.length} ${task.unit}：${task.customers.slice(0, 6).join("、")}${task.customers.length > 6 ? " 等" : ""}`),
      this.taskFooter(task)));
    return [h("div", { class: "panel-head" }, h("h2", {}, "群发助手"), h("p", {}, "企业创建的群发任务须由你确认后才会发送给客户。")),
      list.length ? list : h("p", { class: "empty" }, "暂无群发任务。企业下发的任务会出现在这里，等待你确认发送。")];
  }

  taskState(task) {
    if (task.confirmed_at) return h("span", { class: "tag green" }, "已发送");
    if (task.cancelled) return h("span", { class: "tag grey" }, "企业已停止");
    return h("span", { class: "tag orange" }, "待发送");
  }

  taskFooter(task) {
    if (task.confirmed_at) {
      const failed = [task.not_friend && `${task.not_friend} 位已不是好友`, task.over_quota && `${task.over_quota} 位本期接收次数已满`];
      return h("footer", {}, h("span", { class: "meta" }, [`${moment(task.confirmed_at)} 已送达 ${task.sent} 位`, ...failed.filter(Boolean)].join("，")));
    }
    if (task.cancelled) return null;
    const send = async (event) => {
      event.target.disabled = true;
      if (await act("control/confirm_task", { msgid: task.id, userid: this.member })) toast("已发送");
      this.page.refresh();
    };
    return h("footer", {}, h("button", { type: "button", class: "primary", onclick: send }, "发送"),
      task.reminded ? h("span", { class: "meta" }, `管理员已提醒 ${task.reminded} 次`) : null);
  }

  renderRobot(view) {
    const panel = el("panel");
    if (!show(panel, ["robot", this.member, view], () => robotChat(view, this.member, () => this.page.refresh()))) return;
    panel.querySelector("textarea").focus();
    panel.scrollTop = panel.scrollHeight;
  }

  renderNotices(rows) {
    show(el("panel"), ["notices", rows.map((row) => [row.id, row.at, row.card])], () => [
      h("div", { class: "panel-head" }, h("h2", {}, "应用消息"), h("p", {}, "自建应用与群发助手发给你的通知。")),
      rows.length ? rows.map((row) => this.notice(row)) : h("p", { class: "empty" }, "暂无应用消息。"),
    ]);
    if (rows.some((row) => !row.read)) call("play/notices", { userid: this.member });
  }

  notice(row) {
    return h("article", { class: "task", "data-notice": row.id },
      h("header", {}, h("b", {}, row.source === "mass_send" ? "群发助手" : "客户经理助手"), h("span", { class: "meta" }, moment(row.at))),
      row.card ? templateCard(row.card, (press) => this.pressCard(row.id, press)) : [
        row.title ? h("h3", {}, row.title) : null,
        row.text ? h("p", { class: "text" }, row.text) : null,
        row.url ? h("footer", {}, h("a", { href: row.url, target: "_blank", rel: "noopener" }, row.button)) : null,
      ]);
  }

  async pressCard(msgid, press) {
    if (await act("control/press_card", { userid: this.member, msgid, ...press })) toast("已提交");
    this.page.refresh();
  }

  renderPicker(view) {
    const departments = new Map();
    for (const row of view.members) departments.set(row.department, [...(departments.get(row.department) || []), [row.id, row.name]]);
    options(el("pick-member"), [...departments], this.member);
  }
}
