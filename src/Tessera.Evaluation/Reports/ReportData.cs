namespace Tessera.Evaluation.Reports;

/// <summary>What a report shows, in the order it is shown; what is empty is left out.</summary>
/// <param name="Title">The heading of the page, such as the name of the run.</param>
public sealed record ReportData(string Title)
{
    /// <summary>What was run and the figures to remember: key and value, shown as a list at the top.</summary>
    public IReadOnlyList<(string Key, string Value)> Facts { get; init; } = [];

    /// <summary>Tables of results.</summary>
    public IReadOnlyList<ReportTable> Tables { get; init; } = [];

    /// <summary>Curves, such as losses and learning rate against steps.</summary>
    public IReadOnlyList<LineChart> Curves { get; init; } = [];

    /// <summary>How evenly experts, or heads, were used.</summary>
    public IReadOnlyList<ExpertLoad> Loads { get; init; } = [];

    /// <summary>Outputs to read.</summary>
    public IReadOnlyList<ReportSample> Samples { get; init; } = [];

    /// <summary>Longer texts, such as the recipe: each folded under its title.</summary>
    public IReadOnlyList<(string Title, string Text)> Documents { get; init; } = [];
}

/// <summary>A table of results; a column whose cells are all numbers is aligned as numbers are.</summary>
/// <param name="Title">Its caption.</param>
/// <param name="Columns">Headings; the first is of the column that names the rows.</param>
/// <param name="Rows">Cells as they shall be read, as many a row as there are columns.</param>
public sealed record ReportTable(string Title, IReadOnlyList<string> Columns, IReadOnlyList<IReadOnlyList<string>> Rows);

/// <summary>Curves over one pair of axes.</summary>
/// <param name="Title">Its caption.</param>
/// <param name="Across">What the horizontal axis measures, with its unit: <c>step</c>, <c>tokens</c>.</param>
/// <param name="Up">What the vertical axis measures, with its unit.</param>
/// <param name="Series">The curves; six are told apart by colour and dash, further ones repeat these.</param>
public sealed record LineChart(string Title, string Across, string Up, IReadOnlyList<ChartSeries> Series);

/// <summary>One curve.</summary>
/// <param name="Name">What it is called in the legend.</param>
/// <param name="Points">
/// Its points from left to right. A point that is not finite leaves a gap and is counted in the legend.
/// </param>
/// <param name="Scatters">
/// Whether its points scatter around what matters, as losses of single steps do: a long curve is then drawn faint, with its
/// mean over it.
/// </param>
public sealed record ChartSeries(string Name, IReadOnlyList<(double X, double Y)> Points, bool Scatters = false);

/// <summary>How much work each expert of each layer got.</summary>
/// <param name="Title">Its caption.</param>
/// <param name="Layers">
/// By layer, by expert: tokens, or any measure in one unit a layer; finite and at least 0. Layers may differ in experts.
/// </param>
public sealed record ExpertLoad(string Title, IReadOnlyList<IReadOnlyList<double>> Layers);

/// <summary>An output to read.</summary>
/// <param name="Source">What the model was given.</param>
/// <param name="Reference">What was hoped for, or null.</param>
/// <param name="Output">What it wrote.</param>
/// <param name="Valid">Whether the output parses, or null where nobody asked.</param>
public sealed record ReportSample(string Source, string? Reference, string Output, bool? Valid = null);
