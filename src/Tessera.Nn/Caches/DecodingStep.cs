using System.Runtime.InteropServices;

namespace Tessera.Nn.Caches;

/// <summary>What one sequence reads in a step.</summary>
/// <param name="Number">Its number in the caches.</param>
/// <param name="FirstToken">Where its tokens begin among those of the step.</param>
/// <param name="Tokens">How many it reads, at least 1.</param>
/// <param name="Position">How many it has read before.</param>
public readonly record struct SequencePart(int Number, int FirstToken, int Tokens, int Position);

/// <summary>Consecutive sequences of a step that read equally many tokens, and so can be taken as a batch.</summary>
/// <param name="First">The index of the first.</param>
/// <param name="Sequences">How many.</param>
/// <param name="TokensEach">How many tokens each reads.</param>
/// <param name="FirstToken">Where their tokens begin among those of the step.</param>
public readonly record struct StepRun(int First, int Sequences, int TokensEach, int FirstToken)
{
    /// <summary>How many tokens they read together.</summary>
    public int Tokens => Sequences * TokensEach;
}

/// <summary>
/// One step of decoding: any number of sequences, each of which reads some tokens. The tokens of all stand one after the other in a batch
/// of one row, [1, tokens, …], without padding; whatever does not let tokens see one another need not know.
/// </summary>
/// <param name="caches">Have the sequences.</param>
public sealed class DecodingStep(CacheSet caches)
{
    private readonly List<SequencePart> _sequences = [];
    private readonly List<StepRun> _runs = [];

    /// <summary>What the sequences have read before.</summary>
    public CacheSet Caches => caches;

    /// <summary>Who takes part, in the order of the tokens.</summary>
    public ReadOnlySpan<SequencePart> Sequences => CollectionsMarshal.AsSpan(_sequences);

    /// <summary>The same in runs of equally many tokens.</summary>
    public ReadOnlySpan<StepRun> Runs => CollectionsMarshal.AsSpan(_runs);

    /// <summary>How many tokens are read.</summary>
    public int Tokens { get; private set; }

    /// <summary>Nobody takes part.</summary>
    public void Clear()
    {
        _sequences.Clear();
        _runs.Clear();
        Tokens = 0;
    }

    /// <summary>A sequence takes part; those that read equally many tokens best follow one another.</summary>
    /// <param name="sequence">Its number.</param>
    /// <param name="tokens">How many tokens it reads.</param>
    /// <param name="position">How many it has read before.</param>
    public void Add(int sequence, int tokens, int position)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(tokens, 1);
        if (_runs.Count > 0 && _runs[^1].TokensEach == tokens) _runs[^1] = _runs[^1] with { Sequences = _runs[^1].Sequences + 1 };
        else _runs.Add(new StepRun(_sequences.Count, 1, tokens, Tokens));
        _sequences.Add(new SequencePart(sequence, Tokens, tokens, position));
        Tokens += tokens;
    }

    /// <summary>Whether no sequence of a run has read anything before.</summary>
    public bool IsFirstOf(StepRun run)
    {
        foreach (ref readonly var part in Sequences.Slice(run.First, run.Sequences))
            if (part.Position > 0) return false;
        return true;
    }
}
