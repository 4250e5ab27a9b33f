/* What pages do in the browser. Everything hangs on data attributes, so that pages carry no script:
   data-confirm="删除素材《…》？"  ask first, naming the object (form, button, link or htmx element);
                                   data-confirm-hint, data-confirm-label say more
   data-copy="text"                copy, or the text of the element itself when empty
   data-tabs                       a .tabs whose .tab[href="#panel"] switch panels on this page
   data-open="#dialog", data-close open and close a <dialog>; data-open="" inside htmx targets opens itself
   data-drawer="/address"          a link whose plain click opens that address in #drawer, beside the list
   data-sortable="shelf=…"         a list whose draggable items (data-id) change places; keys have buttons beside them
   data-chart='{…}'                an ECharts option drawn in the house's colours
   data-preview-of="#textarea"     shows what is typed, a bubble a paragraph; data-preview-name for {客户称呼}
   data-check-all="name"           ticks every checkbox of that name in the same form or table
   data-drop                       a box with a file field that takes dropped files
   data-by-kind                    a form whose parts data-kinds="link image" and data-source="bought" follow its selects
   data-bytes="link:128 mini_program:64" around a field: counts its bytes against what WeCom takes of that kind
   data-auto-submit                a form that is sent when one of its selects changes
   data-toast="text"               says it for two seconds; servers may send HX-Trigger: {"toast": "text"} */
