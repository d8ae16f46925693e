using Tessera.Generation.Sampling;
using Tessera.Models;
using Tessera.Models.Decoding;
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
    private readonly DecodingSession _session = new(model);

    /// <summary>The tokens of all prompts as they are chosen: which prompt, which token (the end is not reported).</summary>
    /// <param name="prompts">Token ids.</param>
    /// <param name="numbers">Which prompt each is of all that were asked for: each has random numbers of its own.</param>
    /// <param name="results">Filled: one a prompt.</param>
    /// <param name="cancellation">Stops between two tokens.</param>
    public IEnumerable<(int Prompt, int Token)> Run(
        IReadOnlyList<int[]> prompts, int[] numbers, Generated[] results, CancellationToken cancellation)
    {
        var live = Start(prompts, numbers);
        for (var place = 0; place < maxNewTokens && live.Count > 0; place++)
        {
            cancellation.ThrowIfCancellationRequested();
            Choose(live);
            for (var index = 0; index < live.Count; index++)
            {
                var text = live[index];
                if (ends.Contains(text.Chosen))
                {
                    text.Sequence.Remove();
                    results[text.Prompt] = text.Finish(FinishReason.StopToken);
                    live.RemoveAt(index--);
                    continue;
                }

                text.Accept();
                yield return (text.Prompt, text.Chosen);
            }
        }

        foreach (var text in live)
        {
            text.Sequence.Remove();
            results[text.Prompt] = text.Finish(FinishReason.Length);
        }
    }

    /// <summary>Has every prompt read what stands before its text.</summary>
    private List<Text> Start(IReadOnlyList<int[]> prompts, int[] numbers)
    {
        var sequences = Prompts.Join(_session, model, prompts, maxNewTokens);
        return [.. sequences.Select((sequence, prompt) => new Text(
            sequence, prompt, numbers[prompt], options.ConstraintOf(ends), new List<int>(maxNewTokens), wantsScores ? 0 : double.NaN))];
    }

    /// <summary>Chooses the next token of each text.</summary>
    private void Choose(List<Text> live)
    {
        using var scope = Arena.Current.Scope();
        var logits = _session.Step();
        foreach (var text in live)
        {
            var scores = logits.Floats.Slice(text.Sequence.LogitsRow * model.Vocabulary, model.Vocabulary);
            var history = new TokenHistory(text.Sequence.Tokens, text.Before, text.Number);
            var (token, logProbability) = _sampler.Choose(scores, history, text.Constraint, wantsScores);
            text.Choose(token, logProbability ?? 0);
        }
    }

    /// <summary>One text that is being written.</summary>
    private sealed class Text(DecodingSequence sequence, int prompt, int number, TokenConstraint? constraint, List<int> ids, double score)
    {
        public DecodingSequence Sequence => sequence;

        public int Prompt => prompt;

        public int Number => number;

        public TokenConstraint? Constraint => constraint;

        /// <summary>How many tokens stand before the text.</summary>
        public int Before { get; } = sequence.Length;

        public int Chosen { get; private set; }

        public void Choose(int token, double logProbability)
        {
            Chosen = token;
            score += logProbability;
        }

        /// <summary>Goes on with the token chosen, which is to be read next.</summary>
        public void Accept()
        {
            ids.Add(Chosen);
            constraint?.Accept(Chosen);
            sequence.Read(Chosen);
        }

        public Generated Finish(FinishReason reason) => new(ids, score, reason);
    }
}
