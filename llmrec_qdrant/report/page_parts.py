"""The style sheet and the script of the report."""

from __future__ import annotations

__all__ = ["SCRIPT", "STYLE"]

STYLE = """
body{margin:0;background:#f6f7f9;color:#25303b;font:15px/1.5 system-ui,sans-serif}
header,main{max-width:1160px;margin:0 auto;padding:0 20px}
h1{font-size:26px;margin:28px 0 4px}h2{font-size:20px;margin:36px 0 12px}h3{font-size:16px;margin:0 0 2px}
p{margin:0 0 10px;overflow-wrap:anywhere}.dim{color:#66707a}nav{display:flex;flex-wrap:wrap;gap:18px;margin:12px 0}a{color:#2f5f95}
.part{background:#fff;border:1px solid #e3e6ea;border-radius:8px;padding:16px 18px;margin:0 0 16px}.figure{width:100%}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(300px,1fr));gap:14px}
.card{border:1px solid #e3e6ea;border-radius:6px;padding:12px 14px;min-width:0}.card h3,.card p{overflow-wrap:anywhere}
.card p{font-size:13.5px;line-height:1.4}.bar{display:block;height:5px;background:#eceef1;border-radius:3px;margin:3px 0}
.bar i{display:block;height:5px;background:#4477aa;border-radius:3px}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-size:14px}th,td{text-align:left;padding:5px 18px 5px 0;border-bottom:1px solid #e9ebee;vertical-align:top}
td{overflow-wrap:break-word}.number{font-variant-numeric:tabular-nums}
@media(max-width:600px){header,main{padding:0 10px}.part{padding:12px 10px}.cards{grid-template-columns:1fr}th,td{padding-right:10px}}
"""

SCRIPT = """
"use strict";
const figures = JSON.parse(document.getElementById("figures").textContent);
// Labels of the map that would overlap in a narrower picture are left out, the smaller topic first.
function fitting(notes, layout, width, height) {
  const taken = [], x = layout.xaxis.range, y = layout.yaxis.range;
  if (!x || !y) return notes;
  return notes.filter(note => {
    const across = (note.x - x[0]) / (x[1] - x[0]) * width, up = (note.y - y[0]) / (y[1] - y[0]) * height;
    const half = note.text.length * 3.5 + 4;
    if (across < half || across > width - half) return false;
    if (taken.some(other => Math.abs(up - other[1]) < 18 && Math.abs(across - other[0]) < half + other[2])) return false;
    taken.push([across, up, half]);
    return true;
  });
}
function shortened(text) {
  return text.split("<br>").map(line => line.length > 18 ? line.slice(0, 17).replace(/&[a-z]*$/, "").replace(/[ \u00b7]+$/, "") + "\\u2026" : line).join("<br>");
}
function narrow(figure) {
  const layout = figure.layout;
  layout.dragmode = false;  // a finger scrolls the page
  layout.font = Object.assign({}, layout.font, {size: 11});
  layout.margin = Object.assign({}, layout.margin, {l: 30, r: 6});
  if (layout.yaxis.ticktext) layout.yaxis.ticktext = layout.yaxis.ticktext.map(shortened);
  else if (layout.yaxis.type === "category") {
    const names = [...new Set(figure.data.flatMap(trace => trace.y))];
    layout.yaxis.tickvals = names;
    layout.yaxis.ticktext = names.map(shortened);
  }
  if (layout.xaxis.nticks) layout.xaxis.nticks = 5;
  const long = layout.yaxis.ticktext ? /(.{20}[^ ]*) /g : /(.{34}[^ ]*) /g;  // long labels leave less room below the axis
  layout.xaxis.title.text = layout.xaxis.title.text.replace(long, "$1<br>");
}
function draw(figure, place) {
  const element = document.getElementById("figure-" + place), width = element.clientWidth;
  const own = JSON.parse(JSON.stringify(figure));
  if (own.layout.xaxis.title && width < 600) narrow(own);
  if (own.layout.annotations) own.layout.annotations = fitting(own.layout.annotations, own.layout, width - 70, width < 600 ? 400 : 560);
  Plotly.react(element, own.data, own.layout, {responsive: true, displayModeBar: false});
}
figures.forEach(draw);
let last = innerWidth;
addEventListener("resize", () => { if (innerWidth !== last) { last = innerWidth; figures.forEach(draw); } });
"""
