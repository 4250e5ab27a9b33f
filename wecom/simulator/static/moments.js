// Moments: the member's tasks on the desktop, the stream on the customer's phone.

import { act, face, h, icon, moment as when, toast } from "./dom.js";

const kinds = { image: ["图片", "picture"], video: ["视频", "file"], link: ["链接", "link"] };

function attached(rows) {
  const pictures = rows.filter((row) => row.msgtype === "image").length;
  const others = rows.filter((row) => row.msgtype !== "image");
  return [
    pictures ? h("p", { class: "attached" }, icon("picture"), `图片 ${pictures} 张`) : null,
    ...others.map((row) => h("p", { class: "attached" }, icon(kinds[row.msgtype]?.[1] || "file"),
      row.url ? h("a", { href: row.url, target: "_blank", rel: "noopener" }, row.title || row.url) : row.title || kinds[row.msgtype]?.[0] || "附件")),
  ];
}

function below(row) {
  if (!row.likes.length && !row.comments.length) return null;
  return h("div", { class: "below" },
    row.likes.length ? h("p", { class: "likes" }, icon("heart"), row.likes.join("、")) : null,
    row.comments.map((comment) => h("p", {}, h("b", {}, `${comment.name}：`), comment.text)));
}

// The panel 朋友圈 on the member's desktop.
export function momentTasks(rows, member, done) {
  const box = h("textarea", { rows: "2", maxlength: "2000", placeholder: "分享给我的全部客户", "aria-label": "朋友圈内容", "data-draft": "moment" });
  const own = async (event) => {
    event.preventDefault();
    const text = box.value.trim();
    box.value = "";
    if (text && await act("control/own_moment", { userid: member, text })) toast("已发表");
    done();
  };
  return [
    h("div", { class: "panel-head" }, h("h2", {}, "客户朋友圈"), h("p", {}, "企业创建的朋友圈须由你确认发表后，客户才能看到。")),
    h("form", { class: "task own-moment", onsubmit: own }, box, h("button", { type: "submit", class: "ghost" }, "发表个人朋友圈")),
    rows.length ? rows.map((row) => task(row, member, done))
      : h("p", { class: "empty" }, "暂无朋友圈任务。企业下发的任务会出现在这里，等待你确认发表。"),
  ];
}

function task(row, member, done) {
  const publish = async (event) => {
    event.target.disabled = true;
    if (await act("control/publish_moment", { moment_id: row.id, userid: member })) toast("已发表");
    done();
  };
  const [label, tone] = row.published_at ? ["已发表", "green"] : row.cancelled ? ["企业已停止", "grey"] : ["待发表", "orange"];
  return h("article", { class: "task", "data-moment": row.id },
    h("header", {}, h("b", {}, row.own ? "个人朋友圈" : "企业朋友圈任务"), h("span", { class: "meta" }, when(row.at)), h("span", { class: `tag ${tone}` }, label)),
    row.text ? h("p", { class: "text" }, row.text) : null,
    attached(row.attachments),
    h("p", { class: "meta" }, `可见客户 ${row.customers} 位`),
    below(row),
    row.published_at ? h("footer", {}, h("span", { class: "meta" }, `${when(row.published_at)} 发表，点赞 ${row.likes.length}，评论 ${row.comments.length}`))
      : row.cancelled ? null : h("footer", {}, h("button", { type: "button", class: "primary", onclick: publish }, "发表")));
}

// The customer's stream on the phone.
export function momentStream(rows, customer, corp, done) {
  if (!rows.length) return [h("p", { class: "empty" }, "还没有朋友圈动态。客户经理发表后会出现在这里。")];
  const react = async (row, text) => {
    await act("control/react_to_moment", { moment_id: row.id, userid: row.userid, external_userid: customer, text });
    done();
  };
  return rows.map((row) => {
    const box = h("input", { maxlength: "200", placeholder: "评论", "aria-label": "评论", "data-draft": row.id });
    const comment = (event) => {
      event.preventDefault();
      const text = box.value.trim();
      box.value = "";
      if (text) react(row, text);
    };
    return h("article", { class: "moment" }, face(row.member),
      h("div", {},
        h("b", { class: "moment-name" }, row.member, h("span", { class: "at-corp" }, `@${corp}`)),
        row.text ? h("p", { class: "text" }, row.text) : null,
        attached(row.attachments),
        h("div", { class: "moment-bar" }, h("time", {}, when(row.at)),
          h("button", { type: "button", class: "plain", title: row.liked ? "已赞" : "赞", "aria-label": row.liked ? "已赞" : "赞", "aria-pressed": row.liked ? "true" : "false", disabled: row.liked, onclick: () => react(row, "") }, icon("heart"))),
        below(row),
        h("form", { class: "moment-comment", onsubmit: comment }, box, h("button", { type: "submit", class: "add" }, "发送"))));
  });
}
