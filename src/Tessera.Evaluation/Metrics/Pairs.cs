namespace Tessera.Evaluation.Metrics;

/// <summary>What measures of outputs against references ask of their arguments.</summary>
internal static class Pairs
{
    /// <summary>Throws <see cref="ArgumentException"/> unless there is an output and as many references.</summary>
    public static void Check(IReadOnlyList<string> outputs, IReadOnlyList<string> references)
    {
        ArgumentNullException.ThrowIfNull(outputs);
        ArgumentNullException.ThrowIfNull(references);
        if (outputs.Count == 0) throw new ArgumentException("There is no output to measure.", nameof(outputs));
        if (outputs.Count != references.Count)
        {
            throw new ArgumentException(
                $"There are {references.Count} references for {outputs.Count} outputs.", nameof(references));
        }
    }
}
