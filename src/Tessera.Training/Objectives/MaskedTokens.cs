using Tessera.Models;
using Tessera.Nn.Heads;
using Tessera.Tensors;
using Tessera.Text.Corpora;
using Tessera.Training.Data;

namespace Tessera.Training.Objectives;

/// <summary>Options of <see cref="MaskedTokens"/>; <c>"kind": "masked-tokens"</c> in a recipe.</summary>
/// <param name="Rate">Which share of the tokens is to be predicted, above 0, at most 1.</param>
/// <param name="MaskShare">Which share of those is read as <paramref name="Mask"/>, from 0 to 1.</param>
/// <param name="RandomShare">Which share of those is read as a random token; from 0 to 1 with the former. The rest is read as
/// it is.</param>
/// <param name="Mask">The token that stands for one that is not shown.</param>
public sealed record MaskedTokensOptions(
    double Rate = 0.15, double MaskShare = 0.8, double RandomShare = 0.1, string Mask = "<mask>") : ObjectiveOptions
{
    /// <inheritdoc/>
    public override IReadOnlyList<Sentinel> Sentinels() => [new("mask", Mask)];

    /// <inheritdoc/>
    public override int MinLength() => 8;

    /// <inheritdoc/>
    public override bool Fits(SequenceModel model) => !model.ReadsSource && !model.Generates && model.Head is TokensHead;

    /// <inheritdoc/>
    public override Objective Build(ObjectiveContext context) => new MaskedTokens(this, context);

    /// <inheritdoc/>
    public override void Validate(string path)
    {
        Require(Rate is > 0 and <= 1, $"{path}.rate", Rate, "above 0, at most 1");
        Require(MaskShare is >= 0 and <= 1, $"{path}.maskShare", MaskShare, "0 to 1");
        Require(
            RandomShare >= 0 && MaskShare + RandomShare <= 1, $"{path}.randomShare", RandomShare,
            $"0 to {1 - MaskShare}, what maskShare leaves");
        Require(Mask.Length > 0, $"{path}.mask", "''", "a text");
    }
}

/// <summary>
/// An encoder says which tokens stood in places that are masked: of a text of n tokens round(n·rate), at least one, at random places, drawn
/// anew in each epoch. Longer texts are cut into stretches of <c>length</c>. Of a pair, source and target are a text each.
/// <para>Devlin et al. 2018 (BERT), <see href="https://arxiv.org/abs/1810.04805"/>, section 3.1; masks drawn anew: Liu et al. 2019
/// (RoBERTa), <see href="https://arxiv.org/abs/1907.11692"/>.</para>
/// </summary>
public sealed class MaskedTokens : Objective
{
    private readonly MaskedTokensOptions _options;

    internal MaskedTokens(MaskedTokensOptions options, ObjectiveContext context) : base(context) => _options = options;

    /// <inheritdoc/>
    public override Dataset Prepare(IReadOnlyList<Example> examples, BatchOptions batches) =>
        new MaskedTexts(examples, Context, _options, batches);
}

/// <summary>Stretches of texts with masked tokens.</summary>
internal sealed class MaskedTexts : RowDataset
{
    private readonly MaskedTokensOptions _options;
    private readonly List<int[]> _texts;
    private readonly List<(int Text, int Start, int Count)> _stretches = [];
    private readonly int[] _opening, _end, _ordinary;
    private readonly int _mask;
    private CounterRandom _random = new(0);

    /// <summary>Encodes texts.</summary>
    /// <param name="examples">The texts.</param>
    /// <param name="context">Turns them into ids.</param>
    /// <param name="options">How much is masked.</param>
    /// <param name="batches">Sizes of batches.</param>
    /// <exception cref="InvalidDataException">There is no text.</exception>
    public MaskedTexts(IReadOnlyList<Example> examples, ObjectiveContext context, MaskedTokensOptions options, BatchOptions batches)
        : base(batches)
    {
        var (model, tokenizer, format) = context;
        (_options, _mask) = (options, context.IdOf(options.Mask));
        (_opening, _end) = (format.Opening(tokenizer), format.End());
        HashSet<int> special = [.. tokenizer.AddedTokens.Where(token => token.Special).Select(token => token.Id), _mask];
        _ordinary = [.. Enumerable.Range(0, Math.Min(model.Vocabulary, tokenizer.VocabularySize)).Where(id => !special.Contains(id))];
        var texts = examples.SelectMany(example => example.Source is null ? [example.Target] : new[] { example.Source, example.Target });
        _texts = [.. texts.Select(tokenizer.EncodeOrdinary).Where(text => text.Length > 0)];
        Cut();
        if (Count == 0) throw new InvalidDataException("data: the corpus has no text to learn from");
    }

    /// <inheritdoc/>
    public override int Count => _stretches.Count;

    /// <inheritdoc/>
    protected override IEnumerable<int[]> Rows() => _texts;

    /// <inheritdoc/>
    protected override bool Fit(int length, int sourceLength)
    {
        if (!base.Fit(length, sourceLength)) return false;
        Cut();
        return true;
    }

    /// <inheritdoc/>
    protected override void Arrange(CounterRandom random) => _random = random;

    /// <inheritdoc/>
    protected override int TokensOf(int example) => _opening.Length + _stretches[example].Count + _end.Length;

    /// <inheritdoc/>
    protected override int Write(int example, int row, Span<int> inputs, Tensor targets)
    {
        var (text, start, count) = _stretches[example];
        var (random, missing) = (_random.Derive((ulong)example), Math.Clamp((int)Math.Round(count * _options.Rate), 1, count));
        var chosen = missing;
        var goals = targets.Ints.Slice((row * targets.Shape[1]) + _opening.Length, count);
        _opening.CopyTo(inputs);
        var read = inputs.Slice(_opening.Length, count);
        _texts[text].AsSpan(start, count).CopyTo(read);
        _end.CopyTo(inputs[^_end.Length..]);
        for (var place = 0; place < count; place++)
        {
            // Every set of places is as likely as any other (Knuth, volume 2, 3.4.2, algorithm S).
            var draw = 3 * (ulong)place;
            if (random.Uniform(draw) * (count - place) >= missing) continue;
            missing--;
            goals[place] = read[place];
            var kind = random.Uniform(draw + 1);
            if (kind < _options.MaskShare) read[place] = _mask;
            else if (kind < _options.MaskShare + _options.RandomShare) read[place] = _ordinary[random.Below(_ordinary.Length, draw + 2)];
        }

        return chosen;
    }

    private void Cut()
    {
        _stretches.Clear();
        var room = Math.Max(1, Length - _opening.Length - _end.Length);
        for (var text = 0; text < _texts.Count; text++)
        {
            for (var start = 0; start < _texts[text].Length; start += room)
                _stretches.Add((text, start, Math.Min(room, _texts[text].Length - start)));
        }
    }
}
