using System.Globalization;
using Tessera.Models;
using Tessera.Nn.Heads;
using Tessera.Tensors;
using Tessera.Text.Corpora;
using Tessera.Text.Tokenizers;
using Tessera.Training.Objectives;

namespace Tessera.Training.Data;

/// <summary>Texts with a label or a number, or one for each of their words.</summary>
internal sealed class LabelledTexts : RowDataset
{
    private readonly Head _head;
    private readonly bool _isPerWord;
    private readonly Dictionary<string, int> _labels;
    private readonly List<(int[] Ids, int[] Places, int[] Targets)> _texts = [];
    private readonly int[] _opening, _end;

    /// <summary>Encodes texts and reads their targets.</summary>
    /// <param name="examples">Each with a source.</param>
    /// <param name="context">Turns texts into ids; its model's head says what targets are.</param>
    /// <param name="options">Sizes of batches.</param>
    /// <exception cref="InvalidDataException">A target is no label, or no number, or there are more or fewer than words.</exception>
    public LabelledTexts(IReadOnlyList<Example> examples, ObjectiveContext context, BatchOptions options) : base(options)
    {
        var (model, tokenizer, format) = context;
        (_head, _isPerWord) = (model.Head, model.Head is TagsHead or ValueHead { IsPerToken: true });
        (_opening, _end) = (format.Opening(tokenizer), format.End());
        _labels = _head.Labels.Select((label, number) => (label, number)).ToDictionary(own => own.label, own => own.number);
        foreach (var example in examples) _texts.Add(_isPerWord ? Tagged(example, tokenizer) : Whole(example, tokenizer));
        if (Count == 0) throw new InvalidDataException("data: the corpus has no text to learn from");
    }

    /// <inheritdoc/>
    public override int Count => _texts.Count;

    private bool IsValue => _head is ValueHead;

    /// <inheritdoc/>
    protected override IEnumerable<int[]> Rows() => _texts.SelectMany(text =>
        new[] { text.Ids, text.Targets.Select(target => IsValue ? 0 : target).ToArray() });

    /// <inheritdoc/>
    protected override int TokensOf(int example) => Math.Min(Length, _opening.Length + _texts[example].Ids.Length + _end.Length);

    /// <inheritdoc/>
    protected override Tensor NoTargets(int rows, int length)
    {
        var targets = _isPerWord
            ? Tensor.Temporary([rows, length], IsValue ? ElementType.F32 : ElementType.I32)
            : Tensor.Temporary([rows], IsValue ? ElementType.F32 : ElementType.I32);
        if (IsValue) targets.Floats.Fill(float.NaN);
        else targets.Ints.Fill(-1);
        return targets;
    }

    /// <inheritdoc/>
    protected override int Write(int example, int row, Span<int> inputs, Tensor targets)
    {
        var (ids, places, goals) = _texts[example];
        var count = inputs.Length - _opening.Length - _end.Length;
        _opening.CopyTo(inputs);
        ids.AsSpan(0, count).CopyTo(inputs[_opening.Length..]);
        _end.CopyTo(inputs[^_end.Length..]);
        var predicted = 0;
        for (var index = 0; index < goals.Length && (!_isPerWord || places[index] < count); index++, predicted++)
        {
            var at = _isPerWord ? (row * targets.Shape[1]) + _opening.Length + places[index] : row;
            if (IsValue) targets.Floats[at] = BitConverter.Int32BitsToSingle(goals[index]);
            else targets.Ints[at] = goals[index];
        }

        return predicted;
    }

    private (int[] Ids, int[] Places, int[] Targets) Whole(Example example, Tokenizer tokenizer) =>
        (tokenizer.EncodeOrdinary(example.Source!), [0], [Target(example.Target.Trim())]);

    private (int[] Ids, int[] Places, int[] Targets) Tagged(Example example, Tokenizer tokenizer)
    {
        var (words, targets) = (Labels.Words(example.Source!), Labels.Words(example.Target));
        if (words.Length != targets.Length)
        {
            throw new InvalidDataException(
                $"data: '{Short(example.Source!)}' has {words.Length} words, but '{Short(example.Target)}' is {targets.Length} targets; "
                + "each word needs one");
        }

        var (ids, places) = (new List<int>(), new int[words.Length]);
        for (var word = 0; word < words.Length; word++)
        {
            places[word] = ids.Count;
            ids.AddRange(tokenizer.EncodeOrdinary(word == 0 ? words[word] : " " + words[word]));
        }

        return ([.. ids], places, [.. targets.Select(Target)]);
    }

    /// <summary>The number of a label, or the bits of a number.</summary>
    private int Target(string text)
    {
        if (!IsValue)
        {
            return _labels.TryGetValue(text, out var number)
                ? number
                : throw new InvalidDataException(
                    $"data: the target '{Short(text)}' is no label of the model; allowed: {Short(string.Join(", ", _labels.Keys))}");
        }

        var isNumber = float.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var value) && float.IsFinite(value);
        return isNumber
            ? BitConverter.SingleToInt32Bits(value)
            : throw new InvalidDataException($"data: the target '{Short(text)}' is no number, which the model's head gives");
    }

    private static string Short(string text) => text.Length <= 80 ? text : text[..80] + "…";
}
