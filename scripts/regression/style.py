"""How the HTML report looks: the calibration report's sheet, and what plots and verdicts add."""

from __future__ import annotations

from sambert_trt.calibration.report_style import STYLE as SHEET

__all__ = ["STYLE"]

_OWN = """
:root { --warn: #8a5a00; --one: #1f5fa8; --two: #b4472f; --three: #3f7d58; --four: #7d4e99; }
@media (prefers-color-scheme: dark) {
  :root { --warn: #e3b45c; --one: #8ab8f0; --two: #f0a08c; --three: #8fcfa8; --four: #cfa4e6; }
}
.verdict { font-size: 1.15rem; font-weight: 600; border-left: 5px solid var(--soft);
  padding-left: .8rem; }
.verdict.green { border-color: var(--good); }
.verdict.red { border-color: var(--bad); }
.verdict.not-measured { border-color: var(--warn); }
.verdict.interrupted { border-color: var(--four); }
.verdict.measured { border-color: var(--one); }
.worse, .missing, .changed, .crashed { color: var(--bad); font-weight: 600; }
.better { color: var(--good); font-weight: 600; }
.undecided, .unusable { color: var(--warn); font-weight: 600; }
th code { font-size: .82rem; font-weight: 400; }
tbody th { min-width: 12.5rem; }
td small { color: var(--soft); display: block; }
td small:not(:empty)::before { content: "look: "; }
tr.first > * { border-bottom: 0; padding-bottom: 0; }
figure h3 { margin-bottom: .3rem; overflow-wrap: anywhere; }
figure p { color: var(--soft); font-size: .88rem; margin: 0 0 .4rem; }
svg { width: 100%; min-width: 34rem; max-width: 60rem; height: auto; display: block;
  font: 12px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
svg text { fill: var(--text); }
svg text.soft { fill: var(--soft); font-size: 11px; }
svg .grid { stroke: var(--line); }
svg .limit { stroke: var(--bad); stroke-dasharray: 5 4; }
svg .ink { fill: none; stroke: var(--ink, var(--soft)); stroke-width: 2; }
svg .dot { fill: var(--ink, var(--soft)); }
svg .faint { opacity: .45; }
svg .box { fill: var(--ink, var(--soft)); opacity: .18; }
svg .middle { stroke: var(--ink, var(--soft)); stroke-width: 3; }
svg g.worse, svg g.changed { --ink: var(--bad); }
svg g.better { --ink: var(--good); }
svg g.undecided, svg g.unusable { --ink: var(--warn); }
svg g.base, svg g.line0 { --ink: var(--one); }
svg g.cand, svg g.line1 { --ink: var(--two); }
svg g.line2 { --ink: var(--three); }
svg g.line3 { --ink: var(--four); }
"""

STYLE = SHEET + _OWN
