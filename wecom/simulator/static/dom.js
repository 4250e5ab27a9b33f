// Small helpers: elements, icons, times, calls to the simulator.

export const el = (id) => document.getElementById(id);

export function h(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "color") node.style.backgroundColor = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

export const face = (name, color = null) =>
  h("span", { class: "face", color, "aria-hidden": "true" }, name.slice(0, 1));

const part = (options) => new Intl.DateTimeFormat("zh-CN", { timeZone: "Asia/Shanghai", ...options });
const DAY = part({ year: "numeric", month: "2-digit", day: "2-digit" });
const SHORT_DAY = part({ month: "numeric", day: "numeric" });
const HOUR = part({ hour: "2-digit", minute: "2-digit", hour12: false });
const SECOND = part({ hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });

export const clock = (at = new Date()) => HOUR.format(at);
export const second = (iso) => SECOND.format(new Date(iso));

export function when(iso) {
  const at = new Date(iso);
  return DAY.format(at) === DAY.format(new Date()) ? HOUR.format(at) : SHORT_DAY.format(at);
}

export function moment(iso) {
  const at = new Date(iso);
  const today = DAY.format(at) === DAY.format(new Date());
  return today ? HOUR.format(at) : `${SHORT_DAY.format(at)} ${HOUR.format(at)}`;
}

export async function call(path, body) {
  const options = body === undefined ? {} : { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const response = await fetch(path, options);
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error || "操作未成功");
  return answer;
}

let hide = 0;
export function toast(words) {
  const box = el("toast");
  box.textContent = words;
  box.hidden = false;
  clearTimeout(hide);
  hide = setTimeout(() => { box.hidden = true; }, 2000);
}

// Does what a person asked for; a refusal is told in words.
export async function act(path, body) {
  try {
    return await call(path, body);
  } catch (refusal) {
    toast(refusal.message);
    return null;
  }
}

// Replaces the content only when it differs, so nothing flickers. A field with data-draft keeps
// what is being written and the focus: news may come in the middle of a word.
const shown = new WeakMap();
export function show(node, facts, build) {
  const key = JSON.stringify(facts);
  if (shown.get(node) === key) return false;
  shown.set(node, key);
  const drafts = new Map(fields(node).map((box) => [box.dataset.draft, { words: box.value, held: box === document.activeElement }]));
  node.replaceChildren(...build().flat().filter(Boolean));
  for (const box of fields(node)) {
    const { words = "", held } = drafts.get(box.dataset.draft) || {};
    box.value = words;
    if (held) box.focus();
  }
  return true;
}

const fields = (node) => [...node.querySelectorAll("[data-draft]")];

export function options(select, groups, chosen) {
  const rendered = show(select, groups, () => groups.map(([label, rows]) => {
    const choices = rows.map(([value, text]) => h("option", { value }, text));
    return label ? h("optgroup", { label }, choices) : choices;
  }));
  if (rendered || select.value !== chosen) select.value = chosen;
}

const VIA = { mass_send: "群发助手", welcome: "欢迎语", transfer: "接替提示" };

// A link opens as on the phone or in the client of whoever looks at the chat.
const opens = (url, who) => `phone/open?${new URLSearchParams({ who, url })}`;

export function bubble(said, who) {
  const { msgtype, body } = said;
  if (msgtype === "text") return h("div", { class: "bubble" }, said.text);
  if (msgtype === "link") {
    return h("a", { class: "bubble card", href: opens(body.url, who), target: "_blank", rel: "noopener" },
      h("b", {}, body.title), h("span", { class: "card-row" }, h("small", {}, body.desc || body.url), body.picurl ? h("img", { class: "card-thumb", src: body.picurl, alt: "" }) : icon("link")));
  }
  if (msgtype === "image") return h("img", { class: "bubble picture", src: body.pic_url || sent(body.media_id), alt: body.filename || "图片" });
  if (msgtype === "video") return h("video", { class: "bubble picture", src: sent(body.media_id), controls: true, preload: "metadata", "aria-label": body.filename || "视频" });
  if (msgtype === "file") {
    return h("a", { class: "bubble card", href: sent(body.media_id), download: body.filename || "" },
      h("span", { class: "card-row" }, h("b", {}, body.filename || said.text), icon("file")));
  }
  if (msgtype === "miniprogram") {
    const picture = body.picurl || (body.pic_media_id && sent(body.pic_media_id));
    return h("div", { class: "bubble card" }, h("b", {}, body.title),
      picture ? h("img", { class: "card-picture", src: picture, alt: "" }) : null, h("small", {}, "小程序"));
  }
  return h("div", { class: "bubble card" },
    h("span", { class: "card-row" }, h("b", {}, said.text), icon("file")));
}

// A file stays in the chat it was sent into.
const sent = (mediaId) => `sent/${encodeURIComponent(mediaId || "")}`;

const GAP = 5 * 60 * 1000;

// The bubbles of a chat as one of the two sees it.
export function bubbles(chat, mineFromCustomer, who) {
  const rows = [h("p", { class: "note" }, moment(chat.since)), h("p", { class: "note" }, mineFromCustomer
    ? `你已添加了${chat.member}，现在可以开始聊天了。`
    : `${chat.customer}已添加你为联系人，现在可以开始聊天了。`)];
  let last = new Date(chat.since).getTime();
  for (const said of chat.bubbles) {
    const at = new Date(said.at).getTime();
    if (at - last > GAP) rows.push(h("p", { class: "note" }, moment(said.at)));
    last = at;
    const mine = said.from_customer === mineFromCustomer;
    const person = said.from_customer ? face(chat.customer, chat.color) : face(chat.member);
    const via = !mineFromCustomer && VIA[said.via];
    rows.push(h("div", { class: mine ? "row mine" : "row" }, person,
      h("div", { class: "said" }, bubble(said, who), via && h("small", { class: "via" }, via))));
  }
  if (!chat.alive) rows.push(h("p", { class: "note" }, mineFromCustomer
    ? "你已删除该联系人，无法继续收发消息。"
    : "对方已不是你的联系人，消息将无法送达。"));
  return rows;
}
