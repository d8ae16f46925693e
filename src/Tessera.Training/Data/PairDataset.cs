using Tessera.Models;
using Tessera.Text.Corpora;
using Tessera.Text.Tokenizers;

namespace Tessera.Training.Data;

/// <summary>Pairs of a corpus: sources are cut to their length, pairs with longer targets are left out.</summary>
internal sealed class PairDataset : PairedDataset
{
    private readonly List<(int[] Source, int[] Target)> _pairs = [];
    private readonly List<int> _fitting = [];
    private readonly int _end;

    /// <summary>Encodes pairs.</summary>
    /// <param name="examples">The pairs, each with a source.</param>
    /// <param name="tokenizer">Turns texts into ids.</param>
    /// <param name="format">What stands before and after them.</param>
    /// <param name="options">Sizes of batches.</param>
    /// <exception cref="InvalidDataException">No target is short enough.</exception>
    public PairDataset(IReadOnlyList<Example> examples, Tokenizer tokenizer, PromptFormat format, BatchOptions options) : base(options)
    {
        _end = format.End().Length;
        foreach (var example in examples)
        {
            var target = format.EncodeTarget(tokenizer, example.Target);
            if (target.Length - 1 > options.Length) TooLong++;
            else _pairs.Add((format.EncodeSource(tokenizer, example.Source!, options.SourceLength), target));
        }

        Choose();
        if (Count == 0)
        {
            throw new InvalidDataException(
                $"data: none of {examples.Count} pairs has a target of fewer than {options.Length} tokens "
                + "(batches.length, or the phase's length)");
        }
    }

    /// <inheritdoc/>
    public override int Count => _fitting.Count;

    /// <inheritdoc/>
    protected override bool Fit(int length, int sourceLength)
    {
        if (!base.Fit(length, sourceLength)) return false;
        Choose();
        return true;
    }

    /// <inheritdoc/>
    protected override IEnumerable<int[]> Rows() => _pairs.SelectMany(pair => new[] { pair.Source, pair.Target[1..^_end] });

    /// <inheritdoc/>
    protected override (int Source, int Target) SizeOf(int example)
    {
        var (source, target) = _pairs[_fitting[example]];
        return (Math.Min(source.Length, SourceLength), target.Length - 1);
    }

    /// <inheritdoc/>
    protected override void Write(int example, Span<int> source, Span<int> inputs, Span<int> targets)
    {
        var (ids, target) = _pairs[_fitting[example]];
        ids.AsSpan(0, source.Length - _end).CopyTo(source);
        ids.AsSpan(ids.Length - _end).CopyTo(source[^_end..]); // a source that is cut keeps its end
        target.AsSpan(0, inputs.Length).CopyTo(inputs);
        target.AsSpan(1).CopyTo(targets);
    }

    private void Choose()
    {
        _fitting.Clear();
        for (var pair = 0; pair < _pairs.Count; pair++)
            if (_pairs[pair].Target.Length - 1 <= Length) _fitting.Add(pair);
    }
}
