namespace Tessera.Benchmarks.Fuzz;

/// <summary>What became of some cases.</summary>
internal sealed record FuzzCounts
{
    public int Cases { get; init; }

    /// <summary>Files that were read in spite of their damage.</summary>
    public int Read { get; init; }

    /// <summary>Files that were refused with an error that names them.</summary>
    public int Refused { get; init; }

    /// <summary>Exceptions that readers do not document, and ends of the process.</summary>
    public int Crashes { get; init; }

    /// <summary>Cases that took longer than <see cref="FuzzChild.Patience"/>.</summary>
    public int Hangs { get; init; }

    /// <summary>Errors that do not name the file.</summary>
    public int Vague { get; init; }

    /// <summary>Cases that allocated out of proportion.</summary>
    public int Greedy { get; init; }

    /// <summary>The most managed memory that a case allocated.</summary>
    public long MaxBytes { get; init; }

    /// <summary>The most memory that the process held.</summary>
    public long PeakBytes { get; init; }

    public int Failures => Crashes + Hangs + Vague + Greedy;

    public FuzzCounts Plus(FuzzCounts other) => new()
    {
        Cases = Cases + other.Cases, Read = Read + other.Read, Refused = Refused + other.Refused, Crashes = Crashes + other.Crashes,
        Hangs = Hangs + other.Hangs, Vague = Vague + other.Vague, Greedy = Greedy + other.Greedy,
        MaxBytes = Math.Max(MaxBytes, other.MaxBytes), PeakBytes = Math.Max(PeakBytes, other.PeakBytes),
    };

    public string Row(string name) =>
        $"| {name} | {Cases} | {Read} | {Refused} | {Crashes} | {Hangs} | {Vague} | {Greedy} | {MaxBytes / 1048576.0:F1} | {PeakBytes / 1048576} |";
}
