package io.millrace.report.chart;

/** How pages look. */
final class Style {

  /**
   * Six colours that people with any colour vision tell apart (after Okabe and Ito), and six shades
   * from light to strong, both for light and for dark screens.
   */
  static final String CSS =
      """
      :root { color-scheme: light dark;
        --paper: #f7f7f5; --card: #ffffff; --ink: #1d2329; --faint: #68717c; --rule: #e3e5e8; --edge: #d9dce0; --accent: #0b62a8;
        --c0: #0b62a8; --c1: #d1660a; --c2: #0a8a63; --c3: #b0468c; --c4: #8a7a00; --c5: #55606e;
        --o0: #b9cfe6; --o1: #90b5dc; --o2: #659acf; --o3: #3d7fbd; --o4: #1b62a3; --o5: #08427a; }
      @media (prefers-color-scheme: dark) { :root {
        --paper: #14171b; --card: #1c2026; --ink: #e6e9ec; --faint: #98a2ad; --rule: #2c323a; --edge: #333a43; --accent: #6db3f2;
        --c0: #5aa9ee; --c1: #f0964a; --c2: #3fc08f; --c3: #e088c2; --c4: #d3c04a; --c5: #a3aebb;
        --o0: #2f4c6b; --o1: #3a6691; --o2: #4881b6; --o3: #5f9dd6; --o4: #8bbdec; --o5: #c4dffa; } }
      * { box-sizing: border-box; }
      body { margin: 0; background: var(--paper); color: var(--ink);
        font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
      header, nav, main { max-width: 1180px; margin: 0 auto; padding: 0 24px; }
      header { padding-top: 40px; }
      h1 { font-size: 30px; line-height: 1.2; letter-spacing: -0.01em; margin: 0 0 6px; }
      header p { color: var(--faint); margin: 0 0 18px; }
      nav { display: flex; flex-wrap: wrap; gap: 4px 16px; padding-bottom: 14px; font-size: 14px; }
      a { color: var(--accent); text-decoration: none; }
      a:hover { text-decoration: underline; }
      section { padding: 10px 0 18px; border-top: 1px solid var(--edge); margin-top: 14px; }
      h2 { font-size: 20px; margin: 10px 0 8px; letter-spacing: -0.005em; }
      h3 { font-size: 15px; margin: 18px 0 6px; }
      section > p { max-width: 76ch; margin: 6px 0 12px; }
      .figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 420px), 1fr)); gap: 16px; margin: 12px 0; }
      figure { margin: 0; background: var(--card); border: 1px solid var(--edge); border-radius: 10px; padding: 14px 16px 8px; }
      figcaption { font-weight: 600; }
      .note { color: var(--faint); font-size: 13px; line-height: 1.4; margin: 2px 0 0; }
      .legend { display: flex; flex-wrap: wrap; gap: 2px 14px; font-size: 13px; margin: 6px 0 0; }
      .legend i { display: inline-block; width: 11px; height: 11px; border-radius: 3px; margin-right: 6px; vertical-align: -1px; background: currentColor; }
      .legend i.broken { background: repeating-linear-gradient(90deg, currentColor 0 4px, transparent 4px 7px); height: 3px; border-radius: 0; vertical-align: 3px; width: 18px; }
      svg { display: block; width: 100%; height: auto; margin-top: 6px; font-family: inherit; }
      .tick { font-size: 12px; fill: var(--faint); } .axis { font-size: 12px; fill: var(--faint); } .value { font-size: 11.5px; fill: var(--ink); }
      .grid { stroke: var(--rule); } .mark, .zero { stroke: var(--faint); } .rule { stroke: var(--faint); stroke-dasharray: 4 4; } .whisker { stroke: var(--ink); stroke-width: 1.2; }
      .line { fill: none; stroke: currentColor; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; } .dashed { stroke-dasharray: 6 5; }
      .dot { fill: currentColor; } .faint { fill: currentColor; opacity: 0; } .faint:hover { opacity: 1; } .bar { fill: currentColor; } .band { fill: currentColor; opacity: 0.14; }
      .c0 { color: var(--c0); } .c1 { color: var(--c1); } .c2 { color: var(--c2); } .c3 { color: var(--c3); } .c4 { color: var(--c4); } .c5 { color: var(--c5); }
      .o0 { color: var(--o0); } .o1 { color: var(--o1); } .o2 { color: var(--o2); } .o3 { color: var(--o3); } .o4 { color: var(--o4); } .o5 { color: var(--o5); }
      .ref { color: var(--faint); }
      .scroll { overflow-x: auto; margin: 12px 0; background: var(--card); border: 1px solid var(--edge); border-radius: 10px; }
      table { border-collapse: collapse; width: 100%; font-size: 14px; }
      th, td { text-align: left; padding: 7px 14px; border-bottom: 1px solid var(--rule); vertical-align: top; }
      tbody tr:last-child td { border-bottom: 0; }
      th { color: var(--faint); font-weight: 600; font-size: 12.5px; }
      td { overflow-wrap: anywhere; } .n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
      .tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(170px, 1fr)); gap: 12px; margin: 12px 0; }
      .tile { background: var(--card); border: 1px solid var(--edge); border-radius: 10px; padding: 12px 16px; }
      .tile span { display: block; color: var(--faint); font-size: 13px; } .tile b { display: block; font-size: 26px; line-height: 1.25; letter-spacing: -0.01em; } .tile small { color: var(--faint); font-size: 12.5px; }
      .said { margin: 8px 0 14px; } .said p { margin: 4px 0; white-space: pre-wrap; overflow-wrap: anywhere; } .said .who { color: var(--faint); font-size: 13px; margin-right: 8px; }
      @media print { body { background: #fff; } figure, .scroll, .tile { break-inside: avoid; } nav { display: none; } }
      """;

  private Style() {}
}
