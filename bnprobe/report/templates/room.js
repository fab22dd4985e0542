"use strict";
/* Room for names along an axis, measured before a figure is drawn: plotly draws it a second time once it has found what they take. They
   take at most half of what the other margin leaves, and lose their middle beyond that, so that there is a figure beside them. */
const makeRoom = (() => {
  const pen = document.createElement("canvas").getContext("2d");
  const whole = new WeakMap(); /* of an axis: its names and the margin, before there was any room to make */
  /* Returns the width of the figure that it was made for; null where no room depends on it. */
  function makeRoom(layout, width) {
    let made = null;
    const { margin, font, height } = layout;
    for (const [name, axis] of Object.entries(layout).filter(([key, one]) => /^[xy]axis/.test(key) && one.ticktext && (one.automargin || whole.has(one)))) {
      pen.font = `${axis.tickfont?.size ?? font.size}px ${font.family}`;
      if (!whole.has(axis)) whole.set(axis, { names: axis.ticktext, l: margin.l, b: margin.b });
      const { names, l, b } = whole.get(axis);
      const fitted = (most) => {
        axis.ticktext = names.map((text) => elided(text, most));
        return Math.max(0, ...axis.ticktext.map(lengthOf));
      };
      /* Beside the names: ticks, gaps and, below, the axis' title. */
      if (name.startsWith("y") && !axis.title?.text) margin.l = Math.max(l, Math.ceil(fitted((width - margin.r) / 2 - 19)) + 19);
      else if (name.startsWith("x") && axis.title?.text && Number.isFinite(axis.tickangle)) {
        const rise = Math.abs(Math.sin((axis.tickangle * Math.PI) / 180)) || 1;
        margin.b = Math.max(b, Math.ceil(fitted(((height - margin.t) / 2 - 44) / rise) * rise) + 44);
      } else continue;
      axis.automargin = false;
      made = width;
    }
    return made;
  }
  const lengthOf = (text) => pen.measureText(plain(String(text))).width;
  function elided(text, most) {
    if (lengthOf(text) <= most) return text;
    const letters = Array.from(plain(String(text)));
    for (let kept = letters.length - 1; kept > 2; kept -= 1) {
      const head = Math.floor(kept / 3);
      const shorter = [...letters.slice(0, head), "…", ...letters.slice(head - kept)].join("");
      if (pen.measureText(shorter).width <= most) return escaped(shorter);
    }
    return "…";
  }
  /* What plotly makes of a text that was escaped for it, and back. */
  const plain = (text) => text.replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&");
  const escaped = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  return makeRoom;
})();
