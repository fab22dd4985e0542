"use strict";
/* Room for names along an axis, measured before a figure is drawn: plotly draws it a second time once it has found what they take. */
const makeRoom = (() => {
  const pen = document.createElement("canvas").getContext("2d");
  function makeRoom(layout) {
    const { margin, font } = layout;
    for (const [name, axis] of Object.entries(layout).filter(([key, one]) => /^[xy]axis/.test(key) && one.automargin && one.ticktext)) {
      pen.font = `${axis.tickfont?.size ?? font.size}px ${font.family}`;
      const widest = Math.max(0, ...axis.ticktext.map((text) => pen.measureText(plain(String(text))).width));
      /* Beside the names: ticks, gaps and, below, the axis' title. */
      if (name.startsWith("y") && !axis.title?.text) margin.l = Math.max(margin.l, Math.ceil(widest) + 19);
      else if (name.startsWith("x") && axis.title?.text && Number.isFinite(axis.tickangle)) margin.b = Math.max(margin.b, Math.ceil(widest * Math.abs(Math.sin((axis.tickangle * Math.PI) / 180))) + 44);
      else continue;
      axis.automargin = false;
    }
  }
  /* What plotly makes of a text that was escaped for it. */
  const plain = (text) => text.replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&");
  return makeRoom;
})();
