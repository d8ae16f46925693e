using Tessera.Generation.Sampling;
using Tessera.Models.Decoding;
using Tessera.Tensors;

namespace Tessera.Generation.Search;

/// <summary>One text that is being written token by token: its sequence, and how its tokens are chosen.</summary>
/// <param name="sequence">Reads what stands before the text.</param>
/// <param name="sampler">Chooses tokens.</param>
/// <param name="constraint">Says which may come; all where null.</param>
/// <param name="stopTokens">The tokens that end the text.</param>
/// <param name="maxNewTokens">The greatest number of tokens.</param>
/// <param name="number">Which of all texts that were asked for: each has random numbers of its own.</param>
/// <param name="wantsScore">Whether log-probabilities are computed; the score is NaN otherwise.</param>
internal sealed class WrittenText(
    DecodingSequence sequence, Sampler sampler, TokenConstraint? constraint, int[] stopTokens, int maxNewTokens, int number,
    bool wantsScore)
{
    private readonly List<int> _ids = new(Prompts.Expected(maxNewTokens));
    private readonly int _before = sequence.Length;
    private double _score = wantsScore ? 0 : double.NaN;

    /// <summary>The token chosen last.</summary>
    public int Chosen { get; private set; }

    /// <summary>Why the text goes no further; null while it does.</summary>
    public FinishReason? Finished { get; private set; }

    /// <summary>What has been written.</summary>
    public Generated Result => new(_ids, _score, Finished ?? FinishReason.Length);

    /// <summary>Chooses the next token from the logits of a step; goes on with it, or leaves the session where the text ends.</summary>
    /// <param name="logits">[places, vocabulary] of all sequences.</param>
    /// <returns>Whether the token is one of the text: a stop token is not.</returns>
    public bool Advance(Tensor logits)
    {
        var vocabulary = logits.Shape[1];
        var history = new TokenHistory(sequence.Tokens, _before, number);
        var (token, logProbability) = sampler.Choose(
            logits.Floats.Slice(sequence.LogitsRow * vocabulary, vocabulary), history, constraint, wantsScore);
        Chosen = token;
        _score += logProbability ?? 0;
        if (stopTokens.AsSpan().Contains(token))
        {
            End(FinishReason.StopToken);
            return false;
        }

        _ids.Add(token);
        if (_ids.Count == maxNewTokens)
        {
            End(FinishReason.Length);
            return true;
        }

        constraint?.Accept(token);
        sequence.Read(token);
        return true;
    }

    /// <summary>Leaves the session.</summary>
    public void Leave() => sequence.Remove();

    private void End(FinishReason reason)
    {
        Finished = reason;
        Leave();
    }
}
