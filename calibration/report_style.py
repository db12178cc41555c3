"""How the HTML report looks: one style sheet, light and dark. Standard library only."""

from __future__ import annotations

__all__ = ["STYLE"]

STYLE = """
:root {
  --page: #f6f7f9; --card: #ffffff; --text: #1b2430; --soft: #56616f; --line: #dde2e8;
  --accent: #1f5fa8; --good: #1b7246; --bad: #b3261e; --code: #eef1f5;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #12161b; --card: #1b2128; --text: #e6eaef; --soft: #a3afbc; --line: #323c47;
    --accent: #8ab8f0; --good: #7fd0a2; --bad: #ff9d94; --code: #252d36;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-padding-top: 1rem; }
body {
  margin: 0; background: var(--page); color: var(--text);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "PingFang SC",
    "Microsoft YaHei", "Noto Sans CJK SC", sans-serif;
}
header, main { max-width: 68rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 2rem; }
h1 { font-size: clamp(1.5rem, 4vw, 2.1rem); line-height: 1.2; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 0 0 .75rem; }
h3 { font-size: 1rem; margin: 0; }
header p { color: var(--soft); margin: .35rem 0 1rem; overflow-wrap: anywhere; }
a { color: var(--accent); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; border-radius: 4px; }
.skip { position: absolute; left: -99rem; }
.skip:focus { left: 1rem; top: 1rem; background: var(--card); padding: .5rem 1rem; }
nav ul { display: flex; flex-wrap: wrap; gap: .5rem; list-style: none; padding: 0; margin: 0; }
nav a {
  display: block; padding: .3rem .8rem; border: 1px solid var(--line); border-radius: 99px;
  background: var(--card); text-decoration: none; font-size: .9rem;
}
nav a:hover { border-color: var(--accent); }
main > section {
  background: var(--card); border: 1px solid var(--line); border-radius: 14px;
  padding: 1.25rem; margin: 1.25rem 0;
}
p { margin: .5rem 0; max-width: 46rem; overflow-wrap: anywhere; }
.lead > p { font-size: 1.08rem; max-width: none; }
.lead > p:not(:first-child) { margin-top: 1.5rem; padding-top: 1.25rem;
  border-top: 1px solid var(--line); }
.tiles {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .75rem;
  list-style: none; padding: 0; margin: 1rem 0;
}
.tile { border: 1px solid var(--line); border-radius: 10px; padding: .65rem .85rem; }
.tile span, .tile strong { display: block; }
.tile .label, .tile .note { color: var(--soft); font-size: .82rem; line-height: 1.35; }
.tile strong { font-size: 1.4rem; line-height: 1.35; font-variant-numeric: tabular-nums; }
.tile.good { border-left: 4px solid var(--good); }
.tile.bad { border-left: 4px solid var(--bad); }
.good { color: var(--good); } .bad { color: var(--bad); font-weight: 600; }
.tile.good, .tile.bad { color: inherit; font-weight: inherit; }
pre { background: var(--code); border-radius: 8px; padding: .7rem .9rem; overflow-x: auto; }
code { font: .88rem/1.5 ui-monospace, "Cascadia Mono", Menlo, Consolas, monospace; }
.scroll { overflow-x: auto; margin: .75rem 0; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
.caption { color: var(--soft); font-size: .9rem; margin: 1.25rem 0 0; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
summary { cursor: pointer; padding: .4rem 0; color: var(--accent); }
th, td { padding: .42rem .7rem; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: top; }
th:first-child, td:first-child { padding-left: 0; }
thead th { color: var(--soft); font-weight: 600; white-space: nowrap; vertical-align: bottom; }
tbody th { font-weight: 600; }
tbody tr:hover { background: var(--code); }
.short { white-space: nowrap; }
.long { min-width: 13rem; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
figure { margin: 1.25rem 0; }
figure .scroll { margin: 0; }
figure img { width: 100%; min-width: 38rem; height: auto; border: 1px solid var(--line);
  border-radius: 10px; display: block; }
@media (prefers-color-scheme: dark) { .bright img { filter: brightness(.86); } }
figcaption { color: var(--soft); font-size: .88rem; margin-top: .4rem; }
.listen { border-top: 1px solid var(--line); padding-top: 1rem; margin-top: 1.25rem; }
.listen:first-of-type { border-top: 0; padding-top: 0; margin-top: 0; }
.player { display: flex; align-items: center; gap: .75rem; max-width: none; }
.player a { min-width: 5.5rem; }
audio { flex: 1; max-width: 30rem; min-width: 0; height: 2.4rem; }
@media print { nav, .skip { display: none; } main > section { break-inside: avoid; } }
"""
