using Tessera.Generation.Sampling;
using Tessera.Models;
using Tessera.Tensors;

namespace Tessera.Generation.Search;

/// <summary>Greedy decoding or sampling of several prompts at once; rows leave the batch as they end.</summary>
internal sealed class StepwiseSearch(SequenceModel model, DecodingOptions options, int mostTokens)
{
    /// <summary>The tokens of all prompts as they are chosen: which prompt, which token (the end is not reported).</summary>
    /// <param name="prompts">Token ids.</param>
    /// <param name="numbers">Which prompt each is of all that were asked for: each has random numbers of its own.</param>
    /// <param name="results">Filled: one a prompt.</param>
    /// <param name="cancellation">Stops between two tokens.</param>
    public IEnumerable<(int Prompt, int Token)> Run(
        IReadOnlyList<int[]> prompts, int[] numbers, Generated[] results, CancellationToken cancellation)
    {
        var state = model.Start(prompts, 1, mostTokens);
        var chooser = new TokenChooser(options, model.Vocabulary);
        var texts = prompts.Select(_ => new List<int>()).ToArray();
        var scores = new double[prompts.Count];
        var live = Enumerable.Range(0, prompts.Count).ToArray();
        var next = state.First;
        for (var place = 0; place < mostTokens && live.Length > 0; place++)
        {
            cancellation.ThrowIfCancellationRequested();
            var chosen = Choose(state, next, chooser, [.. live.Select(prompt => numbers[prompt])], place);
            var going = new List<int>();
            for (var row = 0; row < live.Length; row++)
            {
                var (prompt, token) = (live[row], chosen[row].Token);
                scores[prompt] += chosen[row].LogProbability;
                if (token != SpecialTokens.End)
                {
                    texts[prompt].Add(token);
                    going.Add(row);
                    yield return (prompt, token);
                }
                else
                {
                    results[prompt] = new Generated(texts[prompt], scores[prompt], Ended: true);
                }
            }

            next = [.. going.Select(row => new[] { chosen[row].Token })];
            live = [.. going.Select(row => live[row])];
            if (live.Length > 0 && going.Count < state.Rows) state.Select([.. going]);
        }

        foreach (var prompt in live) results[prompt] = new Generated(texts[prompt], scores[prompt], Ended: false);
    }

    private (int Token, double LogProbability)[] Choose(
        DecodingState state, IReadOnlyList<int[]> tokens, TokenChooser chooser, int[] numbers, int place)
    {
        using var scope = Arena.Current.Scope();
        var logits = model.Next(state, tokens);
        var chosen = new (int, double)[numbers.Length];
        for (var row = 0; row < numbers.Length; row++)
            chosen[row] = chooser.Choose(logits.Floats.Slice(row * model.Vocabulary, model.Vocabulary), numbers[row], place);
        return chosen;
    }
}
