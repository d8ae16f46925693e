using Tessera.Generation.Sampling;
using Tessera.Models;
using Tessera.Models.Decoding;
using Tessera.Tensors;

namespace Tessera.Generation.Search;

/// <summary>Greedy decoding or sampling of several prompts at once; rows leave the batch as they end.</summary>
/// <param name="model">The model.</param>
/// <param name="options">How tokens are chosen.</param>
/// <param name="maxNewTokens">The greatest number of tokens.</param>
/// <param name="stopTokens">The tokens that end a sequence.</param>
/// <param name="wantsScores">Whether log-probabilities are computed; scores are NaN otherwise.</param>
internal sealed class StepwiseSearch(
    SequenceModel model, DecodingOptions options, int maxNewTokens, int[] stopTokens, bool wantsScores = true)
{
    private readonly DecodingSession _session = new(model);

    /// <summary>The tokens of all prompts as they are chosen: which prompt, which token (the end is not reported).</summary>
    /// <param name="prompts">Token ids.</param>
    /// <param name="numbers">Which prompt each is of all that were asked for: each has random numbers of its own.</param>
    /// <param name="results">Filled: one a prompt.</param>
    /// <param name="cancellation">Stops between two tokens.</param>
    public IEnumerable<(int Prompt, int Token)> Run(
        IReadOnlyList<int[]> prompts, int[] numbers, Generated[] results, CancellationToken cancellation)
    {
        var texts = Start(prompts, numbers);
        var (written, left) = (new bool[texts.Length], texts.Length);
        while (left > 0)
        {
            cancellation.ThrowIfCancellationRequested();
            Step(texts, written);
            for (var prompt = 0; prompt < texts.Length; prompt++)
            {
                if (texts[prompt] is not { } text) continue;
                var token = text.Chosen;
                if (text.Finished is not null)
                {
                    (results[prompt], texts[prompt]) = (text.Result, null);
                    left--;
                }

                if (written[prompt]) yield return (prompt, token);
            }
        }
    }

    /// <summary>Has every prompt read what stands before its text.</summary>
    private WrittenText?[] Start(IReadOnlyList<int[]> prompts, int[] numbers)
    {
        var (sampler, sequences) = (Sampler.Of(options), Prompts.Join(_session, model, prompts, maxNewTokens));
        return [.. sequences.Select((sequence, prompt) => new WrittenText(
            sequence, sampler, options.ConstraintOf(stopTokens), stopTokens, maxNewTokens, numbers[prompt], wantsScores))];
    }

    /// <summary>Writes a token of each text that goes on.</summary>
    private void Step(WrittenText?[] texts, bool[] written)
    {
        using var scope = Arena.Current.Scope();
        var logits = _session.Step();
        for (var prompt = 0; prompt < texts.Length; prompt++) written[prompt] = texts[prompt]?.Advance(logits) ?? false;
    }
}
