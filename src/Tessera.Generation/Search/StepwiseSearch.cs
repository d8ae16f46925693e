using System.Runtime.InteropServices;
using Tessera.Generation.Sampling;
using Tessera.Models;
using Tessera.Tensors;

namespace Tessera.Generation.Search;

/// <summary>Greedy decoding or sampling of several prompts at once; rows leave the batch as they end.</summary>
/// <param name="model">The model.</param>
/// <param name="options">How tokens are chosen.</param>
/// <param name="maxNewTokens">The greatest number of tokens.</param>
/// <param name="ends">The tokens that end a sequence.</param>
/// <param name="wantsScores">Whether log-probabilities are computed; scores are NaN otherwise.</param>
internal sealed class StepwiseSearch(SequenceModel model, DecodingOptions options, int maxNewTokens, int[] ends, bool wantsScores = true)
{
    private readonly Sampler _sampler = Sampler.Of(options);

    /// <summary>What the decoder has read of each prompt, and what may come after it.</summary>
    private List<int>[] _read = [];
    private TokenConstraint?[] _constraints = [];

    /// <summary>The tokens of all prompts as they are chosen: which prompt, which token (the end is not reported).</summary>
    /// <param name="prompts">Token ids.</param>
    /// <param name="numbers">Which prompt each is of all that were asked for: each has random numbers of its own.</param>
    /// <param name="results">Filled: one a prompt.</param>
    /// <param name="cancellation">Stops between two tokens.</param>
    public IEnumerable<(int Prompt, int Token)> Run(
        IReadOnlyList<int[]> prompts, int[] numbers, Generated[] results, CancellationToken cancellation)
    {
        var state = model.Start(prompts, 1, maxNewTokens);
        var texts = new List<int>[prompts.Count];
        for (var prompt = 0; prompt < texts.Length; prompt++) texts[prompt] = new List<int>(maxNewTokens);
        _read = [.. state.First.Select(first => new List<int>(first.Length + maxNewTokens))];
        for (var prompt = 0; prompt < _read.Length; prompt++) _read[prompt].AddRange(state.First[prompt]);
        _constraints = [.. prompts.Select(_ => options.ConstraintOf(ends))];
        var scores = new double[prompts.Count];
        if (!wantsScores) Array.Fill(scores, double.NaN);
        // Row by row: which prompt it is, what was chosen for it, and at last the rows that go on.
        var live = Enumerable.Range(0, prompts.Count).ToArray();
        var chosen = new int[prompts.Count];
        var going = new int[prompts.Count];
        for (var place = 0; place < maxNewTokens && state.Rows > 0; place++)
        {
            cancellation.ThrowIfCancellationRequested();
            Choose(state, live, numbers, place, chosen, scores);
            var (rows, left) = (state.Rows, 0);
            for (var row = 0; row < rows; row++)
            {
                var (prompt, token) = (live[row], chosen[row]);
                if (ends.Contains(token))
                {
                    results[prompt] = new Generated(texts[prompt], scores[prompt], FinishReason.StopToken);
                    continue;
                }

                texts[prompt].Add(token);
                _read[prompt].Add(token);
                _constraints[prompt]?.Accept(token);
                (going[left], live[left], chosen[left]) = (row, prompt, token);
                left++;
                yield return (prompt, token);
            }

            if (left == 0) yield break;
            if (left < rows) state.Select(going.AsSpan(0, left));
        }

        for (var row = 0; row < state.Rows; row++)
            results[live[row]] = new Generated(texts[live[row]], scores[live[row]], FinishReason.Length);
    }

    /// <summary>Reads the last choices, or at first the prompts, and chooses the next token of each row.</summary>
    private void Choose(DecodingState state, int[] live, int[] numbers, int place, int[] chosen, double[] scores)
    {
        using var scope = Arena.Current.Scope();
        var logits = place == 0 ? model.Next(state, state.First) : model.Next(state, chosen.AsSpan(0, state.Rows));
        for (var row = 0; row < state.Rows; row++)
        {
            var prompt = live[row];
            var history = new TokenHistory(CollectionsMarshal.AsSpan(_read[prompt]), state.First[prompt].Length, numbers[prompt]);
            var (token, logProbability) = _sampler.Choose(
                logits.Floats.Slice(row * model.Vocabulary, model.Vocabulary), history, _constraints[prompt], wantsScores);
            chosen[row] = token;
            scores[prompt] += logProbability ?? 0;
        }
    }
}
