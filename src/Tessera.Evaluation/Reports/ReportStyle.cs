namespace Tessera.Evaluation.Reports;

/// <summary>How a report looks.</summary>
internal static class ReportStyle
{
    /// <summary>The style sheet. Colours of curves can be told apart by the colour-blind (after Okabe and Ito) and differ in dash
    /// too.</summary>
    public const string Sheet = """
        :root {
          color-scheme: light dark;
          --ground: #fbfbf9; --raised: #fff; --ink: #1c1d21; --soft: #5f636d; --line: #e3e3de;
          --accent: #2a5bd0; --on-accent: #fff; --good: #1a7042; --bad: #b3261e;
          --c1: #2a5bd0; --c2: #c8500a; --c3: #0b7f62; --c4: #a63d85; --c5: #8a6a00; --c6: #4a5160;
        }
        @media (prefers-color-scheme: dark) {
          :root {
            --ground: #131418; --raised: #1b1d22; --ink: #e9e9e6; --soft: #a0a4ae; --line: #30333b;
            --accent: #86a8ff; --on-accent: #10131c; --good: #6fd39b; --bad: #ff8f85;
            --c1: #86a8ff; --c2: #ff9d5c; --c3: #4fd0ab; --c4: #ea92cc; --c5: #e0bd4a; --c6: #b9bfcc;
          }
        }
        * { box-sizing: border-box; }
        html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
        body {
          margin: 0 auto; max-width: 62rem; padding: clamp(1.5rem, 5vw, 4rem) clamp(1rem, 4vw, 2.5rem) 5rem;
          background: var(--ground); color: var(--ink);
          font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", Arial, sans-serif;
        }
        h1 { margin: 0 0 1.5rem; font-size: clamp(1.6rem, 5vw, 2.4rem); line-height: 1.15; letter-spacing: -.02em; text-wrap: balance; overflow-wrap: anywhere; }
        h2 { margin: 3.5rem 0 1.25rem; font-size: 1.3rem; line-height: 1.2; letter-spacing: -.01em; }
        summary { margin: 2rem 0 1.25rem; font-size: 1.3rem; font-weight: 700; line-height: 1.2; cursor: pointer; }
        h3 { margin: 0 0 .75rem; font-size: .95rem; display: flex; flex-wrap: wrap; gap: .35rem .6rem; align-items: baseline; }
        dl, dd, figure, pre { margin: 0; }
        .facts { display: grid; grid-auto-flow: dense; grid-template-columns: repeat(auto-fill, minmax(min(10.5rem, 46%), 1fr)); gap: 1px; background: var(--raised); border: 1px solid var(--line); border-radius: .6rem; overflow: hidden; }
        .facts div { background: var(--raised); padding: .8rem 1rem; box-shadow: 0 0 0 1px var(--line); }
        .facts .long { grid-column: span 2; }
        .facts dt, article dt { color: var(--soft); font-size: .8rem; }
        .facts dd { font-size: 1.05rem; font-weight: 600; line-height: 1.35; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
        .scroll { overflow-x: auto; margin-bottom: 2rem; }
        table { border-collapse: collapse; width: 100%; font-size: .93rem; font-variant-numeric: tabular-nums; }
        caption, figcaption { text-align: left; font-weight: 600; padding-bottom: .5rem; }
        th, td { padding: .5rem .9rem .5rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: baseline; }
        th:last-child, td:last-child { padding-right: 0; }
        thead th { color: var(--soft); font-size: .8rem; font-weight: 500; vertical-align: bottom; border-bottom-color: var(--soft); }
        tbody th { font-weight: 500; }
        tr > :first-child { position: sticky; left: 0; background: var(--ground); }
        .number { text-align: right; white-space: nowrap; }
        figure, article { background: var(--raised); border: 1px solid var(--line); border-radius: .6rem; padding: 1.1rem 1.25rem; margin-bottom: 1.25rem; break-inside: avoid; }
        .legend { display: flex; flex-wrap: wrap; gap: .15rem 1.4rem; margin: 0 0 .9rem; padding: 0; list-style: none; font-size: .85rem; color: var(--soft); }
        .legend li { display: flex; align-items: center; gap: .5rem; }
        .legend em { color: var(--bad); font-style: normal; }
        .key { width: 28px; height: 12px; flex: none; }
        li:has(rect) .key { width: 70px; }
        .axis { margin: 0 0 .5rem; color: var(--soft); font-size: .78rem; display: flex; justify-content: space-between; }
        .axis.below { margin: 1.6rem 0 0; justify-content: center; }
        .empty { margin: 0; color: var(--soft); }
        .plot, .map { display: block; overflow: visible; margin: 0 .6rem 0 3rem; width: calc(100% - 3.6rem); }
        .plot { height: clamp(13rem, 34vw, 19rem); }
        .map { margin: 0 2.9rem 0 1.9rem; width: calc(100% - 4.8rem); }
        svg text { fill: var(--soft); font-size: .75rem; font-variant-numeric: tabular-nums; }
        .up { text-anchor: end; dominant-baseline: central; }
        .across { text-anchor: middle; transform: translateY(1.25rem); }
        .end { dominant-baseline: central; transform: translateX(.7rem); }
        .on { text-anchor: middle; dominant-baseline: central; fill: var(--ink); pointer-events: none; }
        .on.dark { fill: var(--on-accent); }
        .cell { fill: var(--accent); stroke: var(--raised); stroke-width: 1px; }
        .grid { stroke: var(--line); }
        path, .key line { fill: none; stroke: currentColor; stroke-width: 1.75px; vector-effect: non-scaling-stroke; stroke-linejoin: round; stroke-linecap: round; }
        .mark { fill: var(--raised); stroke: currentColor; stroke-width: 1.75px; }
        .place { fill: transparent; }
        .place:hover { fill: currentColor; fill-opacity: .25; }
        .c1 { color: var(--c1); } .c2 { color: var(--c2); stroke-dasharray: 7 5; } .c3 { color: var(--c3); stroke-dasharray: 2 5; }
        .c4 { color: var(--c4); stroke-dasharray: 12 4 2 4; } .c5 { color: var(--c5); stroke-dasharray: 4 4; } .c6 { color: var(--c6); }
        .mark { stroke-dasharray: none; }
        .faint { stroke-width: 1px; stroke-opacity: .3; stroke-dasharray: none; }
        article dl { display: grid; grid-template-columns: 6rem minmax(0, 1fr); gap: .5rem 1rem; align-items: baseline; }
        pre { font: .85rem/1.5 ui-monospace, "SF Mono", SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace; white-space: pre-wrap; overflow-wrap: anywhere; tab-size: 4; max-height: 24rem; overflow-y: auto; }
        .good, .bad { font-size: .8rem; font-weight: 500; }
        .good { color: var(--good); } .bad { color: var(--bad); }
        @media (max-width: 36rem) {
          .spare { display: none; }
          figure, article { padding: .9rem; }
          article dl { grid-template-columns: minmax(0, 1fr); gap: .1rem; }
          article dd { margin-bottom: .6rem; }
        }
        @media print { body { max-width: none; padding: 0; } h2 { break-after: avoid; } pre { max-height: none; } }

        """;
}
