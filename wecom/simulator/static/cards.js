// Template cards on the member's desktop, with everything on them that can be pressed.

import { h, icon } from "./dom.js";

// The card as an article's content; `tell` delivers a press: {key, selections, menu}.
export function templateCard(card, tell) {
  const chosen = new Map(card.questions.map((question) => [question.key, new Set(question.chosen)]));
  const press = (key, menu = false) => {
    const selections = menu ? {} : Object.fromEntries([...chosen].map(([question, options]) => [question, [...options]]));
    return tell({ key, selections, menu });
  };
  return h("div", { class: "tcard" },
    head(card, press),
    card.image ? h("img", { class: "tcard-image", src: card.image, alt: "" }) : null,
    card.title ? h("h3", {}, card.title) : null,
    card.desc ? h("p", { class: "tcard-desc" }, card.desc) : null,
    card.emphasis.title ? h("p", { class: "tcard-big" }, card.emphasis.title, card.emphasis.desc ? h("small", {}, card.emphasis.desc) : null) : null,
    aside(card.aside),
    card.quote.quote_text || card.quote.title ? h("blockquote", {}, card.quote.title ? h("b", {}, card.quote.title) : null, card.quote.quote_text) : null,
    card.text ? h("p", { class: "text" }, card.text) : null,
    card.paragraphs.map((row) => h("p", { class: "tcard-paragraph" }, h("b", {}, row.title), row.desc)),
    rows(card.rows),
    card.questions.map((question) => ask(question, chosen.get(question.key), Boolean(card.replaced))),
    foot(card, press));
}

function head(card, press) {
  if (!card.source && !card.menu.length) return null;
  return h("header", { class: "tcard-head" }, h("span", {}, card.source),
    card.menu.length ? h("details", { class: "tcard-menu" },
      h("summary", { "aria-label": "更多操作", title: "更多操作" }, icon("more")),
      h("div", {}, card.menu.map((action) => h("button", { type: "button", onclick: () => press(action.key, true) }, action.text)))) : null);
}

function aside(part) {
  if (!part.title && !part.desc) return null;
  return h("div", { class: "tcard-aside" }, part.image_url ? h("img", { src: part.image_url, alt: "" }) : null,
    h("span", {}, h("b", {}, part.title || ""), part.desc || ""));
}

function rows(list) {
  if (!list.length) return null;
  return h("dl", {}, list.flatMap((row) => [h("dt", {}, row.keyname),
    h("dd", {}, row.url ? h("a", { href: row.url, target: "_blank", rel: "noopener" }, row.value || "查看") : row.value || "")]));
}

function ask(question, picked, closed) {
  const off = closed || question.disabled;
  if (!question.shown) {
    const select = h("select", { "aria-label": question.title || "请选择", disabled: off,
      onchange: (event) => { picked.clear(); if (event.target.value) picked.add(event.target.value); } },
      h("option", { value: "" }, "请选择"),
      question.options.map((option) => h("option", { value: option.id, selected: picked.has(option.id) }, option.text)));
    return h("label", { class: "tcard-select" }, h("span", {}, question.title), select);
  }
  return h("fieldset", { class: "tcard-options", disabled: off }, question.options.map((option) => h("label", {},
    h("input", { type: question.several ? "checkbox" : "radio", name: question.key, checked: picked.has(option.id),
      onchange: (event) => {
        if (!question.several) picked.clear();
        if (event.target.checked) picked.add(option.id); else picked.delete(option.id);
      } }), option.text)));
}

function foot(card, press) {
  const buttons = [...card.buttons, ...(card.submit ? [{ ...card.submit, style: 1 }] : [])];
  const links = card.jumps.map((jump) => h("a", { href: jump.url, target: "_blank", rel: "noopener" }, jump.title));
  if (card.url) links.push(h("a", { href: card.url, target: "_blank", rel: "noopener" }, "查看详情"));
  if (!buttons.length && !links.length) return null;
  const shown = card.replaced
    ? [h("span", { class: "tcard-done" }, card.replaced)]
    : buttons.map((button) => button.type === 1
      ? h("a", { class: "tcard-button", href: button.url, target: "_blank", rel: "noopener" }, button.text)
      : h("button", { type: "button", class: `tcard-button style-${button.style || 1}`, onclick: () => press(button.key) }, button.text));
  return h("footer", { class: "tcard-foot" }, buttons.length ? shown : null, links);
}
