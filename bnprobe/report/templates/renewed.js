"use strict";
/* The words of a section of the next version of a page: they replace its own, and what is drawn or moved by hand stays as it is. */
const renewed = (() => {
  const KEPT = ".plot, .slider, select";
  const isKept = (node) => node.nodeType === Node.ELEMENT_NODE && (node.matches(KEPT) || node.querySelector(KEPT) !== null);
  /* The nodes before, between and after those that are kept, which are as many in both versions. */
  const around = (element) => Array.from(element.childNodes).reduce((groups, node) => {
    if (isKept(node)) groups.push([]);
    else groups.at(-1).push(node);
    return groups;
  }, [[]]);
  const told = (nodes) => nodes.map((node) => node.outerHTML ?? node.data).join("");
  function words(own, next) {
    if (own.matches(KEPT)) return;
    const kept = Array.from(own.children).filter(isKept);
    const groups = around(next);
    around(own).forEach((nodes, place) => {
      if (told(nodes) === told(groups[place])) return;
      nodes.forEach((node) => node.remove());
      if (place < kept.length) kept[place].before(...groups[place]);
      else own.append(...groups[place]);
    });
    Array.from(next.children).filter(isKept).forEach((one, place) => words(kept[place], one));
  }
  return { words };
})();
