// The member's chat with the robot (智能机器人) on the desktop.

import { templateCard } from "./cards.js";
import { act, face, h, moment as when, toast } from "./dom.js";

export function robotChat(view, member, done) {
  const box = h("textarea", { rows: "2", maxlength: "2000", placeholder: "向智能机器人提问，按 Enter 发送", "aria-label": "向智能机器人提问", "data-draft": "question" });
  const ask = async () => {
    const text = box.value.trim();
    if (!text) return;
    box.value = "";
    const told = await act("control/ask_robot", { userid: member, text });
    if (told?.error) toast(`机器人未能回复：${told.error}`);
    done();
  };
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); ask(); }
  });
  return [
    h("div", { class: "panel-head" }, h("h2", {}, "智能机器人"), h("p", {}, "仅供内部成员使用，客户看不到这里的内容。")),
    view.turns.length ? view.turns.map((turn) => turnRows(turn, member, done)) : h("p", { class: "empty" }, "还没有对话。向机器人提一个问题试试。"),
    h("form", { class: "task own-moment", onsubmit: (event) => { event.preventDefault(); ask(); } }, box, h("button", { type: "submit", class: "primary" }, "发送")),
  ];
}

function turnRows(turn, member, done) {
  const press = async ({ key, selections }) => {
    const told = await act("control/robot_press", { userid: member, key, selections, task_id: turn.card.task_id, card_type: turn.card.kind });
    if (told) toast("已提交");
    done();
  };
  const judge = async (type) => {
    if (await act("control/robot_feedback", { userid: member, id: turn.feedback, type })) toast("感谢反馈");
  };
  const said = (words) => h("div", { class: "row" }, face("机"), h("div", { class: "said" }, h("div", { class: "bubble" }, words)));
  return h("div", { class: "turn" },
    h("p", { class: "note" }, when(turn.at)),
    turn.kind === "message" ? h("div", { class: "row mine" }, face("我"), h("div", { class: "said" }, h("div", { class: "bubble" }, turn.text))) : null,
    turn.content || turn.waiting ? said(turn.content || "正在思考…") : null,
    turn.card ? h("div", { class: "row" }, face("机"), templateCard(turn.card, press)) : null,
    turn.error ? h("p", { class: "note" }, `未能回复：${turn.error}`) : null,
    turn.later.map(said),
    turn.feedback && !turn.waiting ? h("p", { class: "judge" },
      h("button", { type: "button", class: "ghost", onclick: () => judge(1) }, "有帮助"), h("button", { type: "button", class: "ghost", onclick: () => judge(2) }, "没帮助")) : null);
}