"use strict";
(() => {
  const root = document.documentElement;
  const files = document.currentScript.dataset;  // addresses of what is fetched from here
  const find = (selector, from = document) => { try { return from.querySelector(selector); } catch { return null; } };
  const all = (selector, from = document) => Array.from(from.querySelectorAll(selector));
  const make = (name, cls, text) => {
    const made = document.createElement(name);
    if (cls) made.className = cls;
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const icon = (name) => {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("class", "icon");
    svg.setAttribute("aria-hidden", "true");
    const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
    use.setAttribute("href", `${files.icons}#${name}`);
    svg.append(use);
    return svg;
  };

  /* Menu: remembered before the first paint. */
  const kept = { get: (k) => { try { return localStorage.getItem(k); } catch { return null; } },
                 set: (k, v) => { try { localStorage.setItem(k, v); } catch { /* private window */ } } };
  if (kept.get("menu") === "narrow") root.classList.add("menu-narrow");
  const small = matchMedia("(max-width: 960px)");
  const toggleMenu = () => {
    if (small.matches) root.classList.toggle("menu-open");
    else kept.set("menu", root.classList.toggle("menu-narrow") ? "narrow" : "wide");
  };

  /* Toasts: two seconds; a fault stays longer, because it has to be read. */
  const MARKS = { green: "ok", blue: "info", orange: "warning", red: "warning" };
  const toast = (text, tone = "green") => {
    const place = find("#toasts");
    if (!place || !text) return;
    const made = make("div", `toast toast-${tone}`);
    made.append(icon(MARKS[tone] || "info"), make("span", "", text));
    raise(place);
    place.append(made);
    fade(made, tone === "red" ? 6000 : 2000);
  };
  const fade = (toasted, after) => setTimeout(() => toasted.remove(), after);
  const raise = (place) => { /* above an open dialog */
    if (!place.showPopover) return;
    place.popover = "manual";
    if (place.matches(":popover-open")) place.hidePopover();
    place.showPopover();
  };

  /* Asking first. */
  const ask = ({ title, hint, label, danger }) => new Promise((answer) => {
    const dialog = make("dialog", "dialog");
    const head = make("div", "dialog-ask");
    const words = make("div", "stack-tight");
    const say = make("p", "dialog-ask-title", title);
    say.id = "ask-title";
    dialog.setAttribute("aria-labelledby", say.id);
    words.append(say);
    if (hint) words.append(make("p", "muted", hint));
    head.append(icon("warning"), words);
    const foot = make("div", "dialog-foot");
    const no = make("button", "btn", "取消");
    const yes = make("button", danger ? "btn btn-danger btn-solid" : "btn btn-primary", label || "确定");
    no.type = yes.type = "button";
    no.addEventListener("click", () => dialog.close());
    yes.addEventListener("click", () => dialog.close("yes"));
    dialog.addEventListener("close", () => { dialog.remove(); answer(dialog.returnValue === "yes"); });
    foot.append(no, yes);
    dialog.append(head, foot);
    document.body.append(dialog);
    dialog.showModal();
    (danger ? no : yes).focus();
  });
  const question = (asked, trigger) => ({
    title: asked.dataset.confirm,
    hint: asked.dataset.confirmHint,
    label: asked.dataset.confirmLabel || (trigger || asked).textContent.trim().slice(0, 12),
    danger: (trigger || asked).classList.contains("btn-danger"),
  });
  const agreed = new WeakSet();

  document.addEventListener("submit", async (event) => {
    const form = event.target, trigger = event.submitter;
    const asked = trigger?.hasAttribute("data-confirm") ? trigger : form.hasAttribute("data-confirm") ? form : null;
    if (asked && !agreed.has(form)) {
      event.preventDefault();
      event.stopImmediatePropagation();
      if (await ask(question(asked, trigger))) {
        agreed.add(form);
        form.requestSubmit(trigger);
      }
      return;
    }
    agreed.delete(form);
    if (form.method === "post" && !form.matches("[hx-post], [data-hx-post]")) sendOnce(event, form, trigger);
  }, true);

  const sendOnce = (event, form, trigger) => {
    if (form.dataset.sending) { event.preventDefault(); return; }
    form.dataset.sending = "yes";
    trigger?.classList.add("is-busy");
    setTimeout(() => release(form), 4000);
  };
  const release = (form) => {
    delete form.dataset.sending;
    all(".is-busy", form).forEach((busy) => busy.classList.remove("is-busy"));
  };
  addEventListener("pageshow", () => all("form[data-sending]").forEach(release));

  document.addEventListener("htmx:confirm", async (event) => {
    const asker = event.detail.elt;
    const words = asker.matches("form") ? "" : asker.dataset.confirm || event.detail.question;
    if (!words) return;
    event.preventDefault();
    if (await ask({ ...question(asker), title: words })) event.detail.issueRequest(true);
  });

  /* Clicks. */
  const copy = async (source) => {
    const text = source.dataset.copy || source.textContent.trim();
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const field = make("textarea", "sr-only", text);
      (source.closest("dialog") || document.body).append(field);
      field.select();
      document.execCommand("copy");
      field.remove();
    }
    toast("已复制");
  };
  const follow = async (event, link) => {
    event.preventDefault();
    if (await ask(question(link))) location.assign(link.href);
  };
  const openDrawer = (event, link) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    link.focus(); /* where Esc leads back to */
    globalThis.htmx.ajax("GET", link.dataset.drawer, { target: "#drawer", swap: "innerHTML" });
  };
  const open = (dialog) => { if (dialog && !dialog.open) dialog.showModal(); };

  document.addEventListener("click", (event) => {
    const hit = (selector) => event.target.closest?.(selector);
    let found;
    all("details[data-menu][open]").forEach((menu) => { if (!menu.contains(event.target)) menu.open = false; });
    if (hit("[data-menu-toggle]")) return toggleMenu();
    if (root.classList.contains("menu-open") && !hit(".menu")) root.classList.remove("menu-open");
    if ((found = hit("[data-copy]"))) return void copy(found);
    if ((found = hit("a[data-confirm][href]"))) return void follow(event, found);
    if ((found = hit("a[data-drawer]"))) return openDrawer(event, found);
    if ((found = hit("[data-open]")) && found.dataset.open) return open(find(found.dataset.open));
    if ((found = hit("[data-close]"))) return void found.closest("dialog")?.close();
    if (hit("[data-back]")) return void (history.length > 1 ? history.back() : location.assign("/"));
    if ((found = hit("[data-tabs] .tab[href^='#']"))) { event.preventDefault(); return choose(found, true); }
    if ((found = hit("[data-toast]")) && !found.matches(".toast")) return toast(found.dataset.toast, found.dataset.tone);
    if (event.target.matches?.("dialog[open]") && outside(event)) event.target.close();
  });
  const outside = (event) => {
    const box = event.target.getBoundingClientRect();
    return event.clientX < box.left || event.clientX > box.right || event.clientY < box.top || event.clientY > box.bottom;
  };

  /* Tabs on one page, as the ARIA practices have them: arrows move, the panel follows. */
  const choose = (tab, keep) => {
    all(".tab", tab.closest("[data-tabs]")).forEach((each) => {
      const on = each === tab;
      each.setAttribute("aria-selected", String(on));
      each.tabIndex = on ? 0 : -1;
      const panel = find(each.getAttribute("href"));
      if (panel) panel.hidden = !on;
    });
    if (keep) history.replaceState(null, "", tab.getAttribute("href"));
    resizeCharts();
  };
  const setUpTabs = (bar) => {
    const tabs = all(".tab", bar);
    if (!tabs.length) return;
    bar.setAttribute("role", "tablist");
    tabs.forEach((tab) => {
      tab.setAttribute("role", "tab");
      tab.removeAttribute("aria-current");
      find(tab.getAttribute("href"))?.setAttribute("role", "tabpanel");
    });
    choose(tabs.find((tab) => tab.hash === location.hash) || tabs[0]);
    bar.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = tabs[(tabs.indexOf(document.activeElement) + step + tabs.length) % tabs.length];
      next.focus();
      choose(next, true);
    });
  };

  /* Keys. */
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      const form = event.target.closest?.("form");
      if (form) { event.preventDefault(); form.requestSubmit(find("button.btn-primary[type='submit'], button.btn-primary:not([type])", form) || undefined); }
    }
    if (event.key === "Escape") {
      root.classList.remove("menu-open");
      const menu = find("details[data-menu][open]");
      if (menu) { menu.open = false; find("summary", menu).focus(); }
    }
  });

  /* Forms. */
  document.addEventListener("change", (event) => {
    const box = event.target;
    if (box.matches("[data-check-all]")) {
      const within = box.closest("form, table") || document;
      all(`input[type="checkbox"][name="${CSS.escape(box.dataset.checkAll)}"]`, within).forEach((each) => { each.checked = box.checked; });
    }
    if (box.matches("select")) box.closest("form[data-auto-submit]")?.requestSubmit();
  });

  /* A form shows, and sends, only the fields of the kind chosen. */
  const fit = (form) => {
    const chosen = (name) => find(`[name="${name}"]`, form)?.value || "";
    all("[data-kinds], [data-source]", form).forEach((part) => {
      const [list, value] = part.dataset.kinds === undefined ? [part.dataset.source, chosen("source")] : [part.dataset.kinds, chosen("kind")];
      part.hidden = !list.split(" ").includes(value);
    });
    all("input, select, textarea", form).forEach((field) => {
      if (field.closest("[data-kinds], [data-source]")) field.disabled = Boolean(field.closest("[data-kinds][hidden], [data-source][hidden]"));
    });
  };
  const follows = (form) => {
    fit(form);
    form.addEventListener("change", (event) => { if (["kind", "source"].includes(event.target.name)) fit(form); });
  };

  /* WeCom counts bytes of UTF-8, where a Chinese character takes three. */
  const counted = (box) => {
    const field = find("input, textarea", box);
    const kinds = Object.fromEntries(box.dataset.bytes.split(" ").map((pair) => pair.split(":")));
    const said = make("span", "field-hint field-count");
    said.setAttribute("role", "status");
    field.closest(".field").append(said);
    const count = () => {
      const most = Number(kinds[find('[name="kind"]', field.form)?.value] || 0);
      const used = new TextEncoder().encode(field.value.trim()).length;
      said.hidden = !most;
      said.classList.toggle("is-over", used > most);
      said.textContent = used > most
        ? `已用 ${used} / ${most} 字节，请再删约 ${Math.ceil((used - most) / 3)} 个汉字`
        : `已用 ${used} / ${most} 字节，约可再写 ${Math.floor((most - used) / 3)} 个汉字`;
    };
    field.addEventListener("input", count);
    field.form.addEventListener("change", count);
    count();
  };

  const takesDrops = (box) => {
    const field = find("input[type='file']", box);
    const over = (on) => (event) => { event.preventDefault(); box.classList.toggle("drop-over", on); };
    box.addEventListener("dragover", over(true));
    box.addEventListener("dragleave", over(false));
    box.addEventListener("drop", (event) => {
      over(false)(event);
      if (!event.dataTransfer.files.length) return;
      if (event.target !== field) field.files = event.dataTransfer.files;
      field.dispatchEvent(new Event("change", { bubbles: true }));
    });
  };

  /* Dragging only says where an item goes: the form of the buttons beside it does the rest. */
  const sortable = (list) => {
    let moving = null;
    const over = (item) => all(".is-over", list).concat(item || []).forEach((each) => each.classList.toggle("is-over", each === item));
    list.addEventListener("dragstart", (event) => { moving = event.target.closest("[data-id]"); moving?.classList.add("is-dragged"); });
    list.addEventListener("dragend", () => { moving?.classList.remove("is-dragged"); over(null); moving = null; });
    list.addEventListener("dragover", (event) => { if (moving) { event.preventDefault(); over(event.target.closest("[data-id]")); } });
    list.addEventListener("drop", (event) => {
      const onto = event.target.closest("[data-id]");
      const form = moving && find("form[action*='/move']", moving);
      if (!form || !onto || onto === moving) return;
      event.preventDefault();
      find("[name='to']", form).value = String(all("[data-id]", list).indexOf(onto));
      form.requestSubmit();
    });
  };

  const preview = (shown) => {
    const source = find(shown.dataset.previewOf);
    if (!source) return;
    const place = find(".phone-body", shown) || shown;
    const name = shown.dataset.previewName || "王女士";
    const draw = () => {
      const parts = source.value.split(/\n\s*\n/).map((part) => part.trim()).filter(Boolean);
      place.replaceChildren(...parts.map((part) => make("p", "bubble", part.replaceAll(/\{(?:客户称呼|客户姓名|称呼|name)\}/g, name))));
      if (!parts.length) place.append(make("p", "phone-hint", "输入内容后，这里显示客户看到的样子"));
    };
    source.addEventListener("input", draw);
    draw();
  };

  /* Charts: the script is loaded only on pages that draw one. */
  const COLOURS = ["#0082ef", "#12a594", "#f5a524", "#7a6ff0", "#e5596b", "#8a919c", "#58b4fa", "#7cc48f"];
  const AXIS = {
    axisLine: { lineStyle: { color: "#d9dce1" } }, axisTick: { show: false },
    axisLabel: { color: "#5f6672", fontSize: 12, hideOverlap: true },
    splitLine: { lineStyle: { color: "#eceef1" } }, nameTextStyle: { color: "#5f6672" },
  };
  const house = () => ({
    color: COLOURS,
    textStyle: { fontFamily: getComputedStyle(document.body).fontFamily, color: "#1f2329" },
    categoryAxis: { ...AXIS, splitLine: { show: false } },
    valueAxis: { ...AXIS, axisLine: { show: false } },
    timeAxis: { ...AXIS, splitLine: { show: false } },
    line: { symbol: "circle", symbolSize: 6, lineStyle: { width: 2 }, smooth: false, showSymbol: false },
    bar: { barMaxWidth: 28, itemStyle: { borderRadius: 3 } },
    pie: { itemStyle: { borderColor: "#fff", borderWidth: 2 }, label: { color: "#1f2329" } },
    legend: { textStyle: { color: "#5f6672" }, itemWidth: 12, itemHeight: 8, icon: "roundRect" },
  });
  const COMMON = {
    animationDuration: 300,
    grid: { left: 8, right: 16, top: 40, bottom: 8, containLabel: true },
    tooltip: { trigger: "axis", confine: true },
    aria: { enabled: false },
  };
  const TOOLTIP = {
    renderMode: "richText", backgroundColor: "#fff", borderColor: "#d9dce1", borderWidth: 1, padding: [8, 12],
    textStyle: { color: "#1f2329", fontSize: 13 }, axisPointer: { lineStyle: { color: "#8a919c", type: "dashed" } },
  };
  let drawing;
  const library = () => (drawing ??= new Promise((ready, failed) => {
    const script = make("script");
    script.src = files.charts;
    script.onload = () => { globalThis.echarts.registerTheme("house", house()); ready(globalThis.echarts); };
    script.onerror = failed;
    document.head.append(script);
  }));
  const drawChart = async (place) => {
    if (place.dataset.drawn) return;
    place.dataset.drawn = "yes";
    try {
      const option = JSON.parse(place.dataset.chart);
      const echarts = await library();
      const chart = echarts.init(place, "house", { renderer: "canvas" });
      const radial = [option.series].flat().every((each) => ["pie", "funnel", "sankey", "gauge"].includes(each?.type));
      chart.setOption({ ...COMMON, ...option,
        grid: Array.isArray(option.grid) ? option.grid : { ...COMMON.grid, ...(option.legend || option.yAxis?.name ? {} : { top: 16 }), ...option.grid },
        tooltip: { ...(radial ? { trigger: "item", confine: true } : COMMON.tooltip), ...option.tooltip, ...TOOLTIP } });
      new ResizeObserver(() => chart.resize()).observe(place);
    } catch {
      place.replaceChildren(make("p", "empty muted", "图表没有画出来，请刷新页面重试。"));
    }
  };
  const resizeCharts = () => all("[data-chart]").forEach((place) => globalThis.echarts?.getInstanceByDom(place)?.resize());

  /* Every piece of page, at first and after each htmx swap. */
  const setUp = (part) => {
    const each = (selector, act) => {
      if (part.matches?.(selector)) act(part);
      all(selector, part).forEach(act);
    };
    each("[data-tabs]", setUpTabs);
    each("[data-chart]", drawChart);
    each("[data-preview-of]", preview);
    each("form[data-by-kind]", follows);
    each("[data-bytes]", counted);
    each("[data-drop]", takesDrops);
    each("[data-sortable]", sortable);
    each(".toast[data-toast]", (shown) => fade(shown, 2000));
    each("[data-open='']", (inside) => open(inside.closest("dialog")));
  };

  document.addEventListener("DOMContentLoaded", () => {
    setUp(document);
    document.body.addEventListener("htmx:load", (event) => { if (event.detail.elt !== document.body) setUp(event.detail.elt); });
    document.body.addEventListener("toast", (event) => toast(event.detail?.value, event.detail?.tone));
    document.body.addEventListener("htmx:responseError", (event) => {
      const { status, responseText } = event.detail.xhr;
      const plain = responseText && responseText.length < 300 && !responseText.startsWith("<");
      toast(plain ? responseText : `操作没有完成（${status}），请稍后重试。`, "red");
    });
    document.body.addEventListener("htmx:sendError", ({ detail }) => toast(detail.requestConfig?.verb === "get" ? "网络不通，请检查网络后重试。" : "网络不通，操作没有提交。请检查网络后重试。", "red"));
    const here = new URL(location.href);
    if (here.searchParams.has("done")) {
      here.searchParams.delete("done");
      history.replaceState(null, "", here);
    }
    find("form[method='post'] .field-bad .input")?.focus();
  });

  globalThis.siyu = { toast, ask };
})();
