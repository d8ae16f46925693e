using Tessera.Generation.Sampling;
using Tessera.Generation.Search;
using Tessera.Models;

namespace Tessera.Generation;

/// <summary>Generates token ids with a model: greedily, by sampling or by beam search, with cached incremental decoding.</summary>
public static class Generator
{
    /// <summary>Rows that are decoded at once: enough to fill the processor, few enough for their caches.</summary>
    private const int RowsAtOnce = 64;

    /// <summary>The best sequence for each prompt.</summary>
    /// <param name="model">The model.</param>
    /// <param name="prompts">Token ids, none empty: sources of an encoder-decoder, beginnings of a decoder.</param>
    /// <param name="options">How tokens are chosen.</param>
    /// <param name="maxNewTokens">The greatest number of tokens; at least 1. <see cref="DecodingOptions.MaxNewTokens"/> counts where it is
    /// smaller.</param>
    /// <param name="stopTokens">The tokens that end a sequence; those of <see cref="PromptFormat.Own"/> where null.</param>
    /// <param name="progress">Told how many prompts are done.</param>
    /// <param name="wantsScores">Whether <see cref="Generated.Score"/> is computed; beam search has it anyway.</param>
    /// <param name="cancellation">Stops between two tokens.</param>
    /// <exception cref="ArgumentException">An option is out of range, or a prompt is empty.</exception>
    /// <exception cref="NoTokenAllowedException">Processors or the constraint of the options leave no token somewhere.</exception>
    public static Generated[] Generate(
        SequenceModel model, IReadOnlyList<int[]> prompts, DecodingOptions options, int maxNewTokens,
        IReadOnlyList<int>? stopTokens = null, Action<int>? progress = null, bool wantsScores = true,
        CancellationToken cancellation = default)
    {
        RequireTokens(prompts);
        var limit = options.Limit(maxNewTokens);
        int[] last = [.. stopTokens ?? PromptFormat.Own.StopTokens];
        var results = new Generated[prompts.Count];
        // Prompts of like length together, so that little is padding.
        var order = Enumerable.Range(0, prompts.Count).OrderBy(i => prompts[i].Length).ToArray();
        var done = 0;
        foreach (var group in order.Chunk(options is BeamOptions beam ? Math.Max(1, RowsAtOnce / beam.Width) : RowsAtOnce))
        {
            var found = Together(model, [.. group.Select(i => prompts[i])], group, options, limit, last, wantsScores, cancellation);
            for (var i = 0; i < group.Length; i++) results[group[i]] = found[i];
            progress?.Invoke(done += group.Length);
        }

        return results;
    }

    /// <summary>The tokens of one sequence as they are chosen; not for beam search, whose beginnings may still change.</summary>
    /// <inheritdoc cref="Generate"/>
    public static IEnumerable<int> Stream(
        SequenceModel model, int[] prompt, DecodingOptions options, int maxNewTokens, IReadOnlyList<int>? stopTokens = null,
        CancellationToken cancellation = default)
    {
        if (options is BeamOptions) throw new ArgumentException("beam search cannot be streamed: its beginning may change until the end");
        RequireTokens([prompt]);
        var limit = options.Limit(maxNewTokens);
        return new StepwiseSearch(model, options, limit, [.. stopTokens ?? PromptFormat.Own.StopTokens], wantsScores: false)
            .Run([prompt], [0], new Generated[1], cancellation).Select(chosen => chosen.Token);
    }

    private static Generated[] Together(
        SequenceModel model, IReadOnlyList<int[]> prompts, int[] numbers, DecodingOptions options, int maxNewTokens, int[] stopTokens,
        bool wantsScores, CancellationToken cancellation)
    {
        if (options is BeamOptions beam)
            return [.. new BeamSearch(model, beam, maxNewTokens, stopTokens).Run(prompts, cancellation, numbers).Select(found => found[0])];
        var results = new Generated[prompts.Count];
        var search = new StepwiseSearch(model, options, maxNewTokens, stopTokens, wantsScores);
        foreach (var _ in search.Run(prompts, numbers, results, cancellation)) { }
        return results;
    }

    private static void RequireTokens(IReadOnlyList<int[]> prompts)
    {
        if (prompts.Any(prompt => prompt.Length == 0)) throw new ArgumentException("a prompt has no tokens", nameof(prompts));
    }
}
