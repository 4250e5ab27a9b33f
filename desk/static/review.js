/* Commenting on what is selected: words marked in [data-commented] become a place of #f-place.
   Without a mouse the same field offers every sentence. */
"use strict";
(() => {
  const text = document.querySelector("[data-commented]");
  const places = document.querySelector("#f-place");
  if (!text || !places) return;

  /* Places count characters as the server does, not the two halves of rare ones. */
  const before = (node, at) => {
    const range = document.createRange();
    range.setStart(text, 0);
    range.setEnd(node, at);
    return Array.from(range.toString()).length;
  };
  const selected = () => {
    const selection = document.getSelection();
    if (!selection || selection.isCollapsed || !selection.rangeCount) return null;
    const range = selection.getRangeAt(0);
    if (!text.contains(range.startContainer) || !text.contains(range.endContainer)) return null;
    return { start: before(range.startContainer, range.startOffset), end: before(range.endContainer, range.endOffset), words: range.toString() };
  };
  const offer = ({ start, end, words }) => {
    let option = places.querySelector("[data-picked]");
    if (!option) {
      option = document.createElement("option");
      option.dataset.picked = "yes";
      places.prepend(option);
    }
    option.value = `${text.dataset.commented}:${start}:${end}`;
    option.textContent = `选中：${words.length > 18 ? `${words.slice(0, 18)}…` : words}`;
    option.selected = true;
  };
  document.addEventListener("selectionchange", () => {
    const found = selected();
    if (found && found.words.trim()) offer(found);
  });
})();
