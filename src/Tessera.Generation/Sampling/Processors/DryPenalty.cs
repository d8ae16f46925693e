using System.Buffers;

namespace Tessera.Generation.Sampling;

/// <summary>
/// DRY, "don't repeat yourself": a token that would go on with a run which the text holds already is less likely, the more so the longer
/// the run, by <c>multiplier · base^(length − allowed length)</c>. O(length) a token.
/// <para>Weidmann 2024, <see href="https://github.com/oobabooga/text-generation-webui/pull/5677"/>.</para>
/// </summary>
public sealed class DryPenalty : LogitsProcessor
{
    // A penalty makes a token all but impossible; it does not take it out.
    private const float Greatest = 1e4f;

    private readonly DryOptions _options;
    private readonly HashSet<int> _breakers;

    /// <summary>A penalty.</summary>
    /// <exception cref="ArgumentException">An option is out of its range.</exception>
    public DryPenalty(DryOptions options)
    {
        options.Validate();
        (_options, _breakers) = (options, [.. options.Breakers]);
    }

    /// <inheritdoc/>
    public override void Apply(Span<float> logits, TokenHistory history)
    {
        var tokens = history.Last(_options.Window);
        var count = tokens.Length;
        if (count < 2) return;

        // runs[d] is how far the text ending d tokens before the end agrees, backwards, with the end of the text: the Z function of the
        // reversed text (Gusfield 1997, Algorithms on Strings, Trees and Sequences, section 1.4).
        var runs = ArrayPool<int>.Shared.Rent(count);
        var rented = ArrayPool<float>.Shared.Rent(count);
        Agreement(tokens, Unbroken(tokens), runs);
        // All are read before any is written: where a token would go on with several runs, the longest counts.
        for (var before = 1; before < count; before++) rented[before] = logits[tokens[count - before]];
        for (var before = 1; before < count; before++)
        {
            if (runs[before] < _options.AllowedLength) continue;
            ref var logit = ref logits[tokens[count - before]];
            logit = Math.Min(logit, rented[before] - Penalty(runs[before]));
        }

        ArrayPool<int>.Shared.Return(runs);
        ArrayPool<float>.Shared.Return(rented);
    }

    private float Penalty(int run) =>
        Math.Min(Greatest, _options.Multiplier * MathF.Pow(_options.Base, run - _options.AllowedLength));

    /// <summary>How long the end of the text is that no breaker stands in.</summary>
    private int Unbroken(ReadOnlySpan<int> tokens)
    {
        var length = 0;
        while (length < tokens.Length && !_breakers.Contains(tokens[^(length + 1)])) length++;
        return length;
    }

    private static void Agreement(ReadOnlySpan<int> tokens, int longest, Span<int> runs)
    {
        var (count, left, right) = (tokens.Length, 0, 0);
        for (var at = 1; at < count; at++)
        {
            var run = at < right ? Math.Min(right - at, runs[at - left]) : 0;
            while (at + run < count && tokens[count - 1 - run] == tokens[count - 1 - at - run]) run++;
            runs[at] = run;
            if (at + run > right) (left, right) = (at, at + run);
        }

        for (var at = 1; at < count; at++) runs[at] = Math.Min(runs[at], longest);
    }
}
