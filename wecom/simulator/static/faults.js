// The page of faults and time.

import { act, call, el, h, second, show, toast } from "./dom.js";
import { eventCode, eventName, OUTCOMES, SUFFERED } from "./names.js";

const LOOK_MS = 2000;
const KINDS = ["drop", "duplicate", "reorder", "delay"];
const ANSWERS = { hang: "不返回", half: "返回一半后断开", lost: "已执行，结果丢失", reset: "未执行，连接重置" };
const DATE = new Intl.DateTimeFormat("zh-CN", { timeZone: "Asia/Shanghai", year: "numeric", month: "2-digit", day: "2-digit" });
const WEEKDAY = new Intl.DateTimeFormat("zh-CN", { timeZone: "Asia/Shanghai", weekday: "short" });

const number = (form, name) => Number(form.elements[name].value || 0);
const code = (row) => (row.errcode === null ? (row.status ? `HTTP ${row.status}` : "无应答") : String(row.errcode));
const answerName = (answer) => ANSWERS[answer] || (typeof answer === "string" ? `HTTP ${answer}` : `错误码 ${answer}`);

const faultName = (fault) => ANSWERS[fault] || (/^5\d\d$/.test(fault) ? `HTTP ${fault}` : `错误码 ${fault}`);

class Faults {
  constructor() {
    // Somebody may have typed before this script came.
    this.touched = new Set([...document.querySelectorAll("input")].filter((field) => field.value !== field.defaultValue));
    document.addEventListener("input", ({ target }) => this.touched.add(target));
    for (const button of document.querySelectorAll("[data-forward]")) button.addEventListener("click", () => this.forward(Number(button.dataset.forward)));
    el("clock-back").addEventListener("click", () => this.forward(-this.view.ahead_seconds));
    this.onSubmit("callbacks", (form) => this.callbacks(form));
    this.onSubmit("lines", (form) => this.do("control/lines", { lines: number(form, "lines"), retry_seconds: number(form, "retry_seconds") }, "已保存"));
    this.onSubmit("api", (form) => this.api(form));
    this.onSubmit("rules", (form) => this.rules(form));
    el("release").addEventListener("click", () => this.do("control/release", {}, "已放行"));
    el("clear").addEventListener("click", () => this.do("control/faults", { clear: true }, "已清除全部故障"));
    el("token").addEventListener("click", () => this.do("control/invalidate_token", {}, "令牌已失效，下一次调用返回 40014"));
    el("race").addEventListener("click", () => this.do("control/faults", { welcome_races: 1 }, "下一次欢迎语返回 41096"));
    new EventSource("play/news").onmessage = () => this.refresh();
    setInterval(() => this.refresh(), LOOK_MS);
    this.refresh();
  }

  onSubmit(id, run) {
    el(id).addEventListener("submit", (event) => { event.preventDefault(); run(event.target); });
  }

  async do(path, wish, words) {
    if (await act(path, wish)) toast(words);
    this.refresh();
  }

  forward(seconds) { this.do("control/clock", { forward_seconds: seconds }, "平台时间已调整"); }

  async callbacks(form) {
    const planned = { copies: number(form, "copies"), delay_seconds: number(form, "delay_seconds") };
    for (const kind of KINDS) {
      planned[kind] = number(form, kind);
      planned[`${kind}_rate`] = number(form, `${kind}_rate`) / 100;
      form.elements[kind].value = 0;
    }
    if (form.elements.seed.value) planned.seed = number(form, "seed");
    await this.do("control/faults", { callbacks: planned }, "回调故障已生效");
  }

  async api(form) {
    const fault = { path: form.elements.path.value.trim(), answer: form.elements.answer.value };
    if (form.elements.rate.value) fault.rate = number(form, "rate") / 100;
    else fault.times = number(form, "times");
    await this.do("control/faults", { api: [fault] }, "接口故障已添加");
  }

  async rules(form) {
    const { settings } = this.view;
    const addresses = form.elements.trusted_ips.value.split(/[,，\s]+/).filter(Boolean);
    await this.do("control/settings", {
      mass_send_quota: form.elements.mass_send_quota.value,
      calls_per_minute: { ...settings.calls_per_minute, "": number(form, "per_minute") },
      calls_at_once: number(form, "calls_at_once"),
      dispatch_seconds: number(form, "dispatch_seconds"),
      group_lag_seconds: number(form, "group_lag_seconds"),
      trusted_ips: addresses,
      ask_consent: form.elements.ask_consent.checked,
    }, "平台规则已保存");
    this.filled = false;
    this.touched.clear();
    this.refresh();
  }

  async refresh() {
    if (this.busy) return;
    this.busy = true;
    try {
      this.view = await call("faults/view");
      this.render(this.view);
    } finally {
      this.busy = false;
    }
  }

  put(field, value) { if (!this.touched.has(field)) field.value = value; }

