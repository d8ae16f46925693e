using System.Globalization;
using Tessera.Models;
using Tessera.Tensors;
using Tessera.Text.Corpora;
using Tessera.Training.Data;

namespace Tessera.Training.Objectives;

/// <summary>Options of <see cref="SpanCorruption"/>; <c>"kind": "span-corruption"</c> in a recipe.</summary>
/// <param name="Density">Which share of the tokens is taken out, above 0, at most 0.5.</param>
/// <param name="SpanLength">How many neighbouring tokens are taken out together on average; at least 1.</param>
/// <param name="MaxSpans">The most spans that are taken out of one stretch of text, 1 to 1,000: as many tokens mark gaps.</param>
/// <param name="Sentinel">How those tokens are written: <c>#</c> stands for a number from 0.</param>
public sealed record SpanCorruptionOptions(
    double Density = 0.15, double SpanLength = 3, int MaxSpans = 100, string Sentinel = "<extra_id_#>") : ObjectiveOptions
{
    /// <inheritdoc/>
    public override IReadOnlyList<Sentinel> Sentinels() => [.. Enumerable.Range(0, MaxSpans).Select(number =>
        new Sentinel("sentinel", Sentinel.Replace("#", number.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal)))];

    /// <inheritdoc/>
    public override int MinLength() => 3;

    /// <inheritdoc/>
    public override int MinSourceLength() => 3;

    /// <inheritdoc/>
    public override bool Fits(SequenceModel model) => model.Generates && model.ReadsSource;

    /// <inheritdoc/>
    public override Objective Build(ObjectiveContext context) => new SpanCorruption(this, context);

    /// <inheritdoc/>
    public override void Validate(string path)
    {
        Require(Density is > 0 and <= 0.5, $"{path}.density", Density, "above 0, at most 0.5");
        Require(SpanLength >= 1 && double.IsFinite(SpanLength), $"{path}.spanLength", SpanLength, "at least 1");
        Require(MaxSpans is >= 1 and <= 1000, $"{path}.maxSpans", MaxSpans, "1 to 1000");
        var isNumbered = Sentinel.Contains('#', StringComparison.Ordinal);
        Require(isNumbered, $"{path}.sentinel", $"'{Sentinel}'", "a text with #, which stands for a number");
    }
}

/// <summary>
/// From a text with gaps an encoder-decoder writes what stood in them: of n tokens round(n·density) are taken out in round(that / span
/// length) spans at random places, each gap and each span marked by the same token: source <c>a X c Y</c>, target <c>X b Y d</c>. Longer
/// texts are cut
/// into stretches whose source and target fit <c>sourceLength</c> and <c>length</c>; gaps are drawn anew in each epoch. Of a pair, source
/// and target are a text each.
/// <para>Raffel et al. 2020 (T5), <see href="https://arxiv.org/abs/1910.10683"/>, section 3.1.4; spans as T5's
/// <c>random_spans_noise_mask</c>
/// draws them, so that a text never begins with a gap.</para>
/// </summary>
internal sealed class SpanCorruption : Objective
{
    private readonly SpanCorruptionOptions _options;

    internal SpanCorruption(SpanCorruptionOptions options, ObjectiveContext context) : base(context) => _options = options;

    /// <inheritdoc/>
    public override Dataset Prepare(IReadOnlyList<Example> examples, BatchOptions batches) =>
        new CorruptedTexts(examples, Context, _options, batches);

    /// <summary>How many tokens are taken out of so many, and in how many spans.</summary>
    internal static (int Noise, int Spans) NoiseOf(int tokens, SpanCorruptionOptions options)
    {
        var noise = Math.Clamp((int)Math.Round(tokens * options.Density), 1, tokens - 1);
        return (noise, Math.Clamp((int)Math.Round(noise / options.SpanLength), 1, Math.Min(noise, tokens - noise)));
    }
}

/// <summary>Stretches of texts, corrupted.</summary>
internal sealed class CorruptedTexts : PairedDataset
{
    private readonly SpanCorruptionOptions _options;
    private readonly List<int[]> _texts;
    private readonly List<(int Text, int Start, int Count)> _stretches = [];
    private readonly int[] _opening, _end, _sentinels, _kept, _removed;
    private CounterRandom _random = new(0);

