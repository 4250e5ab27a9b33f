// Customer groups on the phone and at the desktop, and the codes a customer can scan.

import { act, bubble, el, face, h, icon, moment, toast } from "./dom.js";

const GAP = 5 * 60 * 1000;

export const isGroup = (chat) => Boolean(chat) && chat.kind === "group";
export const groupTitle = (chat) => `${chat.name}（${chat.members.length}）`;

// The bubbles of a group as one of its members sees them.
export function groupBubbles(chat, who) {
  const rows = [h("p", { class: "note" }, moment(chat.since))];
  if (chat.notice) rows.push(h("p", { class: "notice-line" }, `群公告：${chat.notice}`));
  let last = new Date(chat.since).getTime();
  for (const said of chat.bubbles) {
    const at = new Date(said.at).getTime();
    if (at - last > GAP) rows.push(h("p", { class: "note" }, moment(said.at)));
    last = at;
    rows.push(h("div", { class: said.mine ? "row mine" : "row" }, face(said.speaker, said.color || null),
      h("div", { class: "said" }, said.mine ? null : h("small", { class: "via" }, said.speaker), bubble(said, who))));
  }
  if (!chat.alive) rows.push(h("p", { class: "note" }, "群聊已解散。"));
  return rows;
}

// What a customer can do in a group, in the phone's sheet.
export function phoneGroupMenu(phone, chat) {
  const leave = async () => {
    await act("control/leave_group", { chat_id: chat.chat_id, userids: [phone.customer] });
    phone.open("");
  };
  phone.openSheet(
    h("h3", {}, groupTitle(chat)),
    h("p", { class: "ask" }, chat.members.map((row) => row.name).join("、")),
    chat.alive ? h("button", { type: "button", class: "choice danger", onclick: leave }, "退出群聊") : null,
    h("button", { type: "button", class: "choice", onclick: () => phone.closeSheet() }, "取消"));
}

// The codes and links the product has made.
export function scanSheet(phone, codes) {
  const scan = async (code) => {
    const scanned = await act(`control/${code.verb}`, { [code.field]: code.id, external_userid: phone.customer });
    if (scanned) phone.open(scanned.userid || scanned.chat_id || "");
  };
  phone.openSheet(h("h3", {}, "扫一扫"),
    codes.length ? h("ul", { class: "choices" }, codes.map((code) => h("li", { "data-code": code.id }, icon(code.verb === "tap_link" ? "link" : "code"),
      h("span", {}, h("b", {}, code.title), h("small", {}, [code.note, code.state && `渠道 ${code.state}`].filter(Boolean).join(" · "))),
      h("button", { type: "button", class: "add", onclick: () => scan(code) }, code.verb === "tap_link" ? "打开" : "扫码"))))
      : h("p", { class: "ask" }, "产品还没有创建二维码或获客链接。"),
    h("button", { type: "button", class: "choice", onclick: () => phone.closeSheet() }, "取消"));
}

// The head of a group at the desktop; the button opens what can be done with the group.
export function groupHead(desk, chat) {
  return [
    h("b", { class: "group-name" }, groupTitle(chat)),
    h("span", { class: "at-wechat" }, "外部群"),
    chat.alive ? h("button", { type: "button", class: "plain", title: "群管理", "aria-label": "群管理", onclick: () => groupMenu(desk, chat) }, icon("more")) : null,
  ];
}

function groupMenu(desk, chat) {
  const choice = ([mode, words]) => h("button", { type: "button", class: "choice", onclick: () => groupDialog(desk, chat, mode) }, words);
  const acts = [["invite", "邀请入群"], ["remove", "移出群聊"], ["rename", "修改群名"], ["notice", "修改群公告"], ["dismiss", "解散群聊"]];
  open(groupTitle(chat), [h("p", { class: "quiet" }, chat.members.map((row) => row.name).join("、")), acts.map(choice)]);
}

export function newGroup(desk) {
  const name = field("群名", "例如：稳健理财交流群");
  const people = peoplePicker(desk.view.conversations.filter((row) => row.kind !== "group" && row.alive));
  open("发起客户群", [name.label, people.node], "创建", async () => {
    const wish = { owner: desk.member, name: name.value() || "客户群", customers: people.chosen() };
    const made = await act("control/create_group", wish);
    if (made) desk.open(made.chat_id);
    return made;
  });
}

function groupDialog(desk, chat, mode) {
  const inside = new Set(chat.members.map((row) => row.id));
  const customers = desk.view.conversations.filter((row) => row.kind !== "group" && row.alive && !inside.has(row.id));
  const colleagues = desk.view.members.filter((row) => !inside.has(row.id));
  const others = chat.members.filter((row) => row.id !== desk.member);
  const then = (verb, wish) => async () => {
    const done = await act(`control/${verb}`, { chat_id: chat.chat_id, ...wish() });
    if (done) toast("已完成");
    return done;
  };
  if (mode === "invite") {
    const people = peoplePicker([...customers, ...colleagues]);
    open("邀请入群", [people.node], "邀请", then("join_group", () => ({ userids: people.chosen(), invitor: desk.member })));
  } else if (mode === "remove") {
    const people = peoplePicker(others);
    open("移出群聊", [people.node], "移出", then("leave_group", () => ({ userids: people.chosen(), removed: true })));
  } else if (mode === "dismiss") {
    open("解散群聊", [h("p", {}, `解散“${chat.name}”后，群成员将无法继续发言。`)], "解散", then("dismiss_group", () => ({})));
  } else {
    const name = mode === "rename" ? field("群名", "", chat.name) : field("群公告", "", chat.notice);
    open(mode === "rename" ? "修改群名" : "修改群公告", [name.label], "保存", then("change_group", () => ({ [mode === "rename" ? "name" : "notice"]: name.value() })));
  }
}

function field(words, placeholder, value = "") {
  const input = h("input", { maxlength: "60", placeholder, value });
  return { label: h("label", {}, words, input), value: () => input.value.trim() };
}

function peoplePicker(rows) {
  const node = h("ul", { class: "people-picker" }, rows.length
    ? rows.map((row) => h("li", {}, h("label", {}, h("input", { type: "checkbox", value: row.id }), face(row.name, row.color || null), h("span", {}, row.remark || row.name))))
    : h("li", { class: "quiet" }, "没有可选的人。"));
  return { node, chosen: () => [...node.querySelectorAll("input:checked")].map((box) => box.value) };
}

function open(title, content, words = "", run = null) {
  const dialog = el("dialog");
  const close = () => dialog.close();
  const submit = async (event) => {
    event.preventDefault();
    if (await run()) close();
  };
  dialog.replaceChildren(h("form", { onsubmit: submit }, h("h3", {}, title), content.flat(),
    h("div", { class: "dialog-foot" }, h("button", { type: "button", class: "ghost", onclick: close }, run ? "取消" : "关闭"),
      run ? h("button", { type: "submit", class: "primary" }, words) : null)));
  if (!dialog.open) dialog.showModal();
}
