using Tessera.Tensors;

namespace Tessera.Models.Tests;

/// <summary>One engine: what a model computes over whole sequences in training it computes token by token in decoding.</summary>
public sealed class DecodingTests
{
    private const double Tolerance = 2e-5;

    public static TheoryData<string> Models => [.. SmallModels.All.Keys];

    [Theory]
    [MemberData(nameof(Models))]
    public void The_loss_is_the_mean_of_what_decoding_token_by_token_gives(string name)
    {
        using var scope = Arena.Current.Scope();
        var model = SmallModels.Build(name);
        var texts = Texts();
        int[][]? sources = model.ReadsSource ? [SmallModels.Text(7, 21), SmallModels.Text(3, 22), SmallModels.Text(1, 23)] : null;
        var loss = SmallModels.Loss(
            model, SmallModels.Batch(sources, [.. texts.Select(text => text[..^1])], [.. texts.Select(text => text[1..])]));

        int[][] prompts = sources ?? [.. texts.Select(text => text[..1])];
        var state = new DecodedRows(model, prompts);
        var (sum, count) = (0.0, 0);
        for (var place = 0; place < texts.Max(text => text.Length) - 1; place++)
        {
            var logits = state.Next([.. texts.Select(text => new[] { place < text.Length ? text[place] : 0 })]);
            for (var row = 0; row < texts.Length; row++)
            {
                if (place + 1 >= texts[row].Length) continue;
                sum += SmallModels.CrossEntropy(logits, row, texts[row][place + 1]);
                count++;
            }
        }

        Assert.Equal(sum / count, loss, Tolerance);
        Assert.InRange(loss, 0.5, 20);
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void Rows_may_be_read_in_pieces_of_different_lengths(string name)
    {
        using var scope = Arena.Current.Scope();
        var model = SmallModels.Build(name);
        var texts = Texts();
        int[][]? sources = model.ReadsSource ? [SmallModels.Text(7, 21), SmallModels.Text(3, 22), SmallModels.Text(1, 23)] : null;
        int[] read = [0, 0, 0];
        var state = new DecodedRows(model, sources ?? texts);
        foreach (var counts in new[] { new[] { 4, 1, 2 }, [1, 2, 1], [2, 1, 1] })
        {
            var logits = state.Next([.. texts.Select((text, row) => text[read[row]..(read[row] + counts[row])])]);
            for (var row = 0; row < texts.Length; row++)
            {
                read[row] += counts[row];
                var targets = new int[read[row]];
                Array.Fill(targets, -1);
                targets[^1] = 5;
                var alone = SmallModels.Batch(sources is null ? null : [sources[row]], [texts[row][..read[row]]], [targets]);
                Assert.Equal(SmallModels.Loss(model, alone), SmallModels.CrossEntropy(logits, row, 5), Tolerance);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void Padding_of_a_batch_changes_nothing(string name)
    {
        using var scope = Arena.Current.Scope();
        var model = SmallModels.Build(name);
        var texts = Texts();
        int[][] sources = [SmallModels.Text(7, 21), SmallModels.Text(3, 22), SmallModels.Text(1, 23)];
        var together = SmallModels.Loss(
            model,
            SmallModels.Batch(
                model.ReadsSource ? sources : null, [.. texts.Select(text => text[..^1])], [.. texts.Select(text => text[1..])]));
        var alone = texts.Select((text, row) =>
                (text.Length - 1)
                * SmallModels.Loss(model, SmallModels.Batch(model.ReadsSource ? [sources[row]] : null, [text[..^1]], [text[1..]])));
        Assert.Equal(alone.Sum() / texts.Sum(text => text.Length - 1), together, Tolerance);
    }

    [Theory]
    [InlineData("decoder")]
    [InlineData("tied decoder with experts")]
    public void Packed_texts_have_the_losses_they_have_alone(string name)
    {
        using var scope = Arena.Current.Scope();
        var model = SmallModels.Build(name);
        var (first, second) = (SmallModels.Text(6, 31), SmallModels.Text(9, 32));
        var packed = new Batch
        {
            Inputs = Row([.. first[..^1], .. second[..^1]]), Targets = Row([.. first[1..], .. second[1..]]),
            Positions = Row([.. Enumerable.Range(0, 5), .. Enumerable.Range(0, 8)]),
            Segments = Row([.. Enumerable.Repeat(0, 5), .. Enumerable.Repeat(1, 8)]), TargetTokens = 13, Tokens = 13,
        };
        var alone = (5 * Alone(first)) + (8 * Alone(second));
        Assert.Equal(alone / 13, SmallModels.Loss(model, packed), Tolerance);

        float Alone(int[] text) => SmallModels.Loss(model, SmallModels.Batch(null, [text[..^1]], [text[1..]]));
        static Tensor Row(int[] values) => Tensor.From(values, [1, values.Length]);
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void Rows_that_are_repeated_and_exchanged_go_on_as_texts_of_their_own(string name)
    {
        using var scope = Arena.Current.Scope();
        var model = SmallModels.Build(name);
        int[][] prompts = [SmallModels.Text(5, 41), SmallModels.Text(2, 42)];
        var state = new DecodedRows(model, prompts);
        int[][] first = model.ReadsSource ? [[1], [1]] : prompts;
        var texts = first.Select(text => text.ToList()).ToList();
        var origin = new List<int> { 0, 1 };
        state.Next(first);
        foreach (var selection in new[] { new[] { 1, 0, 1, 0 }, [2, 2, 3, 1], [3, 0] })
        {
            state.Select(selection);
            (texts, origin) = ([.. selection.Select(row => texts[row].ToList())], [.. selection.Select(row => origin[row])]);
            Assert.Equal(selection.Length, state.Rows);
            var next = selection.Select((_, row) => 3 + ((row * 5) + texts[row].Count) % 16).ToArray();
            var logits = state.Next([.. next.Select(token => new[] { token })]);
            for (var row = 0; row < selection.Length; row++)
            {
                texts[row].Add(next[row]);
                var targets = Enumerable.Repeat(-1, texts[row].Count - 1).Append(7).ToArray();
                var afresh = SmallModels.Batch(model.ReadsSource ? [prompts[origin[row]]] : null, [[.. texts[row]]], [targets]);
                Assert.Equal(SmallModels.Loss(model, afresh), SmallModels.CrossEntropy(logits, row, 7), Tolerance);
            }
        }
    }

    [Fact]
    public void An_encoder_decoder_without_a_source_says_so()
    {
        using var scope = Arena.Current.Scope();
        var error = Assert.Throws<ArgumentException>(() =>
            SmallModels.Loss(
                SmallModels.Build("gru"),
                SmallModels.Batch(
                    null,
                    [
                        [1, 4]],
                    [
                        [4, 2]]))
        );
        Assert.Contains("sources", error.Message, StringComparison.Ordinal);
    }

    /// <summary>Beginning and end included.</summary>
    private static int[][] Texts() =>
        [
            .. new[] { 9, 5, 7 }.Select(
                (length, i) => (int[])[SpecialTokens.Begin, .. SmallModels.Text(length, (ulong)i + 1), SpecialTokens.End]),
        ];
}
