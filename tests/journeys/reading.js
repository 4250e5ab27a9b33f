// What a screen reader, weak eyes and thumbs get of a page; evaluated in it, answers faults in words.
() => {
  // Every control without an accessible name, every reference that leads nowhere, every id used twice.
  const nameless = () => {
    const faults = [];
    const shown = (node) => node.checkVisibility() && !node.closest("[aria-hidden=true]");
    const words = (ids) => ids.split(/\s+/).map((id) => document.getElementById(id)?.textContent || "").join(" ");
    const name = (node) => [
      node.getAttribute("aria-label") || "",
      words(node.getAttribute("aria-labelledby") || ""),
      ...Array.from(node.labels || [], (label) => label.textContent),
      node.matches("input, textarea, select") ? "" : node.textContent,
      ...Array.from(node.querySelectorAll("img[alt]"), (image) => image.alt),
      node.getAttribute("title") || "",
    ].join(" ").trim();
    const controls = "a[href], button, input:not([type=hidden]), select, textarea, summary, dialog[open], "
      + "[role=tab], [role=tabpanel], [role=tablist], [role=group], [role=img], fieldset";
    for (const node of document.querySelectorAll(controls)) {
      if (shown(node) && !name(node)) faults.push(`no name: ${node.outerHTML.slice(0, 120)}`);
    }
    for (const image of document.images) if (!image.hasAttribute("alt")) faults.push(`no alt: ${image.src}`);
    for (const attribute of ["aria-labelledby", "aria-describedby", "aria-controls", "for"]) {
      for (const node of document.querySelectorAll(`[${attribute}]`)) {
        if (!shown(node)) continue;
        for (const id of node.getAttribute(attribute).trim().split(/\s+/)) {
          if (!document.getElementById(id)) faults.push(`${attribute} leads nowhere: ${id}`);
        }
      }
    }
    const ids = Array.from(document.querySelectorAll("[id]"), (node) => node.id);
    for (const id of new Set(ids)) if (ids.indexOf(id) !== ids.lastIndexOf(id)) faults.push(`twice: ${id}`);
    const tabs = document.querySelectorAll("[role=tab]");
    if (tabs.length && document.querySelectorAll("[role=tab][aria-selected=true]").length !== 1) faults.push("tabs");
    if (document.querySelectorAll("h1").length !== 1) faults.push("not one heading of the first order");
    return faults;
  };

  // The words on the page against what really lies behind them, as WCAG counts (AA: 4.5, large 3).
  const pale = () => {
    const parts = (colour) => (colour.match(/[\d.]+/g) || [0, 0, 0, 0]).map(Number);
    const over = (top, under) => {
      const alpha = top[3] ?? 1;
      return [0, 1, 2].map((i) => top[i] * alpha + under[i] * (1 - alpha));
    };
    const light = (colour) => {
      const [r, g, b] = colour.map((value) => {
        const share = value / 255;
        return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
      });
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (node) => {
      const layers = [];
      for (let at = node; at; at = at.parentElement) layers.unshift(parts(getComputedStyle(at).backgroundColor));
      return layers.reduce((under, top) => over(top, under), [255, 255, 255]);
    };
    const faults = [];
    for (const node of document.querySelectorAll("body *")) {
      const own = Array.from(node.childNodes).some((child) => child.nodeType === 3 && child.textContent.trim());
      if (!own || !node.checkVisibility() || node.closest(":disabled, .sr-only, script, style, template")) continue;
      const style = getComputedStyle(node);
      const ground = behind(node);
      const [a, b] = [light(over(parts(style.color), ground)), light(ground)].sort((x, y) => y - x);
      const size = parseFloat(style.fontSize);
      const least = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
      const ratio = (a + 0.05) / (b + 0.05);
      if (ratio < least) faults.push(`${ratio.toFixed(2)}: ${node.className} “${node.textContent.trim().slice(0, 20)}”`);
    }
    return faults;
  };

  // What is too small to be hit (WCAG 2.2: 24 px); boxes are hit by their labels.
  const small = () => Array.from(document.querySelectorAll(
    "button, summary, [role=tab], input:not([type=hidden]), textarea, select"))
    .filter((node) => node.checkVisibility() && !node.closest(".chip"))
    .map((node) => [node.getBoundingClientRect(), node])
    .filter(([box]) => box.width && (box.height < 24 || box.width < 24) && box.width > 2)
    .filter(([, node]) => !node.matches("[type=checkbox], [type=radio]"))
    .map(([box, node]) => `${Math.round(box.width)}×${Math.round(box.height)}: ${node.outerHTML.slice(0, 100)}`);

  const width = document.documentElement.scrollWidth - innerWidth;
  return [...nameless(), ...pale(), ...small(), ...(width > 0 ? [`${width} px too wide`] : [])];
}
