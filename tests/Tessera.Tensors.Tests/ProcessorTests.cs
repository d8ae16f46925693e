namespace Tessera.Tensors.Tests;

public class ProcessorTests
{
    [Fact]
    public void The_levels_up_to_the_highest_can_be_used_and_each_above_says_why_it_cannot()
    {
        var highest = Processor.Levels.ToList().IndexOf(Processor.HighestLevel);
        for (var place = 0; place < Processor.Levels.Count; place++)
        {
            if (place <= highest) Assert.Null(Processor.WhyNot(Processor.Levels[place]));
            else Assert.NotEmpty(Processor.WhyNot(Processor.Levels[place])!);
        }

        Assert.Contains(Processor.Level, Processor.Levels.Take(highest + 1));
    }

    [Fact]
    public void The_levels_are_named_from_the_lowest_to_the_highest() => Assert.Equal(
        ["scalar", "vector128", "vector256", "vector512", "avx512-vnni", "avx512-bf16", "amx"], Processor.Levels);

    [Fact]
    public void Bf16_pays_exactly_where_products_of_it_have_instructions_of_their_own() =>
        Assert.Equal(Processor.Level is "avx512-bf16" or "amx", Processor.GainsFromBf16);

    [Fact]
    public void What_no_level_is_called_is_refused_with_those_there_are()
    {
        var error = Assert.Throws<ArgumentException>(() => Processor.WhyNot("avx2"));
        Assert.StartsWith("'avx2' is no level of kernels; allowed: scalar, vector128", error.Message, StringComparison.Ordinal);
    }
}