  render(view) {
    const now = new Date(view.now);
    el("now").textContent = `${DATE.format(now).replaceAll("/", "-")} ${WEEKDAY.format(now)} ${second(view.now)}`;
    const hours = view.ahead_seconds / 3600;
    el("ahead").textContent = hours ? `目前比产品${hours > 0 ? "快" : "慢"} ${Math.abs(hours) >= 48 ? `${(Math.abs(hours) / 24).toFixed(1)} 天` : `${Math.abs(hours).toFixed(2)} 小时`}。` : "";
    el("clock-back").hidden = !view.ahead_seconds;
    el("late").textContent = view.late ? `（${view.late} 条）` : "";
    el("release").disabled = !view.late;
    if (!this.filled) this.fill(view);
    this.renderPlans(view);
    this.renderDeliveries(view);
    this.renderCalls(view);
  }

  // Forms are filled once, and what was typed before stays: nothing changes under the fingers.
  fill(view) {
    this.filled = true;
    const { settings, faults } = view;
    const rules = el("rules").elements;
    this.put(rules.mass_send_quota, settings.mass_send_quota);
    this.put(rules.per_minute, settings.calls_per_minute[""] ?? 0);
    this.put(rules.trusted_ips, settings.trusted_ips.join(", "));
    if (!this.touched.has(rules.ask_consent)) rules.ask_consent.checked = settings.ask_consent;
    for (const name of ["calls_at_once", "dispatch_seconds", "group_lag_seconds"]) this.put(rules[name], settings[name]);
    const planned = el("callbacks").elements;
    for (const kind of KINDS) this.put(planned[`${kind}_rate`], Math.round(faults.callbacks[`${kind}_rate`] * 100));
    this.put(el("lines").elements.lines, view.lines);
    this.put(el("lines").elements.retry_seconds, view.retry_seconds);
    const paths = [...new Set(view.counts.map((row) => row.path))];
    el("paths").replaceChildren(...paths.map((path) => h("option", { value: path })));
  }

  renderPlans(view) {
    const { callbacks, api, welcome_races: races } = view.faults;
    const words = KINDS.flatMap((kind) => [
      callbacks[kind] ? `接下来${SUFFERED[kind]} ${callbacks[kind]} 条` : null,
      callbacks[`${kind}_rate`] ? `${SUFFERED[kind]} ${Math.round(callbacks[`${kind}_rate`] * 100)}%` : null,
    ]).filter(Boolean);
    el("callback-state").textContent = words.join("，") || "正常";
    const active = api.filter((fault) => fault.times);
    show(el("planned"), ["planned", active, races, view.blocked], () => [
      ...active.map((fault) => h("li", {}, h("code", {}, fault.path || "全部接口"), h("span", {}, answerName(fault.answer)),
        h("small", {}, fault.rate ? `${Math.round(fault.rate * 100)}% 的调用` : fault.times < 0 ? "直到清除" : `还有 ${fault.times} 次`))),
      races ? h("li", {}, h("code", {}, "send_welcome_msg"), h("span", {}, "错误码 41096"), h("small", {}, `还有 ${races} 次`)) : null,
      ...Object.entries(view.blocked).map(([path, until]) => h("li", {}, h("code", {}, path), h("span", {}, "已限频 45009"), h("small", {}, `至 ${second(until)}`))),
      active.length || races || Object.keys(view.blocked).length ? null : h("li", { class: "quiet" }, "当前没有接口故障。"),
    ]);
  }

  renderDeliveries(view) {
    el("outcomes").textContent = Object.entries(view.outcomes).map(([outcome, count]) => `${OUTCOMES[outcome][0]} ${count}`).join(" · ");
    show(el("deliveries"), view.deliveries, () => view.deliveries.length ? view.deliveries.map((row) => this.delivery(row))
      : [h("p", { class: "empty" }, "还没有回调。在模拟器里以客户身份发一条消息试试。")]);
  }

  delivery(row) {
    const [label, tone] = OUTCOMES[row.outcome];
    const people = [row.member, row.customer].filter(Boolean).join(" · ");
    const suffered = row.suffered.map((kind) => SUFFERED[kind]).join("、");
    return h("div", { class: "entry" }, h("time", {}, second(row.queued_at)),
      h("div", {}, h("b", {}, eventName(row)), h("code", {}, eventCode(row)),
        h("small", {}, [people, suffered && `故障：${suffered}`].filter(Boolean).join("　"))),
      h("div", { class: "right" }, h("span", { class: `tag ${tone}` }, label), row.answers.length > 1 ? h("small", {}, `推送 ${row.answers.length} 次`) : null));
  }

  renderCalls(view) {
    const byCode = new Map();
    for (const row of view.counts) byCode.set(code({ ...row, status: 0 }), (byCode.get(code({ ...row, status: 0 })) || 0) + row.count);
    el("counts").textContent = [...byCode].map(([name, count]) => `${name === "0" ? "成功" : name} ${count}`).join(" · ");
    show(el("calls"), view.calls, () => view.calls.length ? view.calls.map((row) => h("div", { class: "entry" },
      h("time", {}, second(row.at)),
      h("div", {}, h("code", { class: "path" }, row.path), row.fault ? h("small", {}, `故障：${faultName(row.fault)}`) : null),
      h("div", { class: "right" }, h("span", { class: `tag ${row.errcode === 0 ? "green" : "red"}` }, row.errcode === 0 ? "成功" : code(row)))))
      : [h("p", { class: "empty" }, "产品还没有调用过平台接口。")]);
  }
}

new Faults();
