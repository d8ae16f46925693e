using Tessera.Models;
using Tessera.Models.Recipes;
using Tessera.Tensors;
using Tessera.Text.Corpora;
using Tessera.Text.Tokenizers;
using Tessera.Training.Data;
using Tessera.Training.Objectives;
using Tessera.Training.Tests.Data;

namespace Tessera.Training.Tests.Objectives;

public sealed class MaskedTokensTests
{
    private const int Mask = 3, Begin = SpecialTokens.Begin, End = SpecialTokens.End;

    private static readonly Tokenizer s_tokenizer = ByteTokens.With("<mask>");
    private static readonly CounterRandom s_random = new(11);

    [Fact]
    public void Of_the_tokens_15_percent_are_predicted_of_which_80_percent_are_masked_and_10_percent_random()
    {
        var text = string.Concat(Enumerable.Range(0, 1000).Select(i => (char)('a' + (i % 26))));
        var data = Prepare(new MaskedTokensOptions(), text, 102);
        var (predicted, masked, kept, random, places) = (0, 0, 0, 0, 0);
        var at = new int[100];
        for (var epoch = 0; epoch < 60; epoch++)
        {
            foreach (var (inputs, targets) in Rows(data, epoch))
            {
                Assert.Equal((Begin, End, 102), (inputs[0], inputs[^1], inputs.Length));
                Assert.Equal((-1, -1), (targets[0], targets[^1]));
                Assert.Equal(15, targets.Count(target => target >= 0));
                for (var i = 1; i <= 100; i++)
                {
                    places++;
                    Assert.True(targets[i] >= 0 || s_tokenizer.Decode([inputs[i]]) is [>= 'a' and <= 'z'],
                        "what is not predicted is read as it is");
                    if (targets[i] < 0) continue;
                    (predicted, at[i - 1]) = (predicted + 1, at[i - 1] + 1);
                    Assert.InRange(s_tokenizer.Decode([targets[i]])[0], 'a', 'z');
                    if (inputs[i] == Mask) masked++;
                    else if (inputs[i] == targets[i]) kept++;
                    else random++;
                    Assert.False(inputs[i] < Mask, "a special token was drawn");
                }
            }
        }

        // 9,000 predictions: deviations of 0.42 and 0.32 percent; a random token is the same as the true one once in 256.
        Assert.Equal((9000, 60_000), (predicted, places));
        Assert.InRange((double)masked / predicted, 0.785, 0.815);
        Assert.InRange((double)kept / predicted, 0.088, 0.113);
        Assert.InRange((double)random / predicted, 0.088, 0.112);
        Assert.All(at, count => Assert.InRange(count, 50, 135)); // 90 expected, deviation 8.7: every place is drawn
    }

    [Fact]
    public void A_short_text_has_one_token_to_predict_and_a_long_one_is_cut_where_rows_end()
    {
        var data = Prepare(new MaskedTokensOptions(MaskShare: 0, RandomShare: 0), "abcdefghijklm", 12);
        Assert.Equal(["abcdefghij", "klm"], Rows(data, 0).Select(row => s_tokenizer.Decode(row.Inputs)).Order(StringComparer.Ordinal));
        data.Resize(8, 8);
        var rows = Rows(data, 1).ToList();
        Assert.Equal(["abcdef", "ghijkl", "m"], rows.Select(row => s_tokenizer.Decode(row.Inputs)).Order(StringComparer.Ordinal));
        Assert.All(rows, row => Assert.Equal(1, row.Targets.Count(target => target >= 0)));
    }

    [Fact]
    public void The_same_epoch_gives_the_same_masks_and_another_others()
    {
        var data = Prepare(new MaskedTokensOptions(), new string('x', 300), 64);
        var again = Prepare(new MaskedTokensOptions(), new string('x', 300), 64);
        Assert.Equal(Flat(data, 2), Flat(again, 2));
        Assert.NotEqual(Flat(data, 2), Flat(data, 3));

        static List<int> Flat(Dataset data, int epoch) => [.. Rows(data, epoch).SelectMany(row => row.Inputs)];
    }

    private static Dataset Prepare(MaskedTokensOptions options, string text, int length)
    {
        var encoder = RecipeJson.Read<ModelOptions>(RecipeJson.Parse(LabelsTests.Encoder("tokens"), "test"));
        var model = encoder.Build(s_tokenizer.VocabularySize, 1);
        Assert.True(options.Fits(model));
        return options.Build(new ObjectiveContext(model, s_tokenizer, PromptFormat.Own))
            .Prepare([new Example(null, text, "g")], new BatchOptions { Length = length, Tokens = 300 });
    }

    private static List<(int[] Inputs, int[] Targets)> Rows(Dataset data, int epoch)
    {
        var rows = new List<(int[] Inputs, int[] Targets)>();
        for (var index = 0; index < data.BatchesIn(epoch, s_random); index++)
        {
            using var scope = Arena.Current.Scope();
            var batch = data.Make(epoch, index, s_random);
            for (var row = 0; row < batch.Inputs.Shape[0]; row++)
            {
                var (start, count) = (row * batch.Inputs.Shape[1], batch.Lengths!.Ints[row]);
                rows.Add((batch.Inputs.Ints.Slice(start, count).ToArray(), batch.Targets.Ints.Slice(start, count).ToArray()));
            }
        }

        return rows;
    }
}
