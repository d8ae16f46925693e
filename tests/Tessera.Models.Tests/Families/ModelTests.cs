using Tessera.Nn;
using Tessera.Tensors;

namespace Tessera.Models.Tests;

public sealed class ModelTests
{
    public static TheoryData<string> Models => [.. SmallModels.All.Keys];

    [Theory]
    [MemberData(nameof(Models))]
    public void The_same_seed_gives_the_same_weights_and_another_others(string name)
    {
        var (first, same, other) = (Weights(1), Weights(1), Weights(2));
        Assert.Equal(first.Keys, other.Keys);
        foreach (var (parameter, weights) in first)
        {
            Assert.Equal(weights, same[parameter]);
            if (weights.Distinct().Count() > 1) Assert.NotEqual(weights, other[parameter]);
        }

        Dictionary<string, float[]> Weights(ulong seed) =>
            SmallModels.Build(name, seed).Parameters().ToDictionary(own => own.Name, own => own.Parameter.Value.ToArray());
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void Active_weights_are_never_more_than_all(string name)
    {
        var model = SmallModels.Build(name);
        Assert.InRange(model.ActiveParameterCount(), 1, model.ParameterCount());
    }

    [Fact]
    public void Counts_of_a_decoder_are_those_of_a_calculation_by_hand()
    {
        const int Table = 19 * 8;
        const int Attention = (8 * 8) + (4 * 8) + (4 * 8) + (8 * 8), FeedForward = 3 * 8 * 10, Norms = 2 * 8;
        const int Stack = (2 * (Attention + FeedForward + Norms)) + 8;
        var model = SmallModels.Build("decoder");
        Assert.Equal((2 * Table) + Stack, model.ParameterCount());
        Assert.Equal(8 + Table + Stack, model.ActiveParameterCount()); // one row of the first table, all of the head

        var tied = (SmallModels.All["decoder"] with { TieEmbeddings = true }).Build(SmallModels.Vocabulary, 1);
        Assert.Equal(Table + Stack, tied.ParameterCount());
        Assert.Equal(tied.ParameterCount(), tied.ActiveParameterCount()); // the head reads the whole table
        Assert.Equal(model.FlopsPerToken(7), tied.FlopsPerToken(7));
        Assert.Equal(2 * (Table + (2 * (Attention + FeedForward + (2 * 8 * 4)))), model.FlopsPerToken(7));
    }

    [Fact]
    public void Sharing_makes_one_table_of_two_or_three()
    {
        const int Table = 19 * 8;
        var options = (EncoderDecoderOptions)SmallModels.All["transformer"];
        var apart = Build(false, false);
        Assert.Equal(apart - Table, Build(true, false));
        Assert.Equal(apart - Table, Build(false, true));
        Assert.Equal(apart - (2 * Table), Build(true, true));

        long Build(bool share, bool tie) =>
            (options with { ShareEmbeddings = share, TieEmbeddings = tie }).Build(SmallModels.Vocabulary, 1).ParameterCount();
    }

    [Fact]
    public void Embeddings_are_multiplied_by_the_root_of_the_width_and_normed_before_the_head()
    {
        using var scope = Arena.Current.Scope();
        const int Width = SmallModels.Width, Position = 2, Token = 11;
        var model = SmallModels.Build("tied decoder with experts");
        var parameters = model.Parameters().ToDictionary(own => own.Name, own => own.Parameter.Value);
        foreach (var (name, tensor) in parameters)
            if (name.Contains("o_proj", StringComparison.Ordinal) || name.Contains("down_proj", StringComparison.Ordinal))
                tensor.Floats.Clear();

        // Where no layer adds anything, the last token's logits are the head's of its normed embedding and position.
        var table = parameters["embed_tokens.weight"].ToArray();
        var x = new double[Width];
        for (var i = 0; i < Width; i++)
        {
            var angle = Position / Math.Pow(10000, (double)(i / 2 * 2) / Width);
            x[i] = (Math.Sqrt(Width) * table[(Token * Width) + i]) + (i % 2 == 0 ? Math.Sin(angle) : Math.Cos(angle));
        }

        var size = Math.Sqrt(x.Average(value => value * value) + 1e-6);
        var rows = new DecodedRows(model, [4, 5, Token]);
        var logits = rows.Next([4, 5, Token]);
        for (var token = 0; token < SmallModels.Vocabulary; token++)
            Assert.Equal(Enumerable.Range(0, Width).Sum(i => x[i] / size * table[(token * Width) + i]), logits.Floats[token], 1e-5);
        Assert.Equal(Math.Pow(Width, -0.75), Math.Sqrt(table.Average(value => (double)value * value)), 0.04); // the table gives the logits too
    }

    [Fact]
    public void Shared_tables_need_equal_widths()
    {
        var options = (EncoderDecoderOptions)SmallModels.All["lstm"] with { ShareEmbeddings = true };
        var error = Assert.Throws<RecipeException>(() => options.Build(SmallModels.Vocabulary, 1));
        Assert.Equal("model.shareEmbeddings: is true; allowed: only where sourceWidth, 6, is width, 8", error.Message);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    [InlineData(65537)]
    public void A_width_that_cannot_be_is_named(int width)
    {
        var error = Assert.Throws<RecipeException>(() =>
            (SmallModels.All["decoder"] with { Width = width }).Build(SmallModels.Vocabulary, 1)
        );
        Assert.Equal($"model.width: is {width}; allowed: 1 to 65536", error.Message);
    }

    [Fact]
    public void A_summary_lists_parts_and_costs()
    {
        var model = SmallModels.Build("lstm");
        var summary = ModelSummary.Of(model, 10);
        Assert.Equal("model", summary.Parts[0].Name);
        Assert.Equal(model.ParameterCount(), summary.Parts[0].Parameters);
        Assert.Equal(4 * model.ParameterCount(), summary.WeightBytes);
        Assert.Equal(2 * 2 * 2 * 2 * 2 * 64 * sizeof(float), summary.CacheBytes); // layers, self and cross, keys and values, heads, width, a block
        Assert.Contains(summary.Parts, part =>
            part is { Name: "encoder", Kind: "Recurrence" } && part.Shapes.Contains("weight_ih_l0 [20, 6]", StringComparison.Ordinal)
        );
        Assert.Equal(model.FlopsPerToken(10), summary.FlopsPerToken);
    }
}
