using Tessera.Nn.Blocks;

namespace Tessera.Nn.Tests;

public class LayerPatternTests
{
    [Theory]
    [InlineData("attention", "attention")]
    [InlineData("3 x lstm, attention", "lstm lstm lstm attention")]
    [InlineData("2 x (2 x kda, latent), only gru", "kda kda latent kda kda latent gru-")]
    [InlineData(" only feedForward,attention ,2 x only gru", "-feedForward attention gru- gru-")]
    public void Names_and_repetitions_become_layers(string text, string expected)
    {
        var found = LayerPattern.Parse(text).All.Select(layer => layer.Blocks switch
        {
            LayerBlocks.All => layer.Mixer ?? "attention",
            LayerBlocks.Mixer => $"{layer.Mixer ?? "attention"}-",
            _ => "-feedForward",
        });
        Assert.Equal(expected, string.Join(' ', found));
        Assert.Equal(text, LayerPattern.Parse(text).ToString());
    }

    [Fact]
    public void A_number_is_so_many_layers_of_the_stacks_attention()
    {
        LayerPattern twelve = 12;
        Assert.Equal(LayerPattern.Parse("12"), twelve);
        Assert.Equal(LayerPattern.Parse("12 x attention"), twelve);
        Assert.NotEqual(LayerPattern.Parse("12 x lstm"), twelve);
        Assert.Equal(12, twelve.Count);
    }

    [Theory]
    [InlineData("", "a name is missing")]
    [InlineData("3 lstm", "after the number 3 comes 'x'")]
    [InlineData("3 x", "a name is missing")]
    [InlineData("(lstm", "a parenthesis is not closed")]
    [InlineData("lstm)", "')' is more than a pattern")]
    [InlineData("lstm,,gru", "a name is missing")]
    [InlineData("0 x lstm", "there would be 0 layers; allowed: 1 to 256")]
    [InlineData("257", "there would be 257 layers")]
    [InlineData("100 x (100 x (100 x lstm))", "there would be 10000 layers")]
    public void What_is_no_pattern_says_why(string text, string problem) =>
        Assert.Contains(problem, Assert.Throws<FormatException>(() => LayerPattern.Parse(text)).Message, StringComparison.Ordinal);

    [Fact]
    public void Fewer_than_one_layer_are_refused() =>
        Assert.Throws<ArgumentOutOfRangeException>(() => { LayerPattern none = 0; });
}