    /// <summary>Encodes texts.</summary>
    /// <param name="examples">The texts.</param>
    /// <param name="context">Turns them into ids.</param>
    /// <param name="options">How much is taken out.</param>
    /// <param name="batches">Sizes of batches.</param>
    /// <exception cref="InvalidDataException">No text has two tokens.</exception>
    public CorruptedTexts(
        IReadOnlyList<Example> examples, ObjectiveContext context, SpanCorruptionOptions options, BatchOptions batches) : base(batches)
    {
        var (_, tokenizer, format) = context;
        (_options, _opening, _end) = (options, format.TargetOpening(), format.End());
        _sentinels = [.. options.Sentinels().Select(sentinel => context.IdOf(sentinel.Text))];
        (_kept, _removed) = (new int[_sentinels.Length], new int[_sentinels.Length]);
        var texts = examples.SelectMany(example => example.Source is null ? [example.Target] : new[] { example.Source, example.Target });
        _texts = [.. texts.Select(tokenizer.EncodeOrdinary).Where(text => text.Length > 1)];
        Cut();
        if (Count == 0) throw new InvalidDataException("data: the corpus has no text of two tokens to learn from");
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
    protected override (int Source, int Target) SizeOf(int example) => SizeOfStretch(_stretches[example].Count);

    /// <inheritdoc/>
    protected override void Write(int example, Span<int> source, Span<int> inputs, Span<int> targets)
    {
        var (text, start, count) = _stretches[example];
        ReadOnlySpan<int> tokens = _texts[text].AsSpan(start, count);
        var (noise, spans) = SpanCorruption.NoiseOf(count, _options);
        var random = _random.Derive((ulong)example);
        Divide(count - noise, _kept.AsSpan(0, spans), random.Derive("kept"));
        Divide(noise, _removed.AsSpan(0, spans), random.Derive("removed"));
        _opening.CopyTo(inputs);
        var (read, written) = (0, 0);
        for (var span = 0; span < spans; span++)
        {
            tokens[.._kept[span]].CopyTo(source[read..]);
            source[read + _kept[span]] = targets[written] = _sentinels[span];
            tokens.Slice(_kept[span], _removed[span]).CopyTo(targets[(written + 1)..]);
            tokens = tokens[(_kept[span] + _removed[span])..];
            (read, written) = (read + _kept[span] + 1, written + 1 + _removed[span]);
        }

        _end.CopyTo(source[read..]);
        _end.CopyTo(targets[written..]);
        targets[..^1].CopyTo(inputs[1..]);
    }

    /// <summary>Divides a number of tokens into stretches of at least one each, every division alike.</summary>
    private static void Divide(int tokens, Span<int> stretches, CounterRandom random)
    {
        // Of the tokens − 1 places between two tokens as many are drawn as divide them (Knuth, volume 2, 3.4.2, algorithm S).
        var (begun, stretch, missing) = (0, 0, stretches.Length - 1);
        for (var place = 1; place < tokens; place++)
        {
            if (random.Uniform((ulong)place) * (tokens - place) >= missing) continue;
            stretches[stretch++] = place - begun;
            (begun, missing) = (place, missing - 1);
        }

        stretches[stretch] = tokens - begun;
    }

    private (int Source, int Target) SizeOfStretch(int tokens)
    {
        var (noise, spans) = SpanCorruption.NoiseOf(tokens, _options);
        return (tokens - noise + spans + _end.Length, noise + spans + _end.Length);
    }

    private bool Fits(int tokens)
    {
        var (source, target) = SizeOfStretch(tokens);
        return source <= SourceLength && target <= Length && SpanCorruption.NoiseOf(tokens, _options).Spans <= _sentinels.Length;
    }

    private void Cut()
    {
        _stretches.Clear();
        var longest = 2;
        while (longest < SourceLength + Length && Fits(longest + 1)) longest++;
        for (var text = 0; text < _texts.Count; text++)
        {
            // A last stretch of one token could not be corrupted: the one before leaves it another.
            for (var start = 0; _texts[text].Length - start > 1;)
            {
                var left = _texts[text].Length - start;
                var count = left == longest + 1 && longest > 2 ? longest - 1 : Math.Min(left, longest);
                _stretches.Add((text, start, count));
                start += count;
            }
        }
    }
}
