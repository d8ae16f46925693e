namespace Tessera.Evaluation.Tasks;

/// <summary>Collects the figures of one system: a value for each metric, or why there is none.</summary>
internal sealed class ScoreSheet
{
    private readonly Dictionary<string, double> _values = [];
    private readonly Dictionary<string, string> _absent = [];

    /// <summary>Notes a value. One that is not finite is no value.</summary>
    public void Set(string metric, double value)
    {
        if (double.IsFinite(value)) _values[metric] = value;
        else Leave(metric, "is not finite");
    }

    /// <summary>Notes why there is no value.</summary>
    public void Leave(string metric, string reason) => _absent[metric] = reason;

    /// <summary>What was noted.</summary>
    public SystemScore Of(string system, long tokens = 0, long bytes = 0) =>
        new(system, _values) { Absent = _absent, Tokens = tokens, Bytes = bytes };
}
