using FsCheck;
using FsCheck.Fluent;
using Tessera.Text.Corpora;

namespace Tessera.Text.Tests.Corpora;

public sealed class GroupSplitTests
{
    private static readonly Dictionary<string, int> _nothing = [];

    private static Corpus Divide(CorpusOptions options, IEnumerable<string> groups) =>
        GroupSplit.Divide(options, "here", _nothing, [.. groups.Select((group, i) => new Example(null, $"{i}", group))]);

    /// <summary>Values of a transcription in Python with integers of any size.</summary>
    [Theory]
    [InlineData("System.Math", 0, 0.9219362161656955)]
    [InlineData("System.Math", 1, 0.8853854206204813)]
    [InlineData("", 0, 0.3015695342683995)]
    [InlineData("Größe/文書.txt", -7, 0.29310065125883544)]
    public void A_group_has_the_same_place_on_every_machine(string group, int seed, double expected) =>
        Assert.Equal(expected, GroupSplit.Place(group, seed));

    [Fact]
    public void Every_example_is_in_one_split_and_no_group_is_in_two() => Prop.ForAll(
        ArbMap.Default.ArbFor<NonEmptyArray<byte>>(), ArbMap.Default.ArbFor<int>(), ArbMap.Default.ArbFor<byte>(),
        (numbers, seed, share) =>
        {
            var options = new TextFolderOptions("x") { Seed = seed, ValidationFraction = share / 1024.0, TestFraction = share / 2048.0 };
            Corpus corpus;
            try
            {
                corpus = Divide(options, numbers.Get.Select(number => $"group {number % 16}"));
            }
            catch (InvalidDataException)
            {
                return true;
            }

            Example[][] splits = [[.. corpus.Train], [.. corpus.Validation], [.. corpus.Test]];
                    var groups = splits.SelectMany(split => split.Select(example => example.Group).Distinct());
                    return splits.Sum(split => split.Length) == numbers.Get.Length
                        && splits.SelectMany(split => split).Select(example => example.Target).Distinct().Count() == numbers.Get.Length
                        && groups.Count() == groups.Distinct().Count()
                        && splits.All(split =>
                            split
                                .Select(example => int.Parse(example.Target))
                                .SequenceEqual(split.Select(example => int.Parse(example.Target)).Order())
                        );
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void Shares_of_many_groups_are_near_the_fractions()
    {
        var corpus = Divide(
            new TextFolderOptions("x") { ValidationFraction = 0.1, TestFraction = 0.2 },
            Enumerable.Range(0, 20_000).Select(i => $"Type{i}"));
        Assert.InRange(corpus.Validation.Count, 1_850, 2_150);
        Assert.InRange(corpus.Test.Count, 3_800, 4_200);
    }

    [Fact]
    public void Another_seed_draws_another_split()
    {
        var groups = Enumerable.Range(0, 1000).Select(i => $"{i}").ToList();
        var one = Divide(new TextFolderOptions("x") { Seed = 1 }, groups).Test;
        var other = Divide(new TextFolderOptions("x") { Seed = 2 }, groups).Test;
        Assert.NotEqual(one, other);
    }

    [Fact]
    public void Changing_one_fraction_leaves_the_other_split_as_it_was()
    {
        var groups = Enumerable.Range(0, 1000).Select(i => $"{i}").ToList();
        var one = Divide(new TextFolderOptions("x") { TestFraction = 0.1, ValidationFraction = 0.1 }, groups);
        var other = Divide(new TextFolderOptions("x") { TestFraction = 0.1, ValidationFraction = 0.5 }, groups);
        Assert.Equal(one.Test, other.Test);
        Assert.NotEqual(one.Validation.Count, other.Validation.Count);
    }

    [Fact]
    public void No_example_left_to_train_on_is_an_error_that_says_why()
    {
        var options = new TextFolderOptions("x") { ValidationFraction = 0.5, TestFraction = 0.5 };
        var error = Assert.Throws<InvalidDataException>(() => Divide(options, ["a", "b"]));
        Assert.Equal(
            "here: all 2 examples fell into validation or test; lower data.validationFraction and data.testFraction or change data.seed",
            error.Message);

        var empty = Assert.Throws<InvalidDataException>(() =>
            GroupSplit.Divide(options, "here", new Dictionary<string, int> { ["binary file"] = 3 }, []));
        Assert.Equal("here: no examples to train on (left out: 3 binary file)", empty.Message);
    }

    [Fact]
    public void Few_groups_still_give_each_split_one()
    {
        var corpus = GroupSplit.Divide(
            new TextFolderOptions("docs"), "docs", new Dictionary<string, int>(),
            [.. Enumerable.Range(0, 4).Select(i => new Example(null, "text", $"g{i}"))]);
        Assert.Equal((2, 1, 1), (corpus.Train.Count, corpus.Validation.Count, corpus.Test.Count));
        Assert.Equal(4, corpus.Train.Concat(corpus.Validation).Concat(corpus.Test).Select(example => example.Group).Distinct().Count());
    }
}
