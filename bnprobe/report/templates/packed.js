"use strict";
/* The inverse of packing.py, and heat maps as plotly draws them fast. */
const packed = (() => {
  function bytes(text) {
    const letters = atob(text);
    const found = new Uint8Array(letters.length);
    for (let place = 0; place < letters.length; place += 1) found[place] = letters.charCodeAt(place);
    return found;
  }
  const kinds = { u1: Uint8Array, u2: Uint16Array, u4: Uint32Array };
  const numbers = (type, text) => new kinds[type](bytes(text).buffer); /* all that run a browser are little-endian */
  /* An array as plotly's own library for Python writes it, or as it stands. */
  const written = { i1: Int8Array, u1: Uint8Array, i2: Int16Array, u2: Uint16Array, i4: Int32Array, u4: Uint32Array, f4: Float32Array, f8: Float64Array };
  const valuesOf = (array) => Array.from(array.bdata === undefined ? array : new written[array.dtype](bytes(array.bdata).buffer));
  /* Levels to values. */
  function unpackLevels({ shape: [rows, columns], type, levels, low, step }) {
    const values = numbers(type, levels);
    return Array.from({ length: rows }, (_, row) => {
      const line = new Float32Array(columns);
      for (let column = 0; column < columns; column += 1) {
        const level = values[row * columns + column];
        line[column] = level === 0 ? NaN : low + (level - 1) * step;
      }
      return line;
    });
  }
  /* The same of values whose logarithms were packed, beyond what four bytes can hold. */
  function unpackHeights(course) {
    const lines = unpackLevels(course);
    return course.logarithmic ? lines.map((line) => Float64Array.from(line, (value) => 10 ** value)) : lines;
  }
  /* One label a row or column to one a cell, and what a cell adds to its column's least number. */
  function unpackGrid(grid) {
    if (!grid || Array.isArray(grid)) return grid;
    if (grid.added !== undefined) {
      const { least, type, added } = grid;
      const values = numbers(type, added);
      return Array.from({ length: values.length / least.length }, (_, row) => least.map((one, column) => one + values[row * least.length + column]));
    }
    if (grid.columns !== undefined) return grid.each.map((label) => new Array(grid.columns).fill(label));
    return new Array(grid.rows).fill(grid.each);
  }
  function unpack(trace) {
    if (trace.type !== "heatmap") return trace;
    const unpacked = { ...trace, z: unpackLevels(trace.z), customdata: unpackGrid(trace.customdata), text: unpackGrid(trace.text) };
    if (!trace.hovertemplate?.includes(POWER)) return unpacked;
    return { ...unpacked, hovertemplate: trace.hovertemplate.replace(POWER, "%{hovertext}"), hovertext: powers(unpacked.z) };
  }
  /* Whoever points at a cell reads its value and not its logarithm. It is written when it is asked for: most cells never are. */
  const POWER = "10^%{z:.2f}";
  const powers = (z) => z.map((line) => new Proxy(new Array(line.length), {
    get: (row, column) => (typeof column === "string" && Object.hasOwn(line, column) ? power(line[column]) : row[column]),
  }));
  function power(exponent) {
    if (exponent > -4 && exponent < 5) return String(Number((10 ** exponent).toPrecision(3)));
    let whole = Math.floor(exponent);
    let digits = (10 ** (exponent - whole)).toFixed(1);
    if (digits === "10.0") [digits, whole] = ["1.0", whole + 1];
    return `${digits}×10<sup>${String(whole).replace("-", "−")}</sup>`;
  }

  function isEven(edges) {
    const width = (edges.at(-1) - edges[0]) / (edges.length - 1);
    return edges.every((edge, place) => Math.abs(edge - edges[0] - place * width) < 0.01 * width);
  }
  /* Columns of different widths are a rectangle a cell to plotly; columns of one width are one picture, drawn many times faster. So a map
     is drawn in columns of the screen's: each shows the largest value of those that it covers, and names the step of that one. */
  function onScreen(trace, range, pixels) {
    if (trace.type !== "heatmap" || !trace.x || trace.x.length !== trace.z[0].length + 1 || isEven(trace.x)) return null;
    const edges = trace.x;
    const from = Math.max(edges[0], Math.min(...range));
    const to = Math.min(edges.at(-1), Math.max(...range));
    if (!(to > from)) return null;
    const width = (to - from) / pixels;
    const firsts = new Int32Array(pixels);
    const lasts = new Int32Array(pixels);
    for (let pixel = 0, column = 0; pixel < pixels; pixel += 1) {
      while (edges[column + 1] <= from + pixel * width) column += 1;
      firsts[pixel] = column;
      let last = column;
      while (last + 1 < edges.length - 1 && edges[last + 1] < from + (pixel + 1) * width) last += 1;
      lasts[pixel] = last;
    }
    const z = [];
    const text = trace.text && [];
    trace.z.forEach((line, row) => {
      const shown = new Float32Array(pixels);
      const words = text && new Array(pixels);
      for (let pixel = 0; pixel < pixels; pixel += 1) {
        let at = firsts[pixel];
        for (let column = at + 1; column <= lasts[pixel]; column += 1) if (!(line[at] >= line[column]) && line[column] === line[column]) at = column;
        shown[pixel] = line[at];
        if (text) words[pixel] = trace.text[row][at];
      }
      z.push(shown);
      if (text) text.push(words);
    });
    const customdata = trace.customdata?.map((line) => new Array(pixels).fill(line[0]));
    return { x: Array.from({ length: pixels + 1 }, (_, pixel) => from + pixel * width), z, text, customdata, hovertext: trace.hovertext && powers(z) };
  }
  return { unpack, unpackHeights, onScreen, valuesOf, power };
})();
