using System.Text;

namespace Tessera.Text.Tokenizers;

/// <summary>
/// A decoder at work on one text, token by token. It hands on a piece as soon as no later token can change it, so that what it has
/// handed on after any number of tokens, and what <see cref="Finish"/> adds, is the text of these tokens.
/// </summary>
internal abstract class DecoderStep
{
    /// <summary>Takes the next token, or the next part of the only one.</summary>
    /// <param name="token">Its text; may be empty.</param>
    /// <param name="into">Takes the pieces that are settled by it.</param>
    public abstract void Add(string token, List<string> into);

    /// <summary>Hands on what was held back: no more tokens come.</summary>
    public virtual void Finish(List<string> into)
    {
    }

    /// <summary>The same place in the text once more; both go on by themselves.</summary>
    public virtual DecoderStep Fork() => (DecoderStep)MemberwiseClone();
}

/// <summary>Changes each token by itself.</summary>
/// <param name="change">Given a token and whether it is the first of its text.</param>
internal sealed class TokenwiseStep(Func<string, bool, string> change) : DecoderStep
{
    private bool _goesOn;

    public override void Add(string token, List<string> into)
    {
        into.Add(change(token, !_goesOn));
        _goesOn = true;
    }
}

/// <summary>Puts blanks between tokens: what there is where a tokenizer has no decoder.</summary>
internal sealed class SpacedStep : DecoderStep
{
    private bool _goesOn;

    public override void Add(string token, List<string> into)
    {
        into.Add(_goesOn ? $" {token}" : token);
        _goesOn = true;
    }
}

/// <summary>Gathers the parts of one token, for a step that must see it whole.</summary>
/// <param name="step">Is given it at the end.</param>
internal sealed class GatheringStep(DecoderStep step) : DecoderStep
{
    private readonly StringBuilder _whole = new();

    private GatheringStep(GatheringStep other) : this(other.Step.Fork()) => _whole.Append(other._whole);

    private DecoderStep Step => step;

    public override void Add(string token, List<string> into) => _whole.Append(token);

    public override void Finish(List<string> into)
    {
        step.Add(_whole.ToString(), into);
        step.Finish(into);
    }

    public override DecoderStep Fork() => new GatheringStep(this);
}

/// <summary>Steps one after the other.</summary>
internal sealed class StepSequence(DecoderStep[] steps) : DecoderStep
{
    private readonly List<string>[] _given = [.. steps.Select(_ => new List<string>())];

    public override void Add(string token, List<string> into) => Pass(token, 0, into);

    public override void Finish(List<string> into)
    {
        for (var index = 0; index < steps.Length; index++)
        {
            _given[index].Clear();
            steps[index].Finish(_given[index]);
            foreach (var piece in _given[index]) Pass(piece, index + 1, into);
        }
    }

    public override DecoderStep Fork() => new StepSequence([.. steps.Select(step => step.Fork())]);

    private void Pass(string token, int index, List<string> into)
    {
        if (index == steps.Length)
        {
            into.Add(token);
            return;
        }

        _given[index].Clear();
        steps[index].Add(token, _given[index]);
        foreach (var piece in _given[index]) Pass(piece, index + 1, into);
    }
}
